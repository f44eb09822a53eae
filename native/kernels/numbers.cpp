#include "mc2/numbers.hpp"

#include <bit>

#include "mc2/arithmetic.hpp"
#include "mc2/lanes.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<i64>;
using Pair = Secret<i128>;
using Real = Secret<double>;

// Runs `row(i)` for each row: one loop for each public choice, made outside of it. Rows are cut over
// threads, and each thread has a copy of `row`.
template <typename Row>
MC2_INLINE void for_rows(std::size_t rows, Row row) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) row(i);
    });
}

// The same with `row(i, raised)`, which raises flags.
template <typename Row>
MC2_INLINE void for_checked_rows(std::size_t rows, u64* flags, Row row) noexcept {
    *flags |= flags_of_shares(rows, [=](std::size_t from, std::size_t to) {
        Flags raised;
        for (std::size_t i = from; i < to; ++i) row(i, raised);
        u64 word = 0;
        raised.raise_in(&word);
        return word;
    });
}

// --- whole numbers

MC2_INLINE Word subtract_checked(Word a, Word b, Flags& flags, Mask counts) noexcept {
    const Word difference = a - b;
    const u64 wrong = (a.bits() ^ b.bits()) & (a.bits() ^ difference.bits());
    flags.raise(Flag::overflow, counts & Mask::from_bit(wrong >> 63));
    return difference;
}

MC2_INLINE Word multiply_checked(Word a, Word b, Flags& flags, Mask counts) noexcept {
    const i128 product = static_cast<i128>(static_cast<i64>(a.bits())) * static_cast<i64>(b.bits());
    const Secret<u64> high(static_cast<u64>(static_cast<u128>(product) >> 64));
    const Word low(static_cast<i64>(static_cast<u64>(static_cast<u128>(product))));
    flags.raise(Flag::overflow, counts & (high != Secret<u64>(is_negative(low).word())));
    return low;
}

struct SignedDivision {
    Word quotient, remainder;
};

MC2_INLINE SignedDivision divide_checked(Word a, Word b, Flags& flags, Mask counts) noexcept {
    flags.raise(Flag::division_by_zero, counts & (b == Word(0)));
    const Division64 both = divide(magnitude(a), magnitude(b));
    const Mask negative = is_negative(a) ^ is_negative(b);
    const Word quotient = negate_if(negative, Word::from_bits(both.quotient.bits()));
    return {quotient, negate_if(is_negative(a), Word::from_bits(both.remainder.bits()))};
}

void integers(IntegerOperation what, const i64* a, const i64* b, const u8* counts, i64* out, std::size_t rows,
              u64* flags) noexcept {
    const auto each = [=](auto operation) {
        for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
            out[i] = static_cast<i64>(operation(Word(a[i]), Word(b[i]), Mask::from_bit(counts[i]), raised).bits());
        });
    };
    switch (what) {
        case IntegerOperation::add: each([](Word x, Word y, Mask c, Flags& f) { return checked_add(x, y, f, c); }); break;
        case IntegerOperation::subtract: each([](Word x, Word y, Mask c, Flags& f) { return subtract_checked(x, y, f, c); }); break;
        case IntegerOperation::multiply: each([](Word x, Word y, Mask c, Flags& f) { return multiply_checked(x, y, f, c); }); break;
        case IntegerOperation::divide:
            each([](Word x, Word y, Mask c, Flags& f) {
                const Word quotient = divide_checked(x, y, f, c).quotient;
                // Only the least number divided by -1 is too large: its quotient is itself again.
                f.raise(Flag::overflow, c & (y == Word(-1)) & is_negative(x) & is_negative(quotient));
                return quotient;
            });
            break;
        case IntegerOperation::remainder:
            each([](Word x, Word y, Mask c, Flags& f) { return divide_checked(x, y, f, c).remainder; });
            break;
    }
}

void check_range(const i64* a, i64 low, i64 high, const u8* counts, std::size_t rows, u64 flag, u64* flags) noexcept {
    *flags |= flag & flags_of_shares(rows, [=](std::size_t from, std::size_t to) {
        Mask outside = Mask::constant(false);
        V wrong = all64(0);
        std::size_t i = from;
        for (; i + words_in_vector <= to; i += words_in_vector) {
            const V value = load(a + i);
            const V beyond = either(greater64(all64(static_cast<u64>(low)), value), greater64(value, all64(static_cast<u64>(high))));
            wrong = either(wrong, both(beyond, marked(counts + i)));
        }
        u64 lane[words_in_vector];
        store(lane, wrong);
        for (const u64 word : lane) outside = outside | Mask::from_word(word);
        for (; i < to; ++i) {
            outside = outside | (Mask::from_bit(counts[i]) & ((Word(a[i]) < Word(low)) | (Word(a[i]) > Word(high))));
        }
        return outside.word();
    });
}

