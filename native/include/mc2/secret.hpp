// Words that may not decide anything: `Mask` is a secret yes or no, `Secret<T>` a secret number.
//
// Neither converts to bool or to a number, so `if`, `?:`, `&&`, `||`, `switch`, an index or a loop
// bound on a secret does not compile. There is no `/` and no `%`: dividers take longer for some
// operands. The only way out is `declassify`, which takes the reason as text. Lengths, shapes and
// positions are public and stay plain integers.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "mc2/barrier.hpp"
#include "mc2/poison.hpp"

namespace mc2::oblivious {

template <typename T>
concept SecretWord = std::integral<T> || std::same_as<T, u128> || std::same_as<T, i128> ||
                     std::same_as<T, double>;

namespace detail {

// The unsigned integer of the same width that all mask arithmetic is done in.
template <typename T> struct BitsOf { using type = std::make_unsigned_t<T>; };
template <> struct BitsOf<bool> { using type = u8; };
template <> struct BitsOf<u128> { using type = u128; };
template <> struct BitsOf<i128> { using type = u128; };
template <> struct BitsOf<double> { using type = u64; };
template <typename T> using Bits = typename BitsOf<T>::type;

template <typename T>
inline constexpr bool is_signed_word = std::same_as<T, i128> || std::is_signed_v<T>;

// All ones when a == b: bit 63 of (d | -d) is set exactly when d != 0.
MC2_INLINE u64 equal_mask(u64 a, u64 b) noexcept {
    const u64 difference = value_barrier(a ^ b);
    return value_barrier(((difference | (0 - difference)) >> 63) - 1);
}

// All ones when a < b as unsigned words (Hacker's Delight, section 2-12).
MC2_INLINE u64 less_mask(u64 a, u64 b) noexcept {
    a = value_barrier(a);
    const u64 borrow = (~a & b) | ((~a | b) & (a - b));
    return value_barrier(0 - (borrow >> 63));
}

inline constexpr u64 sign_bit = u64{1} << 63;

// A double's place in the total order -NaN < -inf < ... < -0 < +0 < ... < +inf < +NaN, as a signed
// word: negative numbers have their other bits turned round.
MC2_INLINE u64 total_order(u64 bits) noexcept {
    const u64 negative = value_barrier(0 - (bits >> 63));
    return bits ^ (negative & ~sign_bit);
}

MC2_INLINE u64 equal_bits(u128 a, u128 b) noexcept {
    return equal_mask(static_cast<u64>(a), static_cast<u64>(b)) &
           equal_mask(static_cast<u64>(a >> 64), static_cast<u64>(b >> 64));
}

MC2_INLINE u64 less_bits(u128 a, u128 b) noexcept {
    const u64 high_a = static_cast<u64>(a >> 64), high_b = static_cast<u64>(b >> 64);
    return less_mask(high_a, high_b) |
           (equal_mask(high_a, high_b) & less_mask(static_cast<u64>(a), static_cast<u64>(b)));
}

}  // namespace detail

template <SecretWord T> class Secret;

// A secret yes (all ones) or no (all zeros).
class Mask {
public:
    Mask() noexcept = default;

    MC2_INLINE static Mask from_word(u64 all_ones_or_zero) noexcept { return Mask{value_barrier(all_ones_or_zero)}; }
    // From a byte or word that is 0 or 1: other bits are ignored.
    MC2_INLINE static Mask from_bit(u64 bit) noexcept { return Mask{value_barrier(0 - (bit & 1))}; }
    MC2_INLINE static Mask constant(bool known) noexcept { return from_bit(known); }

    MC2_INLINE Mask operator&(Mask other) const noexcept { return Mask{word_ & other.word_}; }
    MC2_INLINE Mask operator|(Mask other) const noexcept { return Mask{word_ | other.word_}; }
    MC2_INLINE Mask operator^(Mask other) const noexcept { return Mask{word_ ^ other.word_}; }
    MC2_INLINE Mask operator~() const noexcept { return Mask{~word_}; }

    MC2_INLINE u64 word() const noexcept { return value_barrier(word_); }
    MC2_INLINE u8 byte() const noexcept { return static_cast<u8>(value_barrier(word_) & 1); }

    explicit operator bool() const = delete;

private:
    MC2_INLINE explicit Mask(u64 word) noexcept : word_(word) {}
    u64 word_ = 0;
};

// A secret number of type T. It has T's layout, so a column of T can be read as a column of these.
template <SecretWord T>
class Secret {
public:
    using Bits = detail::Bits<T>;

    Secret() noexcept = default;
    MC2_INLINE explicit Secret(T value) noexcept : value_(value) {}