// --- doubles

// A function of its own: the only one that may divide.
MC2_APART void divide_doubles(const double* a, const double* b, double* out, std::size_t from, std::size_t to) noexcept {
    for (std::size_t i = from; i < to; ++i) out[i] = a[i] / b[i];
}

void doubles(DoubleOperation what, const double* a, const double* b, const u8* counts, double* out,
             std::size_t rows, u64* flags) noexcept {
    const auto each = [=](auto operation) { for_rows(rows, [=](std::size_t i) { out[i] = operation(a[i], b[i]); }); };
    switch (what) {
        case DoubleOperation::add: each([](double x, double y) { return x + y; }); break;
        case DoubleOperation::subtract: each([](double x, double y) { return x - y; }); break;
        case DoubleOperation::multiply: each([](double x, double y) { return x * y; }); break;
        case DoubleOperation::divide:
            for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
                const Mask zero = Secret<u64>(Real(b[i]).bits() << 1) == Secret<u64>(0);
                raised.raise(Flag::division_by_zero, Mask::from_bit(counts[i]) & zero);
            });
            cut_over_threads(rows, [=](std::size_t from, std::size_t to) { divide_doubles(a, b, out, from, to); });
            break;
    }
}

// Unsigned words in the order of values, with -0 as +0 and one NaN.
MC2_INLINE Secret<u64> ordered(Real value) noexcept {
    const u64 bits = value.bits();
    const Secret<u64> doubled(bits << 1);  // the sign shifted out: 0 for both zeros
    const Mask zero = doubled == Secret<u64>(0);
    const Mask nan = doubled > Secret<u64>(u64{0x7ff} << 53);
    const Secret<u64> place(detail::total_order(bits) ^ detail::sign_bit);
    const Secret<u64> number = select(zero, Secret<u64>(detail::sign_bit), place);
    return select(nan, Secret<u64>(detail::total_order(u64{0x7ff8} << 48) ^ detail::sign_bit), number);
}

template <typename T>
MC2_INLINE Mask holds(Comparison what, Secret<T> x, Secret<T> y) noexcept {
    switch (what) {
        case Comparison::equal: return x == y;
        case Comparison::less: return x < y;
        case Comparison::less_or_equal: break;
    }
    return x <= y;
}

template <Comparison what>
MC2_INLINE void compare_as(const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    const auto read = [](u64 word) { return ordered(Real(std::bit_cast<double>(word))); };
    for_rows(rows, [=](std::size_t i) { out[i] = holds(what, read(a[i]), read(b[i])).byte(); });
}

void compare_doubles(Comparison what, const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    switch (what) {
        case Comparison::equal: return compare_as<Comparison::equal>(a, b, out, rows);
        case Comparison::less: return compare_as<Comparison::less>(a, b, out, rows);
        case Comparison::less_or_equal: break;
    }
    compare_as<Comparison::less_or_equal>(a, b, out, rows);
}

// Signed words, four at a time.
template <typename Test>
MC2_INLINE void compare_four(const u64* a, const u64* b, u8* out, std::size_t rows, Test test) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        std::size_t i = from;
        for (; i + words_in_vector <= to; i += words_in_vector) mark(out + i, test(load(a + i), load(b + i)));
        for (; i < to; ++i) out[i] = static_cast<u8>(first_word(test(all64(a[i]), all64(b[i]))) & 1);
    });
}

void compare_words(Comparison what, const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    switch (what) {
        case Comparison::equal: return compare_four(a, b, out, rows, [](V x, V y) { return equal64(x, y); });
        case Comparison::less: return compare_four(a, b, out, rows, [](V x, V y) { return greater64(y, x); });
        case Comparison::less_or_equal: break;
    }
    compare_four(a, b, out, rows, [](V x, V y) { return differ(greater64(x, y), all64(~u64{0})); });
}

void compare(Comparison what, Reading reading, const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    if (reading == Reading::real) {
        compare_doubles(what, a, b, out, rows);
    } else {
        compare_words(what, a, b, out, rows);
    }
}

void compare_wide(Comparison what, const i128* a, const i128* b, u8* out, std::size_t rows) noexcept {
    const auto each = [=](auto test) { for_rows(rows, [=](std::size_t i) { out[i] = test(Pair(a[i]), Pair(b[i])).byte(); }); };
    switch (what) {
        case Comparison::equal: each([](Pair x, Pair y) { return x == y; }); break;
        case Comparison::less: each([](Pair x, Pair y) { return x < y; }); break;
        case Comparison::less_or_equal: each([](Pair x, Pair y) { return x <= y; }); break;
    }
}

void order_doubles(const double* a, u64* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) { out[i] = ordered(Real(a[i])).bits(); });
}

void restore_doubles(const u64* a, double* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) {
        const u64 word = a[i] ^ detail::sign_bit;
        out[i] = std::bit_cast<double>(detail::total_order(word));
    });
}

// --- decimals

void widen(const i64* a, i128* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) { out[i] = static_cast<i128>(a[i]); });
}

void narrow(const i128* a, const u8* counts, i64* out, std::size_t rows, u64* flags) noexcept {
    for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
        const u128 bits = Pair(a[i]).bits();
        const Word low(static_cast<i64>(static_cast<u64>(bits)));
        const Secret<u64> high(static_cast<u64>(bits >> 64));
        raised.raise(Flag::overflow, Mask::from_bit(counts[i]) & (high != Secret<u64>(is_negative(low).word())));
        out[i] = static_cast<i64>(low.bits());
    });
}

// The signed decimal with this magnitude; overflow if it has more digits than `below` allows.
MC2_INLINE i128 signed_decimal(Wide value, Mask negative, u128 below, Flags& flags, Mask counts) noexcept {
    const Secret<u128> low((static_cast<u128>(value.limbs[1]) << 64) | value.limbs[0]);
    const Mask beyond = Secret<u64>(value.limbs[2] | value.limbs[3]) != Secret<u64>(0);
    flags.raise(Flag::overflow, counts & (beyond | (low >= Secret<u128>(below))));
    return static_cast<i128>(negate_if(negative, low).bits());
}

MC2_INLINE void add_one_if(Mask when, Wide& value) noexcept {
    u64 carry = when.word() & 1;
    for (u64& limb : value.limbs) {
        const u128 sum = static_cast<u128>(limb) + carry;
        limb = static_cast<u64>(sum);
        carry = static_cast<u64>(sum >> 64);
    }
}

// Halves are rounded away from zero: up where twice the remainder reaches the divisor.
MC2_INLINE Mask rounds_up(Secret<u128> remainder, Secret<u128> divisor) noexcept {
    return remainder >= divisor - remainder;
}

void add_wide(const i128* a, const i128* b, bool subtract, unsigned precision, const u8* counts, i128* out,
              std::size_t rows, u64* flags) noexcept {
    const Secret<u128> below(power_of_ten(precision));
    for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
        // Below 10^38 each, two of them always fit.
        const Pair sum = Pair(a[i]) + negate_if(Mask::constant(subtract), Pair(b[i]));
        raised.raise(Flag::overflow, Mask::from_bit(counts[i]) & (magnitude(sum) >= below));
        out[i] = static_cast<i128>(sum.bits());
    });
}

void multiply_words(const i64* a, const i64* b, i128* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) { out[i] = static_cast<i128>(a[i]) * b[i]; });
}

void multiply_wide_rows(const i128* a, const i128* b, unsigned drop, unsigned precision, const u8* counts,
                        i128* out, std::size_t rows, u64* flags) noexcept {
    const u128 below = power_of_ten(precision);
    const Secret<u128> unit(power_of_ten(drop));
    const auto each = [=](auto scale) {
        for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
            const Pair x(a[i]), y(b[i]);
            Wide product = multiply_wide(magnitude(x), magnitude(y));
            scale(product);
            out[i] = signed_decimal(product, is_negative(x) ^ is_negative(y), below, raised, Mask::from_bit(counts[i]));
        });
    };
    if (drop == 0) {
        each([](Wide&) {});
    } else {
        each([=](Wide& product) {
            const WideDivision both = divide_wide<4>(product, unit);
            product = both.quotient;
            add_one_if(rounds_up(both.remainder, unit), product);
        });
    }
}

void divide_wide_rows(const i128* a, const i128* b, unsigned raise, unsigned precision, const u8* counts,
                      i128* out, std::size_t rows, u64* flags) noexcept {
    const u128 below = power_of_ten(precision);
    const Secret<u128> unit(power_of_ten(raise));
    for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
        const Pair x(a[i]), y(b[i]);
        const Mask counted = Mask::from_bit(counts[i]), zero = y == Pair(0);
        raised.raise(Flag::division_by_zero, counted & zero);
        const Secret<u128> divisor = magnitude(y);
        WideDivision both = divide_wide<4>(multiply_wide(magnitude(x), unit), divisor);
        add_one_if(rounds_up(both.remainder, divisor), both.quotient);
        out[i] = signed_decimal(both.quotient, is_negative(x) ^ is_negative(y), below, raised, counted & ~zero);
    });
}