    // Sums and products wrap round, as unsigned words do; `checked_add` and its like say when.
    MC2_INLINE Secret operator+(Secret other) const noexcept { return arithmetic(other, [](auto a, auto b) { return a + b; }); }
    MC2_INLINE Secret operator-(Secret other) const noexcept { return arithmetic(other, [](auto a, auto b) { return a - b; }); }
    MC2_INLINE Secret operator*(Secret other) const noexcept { return arithmetic(other, [](auto a, auto b) { return a * b; }); }
    MC2_INLINE Secret operator&(Secret other) const noexcept requires(!std::same_as<T, double>) { return from_bits(bits() & other.bits()); }
    MC2_INLINE Secret operator|(Secret other) const noexcept requires(!std::same_as<T, double>) { return from_bits(bits() | other.bits()); }
    MC2_INLINE Secret operator^(Secret other) const noexcept requires(!std::same_as<T, double>) { return from_bits(bits() ^ other.bits()); }
    // Shifts are by public amounts only.
    MC2_INLINE Secret operator<<(unsigned count) const noexcept requires(!std::same_as<T, double>) { return from_bits(static_cast<Bits>(bits() << count)); }
    MC2_INLINE Secret operator>>(unsigned count) const noexcept requires(!std::same_as<T, double>) { return Secret(static_cast<T>(value_ >> count)); }

    void operator/(Secret) const = delete;
    void operator%(Secret) const = delete;
    explicit operator bool() const = delete;

    // Doubles compare by total order: -0 before +0, NaN after infinity; equal means equal bits.
    MC2_INLINE friend Mask operator==(Secret a, Secret b) noexcept { return equal(a, b); }
    MC2_INLINE friend Mask operator!=(Secret a, Secret b) noexcept { return ~equal(a, b); }
    MC2_INLINE friend Mask operator<(Secret a, Secret b) noexcept { return less(a, b); }
    MC2_INLINE friend Mask operator>(Secret a, Secret b) noexcept { return less(b, a); }
    MC2_INLINE friend Mask operator<=(Secret a, Secret b) noexcept { return ~less(b, a); }
    MC2_INLINE friend Mask operator>=(Secret a, Secret b) noexcept { return ~less(a, b); }

    MC2_INLINE Bits bits() const noexcept {
        if constexpr (std::same_as<T, double>) {
            return std::bit_cast<u64>(value_);
        } else {
            return static_cast<Bits>(value_);
        }
    }
    MC2_INLINE static Secret from_bits(Bits bits) noexcept {
        if constexpr (std::same_as<T, double>) {
            return Secret(std::bit_cast<double>(bits));
        } else {
            return Secret(static_cast<T>(bits));
        }
    }

private:
    template <typename Operation>
    MC2_INLINE Secret arithmetic(Secret other, Operation operation) const noexcept {
        if constexpr (std::same_as<T, double>) {
            return Secret(operation(value_, other.value_));
        } else {
            return from_bits(static_cast<Bits>(operation(bits(), other.bits())));
        }
    }

    // Order-preserving image in unsigned words.
    MC2_INLINE Bits ordered() const noexcept {
        if constexpr (std::same_as<T, double>) {
            return detail::total_order(bits()) ^ detail::sign_bit;
        } else if constexpr (detail::is_signed_word<T>) {
            return static_cast<Bits>(bits() ^ (Bits{1} << (8 * sizeof(T) - 1)));
        } else {
            return bits();
        }
    }
    MC2_INLINE static Mask equal(Secret a, Secret b) noexcept {
        if constexpr (sizeof(T) == 16) {
            return Mask::from_word(detail::equal_bits(a.bits(), b.bits()));
        } else {
            return Mask::from_word(detail::equal_mask(a.bits(), b.bits()));
        }
    }
    MC2_INLINE static Mask less(Secret a, Secret b) noexcept {
        if constexpr (sizeof(T) == 16) {
            return Mask::from_word(detail::less_bits(a.ordered(), b.ordered()));
        } else {
            return Mask::from_word(detail::less_mask(a.ordered(), b.ordered()));
        }
    }