void remainder_wide(const i128* a, const i128* b, const u8* counts, i128* out, std::size_t rows, u64* flags) noexcept {
    for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
        const Pair x(a[i]), y(b[i]);
        raised.raise(Flag::division_by_zero, Mask::from_bit(counts[i]) & (y == Pair(0)));
        const u128 dividend = magnitude(x).bits();
        const Wide wide = {{static_cast<u64>(dividend), static_cast<u64>(dividend >> 64), 0, 0}};
        const WideDivision both = divide_wide<2>(wide, magnitude(y));
        out[i] = static_cast<i128>(negate_if(is_negative(x), Pair(static_cast<i128>(both.remainder.bits()))).bits());
    });
}

// --- between integers and doubles

void integer_to_double(const i64* a, double* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) { out[i] = static_cast<double>(a[i]); });
}

void double_to_integer(const double* a, const u8* counts, i64* out, std::size_t rows, u64* flags) noexcept {
    const Secret<u64> end = ordered(Real(0x1p63)), start = ordered(Real(-0x1p63));
    for_checked_rows(rows, flags, [=](std::size_t i, Flags& raised) {
        const Secret<u64> place = ordered(Real(a[i]));
        const Mask fits = (place < end) & (place >= start);
        raised.raise(Flag::bad_cast, Mask::from_bit(counts[i]) & ~fits);
        // What does not fit would be undefined in C++; zero is converted in its place.
        const double value = std::bit_cast<double>(keep_if(fits, Secret<u64>(Real(a[i]).bits())).bits());
        out[i] = static_cast<i64>(value);
    });
}

// --- bits

// Shifts by a secret amount below 64, one bit of it after the other.
template <typename Step>
MC2_INLINE Secret<u64> shift_by(Secret<u64> value, Secret<u64> amount, Step step) noexcept {
    for (unsigned bit = 0; bit < 6; ++bit) {
        value = select(Mask::from_bit(amount.bits() >> bit), step(value, 1u << bit), value);
    }
    return value;
}

MC2_INLINE u64 shift_right_signed(u64 value, unsigned by) noexcept {
    return static_cast<u64>(static_cast<i64>(value) >> by);
}

// As a signed number of so many bits.
MC2_INLINE u64 as_signed(u64 value, unsigned width) noexcept {
    return shift_right_signed(value << (64 - width), 64 - width);
}

// Sums of neighbours, in places of two, four and eight bits; the product adds the bytes up.
MC2_INLINE u64 count_bits(u64 value) noexcept {
    value -= (value >> 1) & 0x5555555555555555;
    value = (value & 0x3333333333333333) + ((value >> 2) & 0x3333333333333333);
    value = (value + (value >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (value * 0x0101010101010101) >> 56;
}

void bits(BitOperation what, unsigned width, const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    const u64 places = width - 1, inside = ~u64{0} >> (64 - width);
    const auto each = [=](auto operation) {
        for_rows(rows, [=](std::size_t i) { out[i] = operation(a[i], b[i]); });
    };
    const auto shifted = [=](u64 x, u64 y, auto step) {
        return as_signed(shift_by(Secret<u64>(x), Secret<u64>(y & places), step).bits(), width);
    };
    switch (what) {
        case BitOperation::both: each([](u64 x, u64 y) { return x & y; }); break;
        case BitOperation::either: each([](u64 x, u64 y) { return x | y; }); break;
        case BitOperation::differ: each([](u64 x, u64 y) { return x ^ y; }); break;
        case BitOperation::shift_left:
            each([=](u64 x, u64 y) { return shifted(x, y, [](Secret<u64> v, unsigned n) { return v << n; }); });
            break;
        case BitOperation::shift_right:
            each([=](u64 x, u64 y) {
                return shifted(x, y, [](Secret<u64> v, unsigned n) { return Secret<u64>(shift_right_signed(v.bits(), n)); });
            });
            break;
        case BitOperation::shift_right_unsigned:
            each([=](u64 x, u64 y) { return shifted(x & inside, y, [](Secret<u64> v, unsigned n) { return v >> n; }); });
            break;
        case BitOperation::count: each([](u64 x, u64) { return count_bits(x); }); break;
    }
}

// --- doubles to whole numbers, and roots

constexpr u64 sign_of_double = u64{1} << 63;
constexpr u64 fraction_of_double = (u64{1} << 52) - 1;
constexpr u64 infinite_double = u64{0x7ff} << 52;

template <Halves halves>
MC2_INLINE double rounded_double(double value) noexcept {
    const Secret<u64> word(std::bit_cast<u64>(value));
    const Secret<u64> size = word & Secret<u64>(~sign_of_double);
    // From 2^52 on all doubles are whole; zero is rounded in their place.
    const Mask small = size < Secret<u64>(std::bit_cast<u64>(0x1p52));
    const double part = std::bit_cast<double>(keep_if(small, size).bits());
    const double even = (part + 0x1p52) - 0x1p52;
    Secret<u64> found(std::bit_cast<u64>(even));
    if constexpr (halves == Halves::away_from_zero) {
        const Mask half = Secret<u64>(std::bit_cast<u64>(part - even)) == Secret<u64>(std::bit_cast<u64>(0.5));
        found = select(half, Secret<u64>(std::bit_cast<u64>(even + 1.0)), found);
    }
    found = found | (word & Secret<u64>(sign_of_double));
    return std::bit_cast<double>(select(small, found, word).bits());
}

void round_doubles(Halves halves, const double* a, double* out, std::size_t rows) noexcept {
    if (halves == Halves::to_even) {
        for_rows(rows, [=](std::size_t i) { out[i] = rounded_double<Halves::to_even>(a[i]); });
    } else {
        for_rows(rows, [=](std::size_t i) { out[i] = rounded_double<Halves::away_from_zero>(a[i]); });
    }
}

// floor(sqrt(square)) below 2^54, a bit at a time from the highest one.
MC2_INLINE u64 whole_root(u128 square) noexcept {
    u64 root = 0;
    for (unsigned place = 54; place > 0; --place) {
        const u64 tried = value_barrier(root | (u64{1} << (place - 1)));
        const Mask fits = ~(Secret<u128>(square) < Secret<u128>(static_cast<u128>(tried) * tried));
        root = select(fits, Secret<u64>(tried), Secret<u64>(root)).bits();
    }
    return root;
}

MC2_INLINE u64 square_root(u64 word) noexcept {
    const Secret<u64> exponent((word >> 52) & 0x7ff);
    const Mask denormal = exponent == Secret<u64>(0);
    // A denormal is shifted up until it has its implicit bit; its exponent then is 1 less so many.
    Secret<u64> fraction = Secret<u64>(word & fraction_of_double) | keep_if(~denormal, Secret<u64>(u64{1} << 52));
    Secret<u64> ups(0);
    for (unsigned step = 32; step > 0; step /= 2) {
        const Mask low = (fraction >> (53 - step)) == Secret<u64>(0);
        fraction = select(low, fraction << step, fraction);
        ups = ups + keep_if(low, Secret<u64>(step));
    }
    const Secret<u64> place = exponent + keep_if(denormal, Secret<u64>(1)) - ups;
    // fraction * 2^(place - 1075): the power is made even. 54 bits of the root are 53 and a half
    // one; no root of 53 bits lies halfway between two doubles.
    const Mask odd = ~Mask::from_bit(place.bits());
    const u64 even = select(odd, fraction << 1, fraction).bits();
    const u64 root = whole_root(static_cast<u128>(even) << 54);
    const u64 halved = (place.bits() + 973) >> 1;  // of place - 1075, and 1024 more
    const u64 found = ((halved + 24) << 52) + (root >> 1) + (root & 1);  // with the implicit bit
    const Secret<u64> size(word & ~sign_of_double);
    const Mask negative = Mask::from_bit(word >> 63), nan = Secret<u64>(infinite_double) < size;
    const Mask same = (size == Secret<u64>(0)) | ((size == Secret<u64>(infinite_double)) & ~negative);
    Secret<u64> result = select(negative, Secret<u64>(u64{0xfff8} << 48), Secret<u64>(found));
    result = select(nan, Secret<u64>(word | (u64{1} << 51)), result);
    return select(same, Secret<u64>(word), result).bits();
}

void square_roots(const double* a, double* out, std::size_t rows) noexcept {
    for_rows(rows, [=](std::size_t i) { out[i] = std::bit_cast<double>(square_root(std::bit_cast<u64>(a[i]))); });
}

}  // namespace

extern const NumbersKernels numbers_table;
const NumbersKernels numbers_table = {
    integers,          check_range,      doubles,          compare,        compare_wide,
    order_doubles,     restore_doubles,  widen,            narrow,         add_wide,
    multiply_words,    multiply_wide_rows, divide_wide_rows, remainder_wide,  integer_to_double, bits,
    round_doubles,     square_roots,     double_to_integer,
};

}  // namespace mc2::oblivious::MC2_ISA