    T value_{};
};

// a where the mask is yes, b where it is no. Both are read whatever the mask is.
template <SecretWord T>
MC2_INLINE Secret<T> select(Mask mask, Secret<T> a, Secret<T> b) noexcept {
    if constexpr (sizeof(T) == 16) {
        const u64 low = select(mask, Secret<u64>(static_cast<u64>(a.bits())), Secret<u64>(static_cast<u64>(b.bits()))).bits();
        const u64 high = select(mask, Secret<u64>(static_cast<u64>(a.bits() >> 64)), Secret<u64>(static_cast<u64>(b.bits() >> 64))).bits();
        return Secret<T>::from_bits((static_cast<u128>(high) << 64) | low);
    } else {
        using Bits = detail::Bits<T>;
        const Bits x = value_barrier(a.bits()), y = value_barrier(b.bits());
        return Secret<T>::from_bits(static_cast<Bits>(y ^ (static_cast<Bits>(mask.word()) & (x ^ y))));
    }
}

// a where the mask is yes, else zero.
template <SecretWord T>
MC2_INLINE Secret<T> keep_if(Mask mask, Secret<T> a) noexcept {
    return select(mask, a, Secret<T>(T{}));
}

template <SecretWord T>
MC2_INLINE void swap_if(Mask mask, Secret<T>& a, Secret<T>& b) noexcept {
    const Secret<T> x = a, y = b;
    a = select(mask, y, x);
    b = select(mask, x, y);
}

template <SecretWord T>
MC2_INLINE Secret<T> smaller(Secret<T> a, Secret<T> b) noexcept { return select(b < a, b, a); }
template <SecretWord T>
MC2_INLINE Secret<T> larger(Secret<T> a, Secret<T> b) noexcept { return select(a < b, b, a); }

// The one door out. `reason` stands in the source for reviewers and tests; it costs nothing.
template <SecretWord T>
MC2_INLINE T declassify(Secret<T> secret, [[maybe_unused]] const char* reason) noexcept {
    auto bits = secret.bits();
    unpoison(&bits, sizeof bits);
    if constexpr (std::same_as<T, double>) {
        return std::bit_cast<double>(bits);
    } else {
        return static_cast<T>(bits);
    }
}
MC2_INLINE bool declassify(Mask mask, [[maybe_unused]] const char* reason) noexcept {
    u64 word = mask.word();
    unpoison(&word, sizeof word);
    return word != 0;
}

// A column of secrets: its length and its positions are public.
template <SecretWord T>
class SecretSpan {
public:
    MC2_INLINE SecretSpan(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
    MC2_INLINE std::size_t size() const noexcept { return size_; }
    MC2_INLINE Secret<T> get(std::size_t position) const noexcept { return Secret<T>(data_[position]); }
    MC2_INLINE void set(std::size_t position, Secret<T> value) noexcept
        requires(!std::is_const_v<T>)
    {
        if constexpr (std::same_as<T, double>) {
            data_[position] = std::bit_cast<double>(value.bits());
        } else {
            data_[position] = static_cast<T>(value.bits());
        }
    }

private:
    T* data_;
    std::size_t size_;
};

template <SecretWord T>
class SecretView {
public:
    MC2_INLINE SecretView(const T* data, std::size_t size) noexcept : data_(data), size_(size) {}
    MC2_INLINE std::size_t size() const noexcept { return size_; }
    MC2_INLINE Secret<T> get(std::size_t position) const noexcept { return Secret<T>(data_[position]); }

private:
    const T* data_;
    std::size_t size_;
};

// What went wrong, as secret bits that are reported when the whole computation is over: an error
// may never be a branch, or the moment of stopping would say where the offending row stands.
enum class Flag : u64 {
    overflow = 1,            // a number did not fit its type
    division_by_zero = 2,
    bound_exceeded = 4,      // more rows than the declared public bound
    duplicate_key = 8,       // in a side that was declared unique
    bad_cast = 16,
    out_of_domain = 32,      // a value outside of its declared dictionary or range
    too_few = 64,            // rows, or their owners, in a leaf of a model; no kernel raises it itself
};

class Flags {
public:
    MC2_INLINE void raise(Flag flag, Mask when) noexcept { word_ |= when.word() & static_cast<u64>(flag); }
    MC2_INLINE void raise_in(u64* sticky) const noexcept { *sticky |= word_; }

private:
    u64 word_ = 0;
};

// a + b, with `overflow` raised where the signed sum does not fit.
template <typename T>
    requires(std::same_as<T, i64> || std::same_as<T, i128>)
MC2_INLINE Secret<T> checked_add(Secret<T> a, Secret<T> b, Flags& flags, Mask counts) noexcept {
    const Secret<T> sum = a + b;
    const auto wrong = (a.bits() ^ sum.bits()) & (b.bits() ^ sum.bits());
    flags.raise(Flag::overflow, counts & Mask::from_bit(static_cast<u64>(wrong >> (8 * sizeof(T) - 1))));
    return sum;
}

}  // namespace mc2::oblivious
