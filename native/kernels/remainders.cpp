#include "mc2/remainders.hpp"

#include "mc2/scaled.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

// Whole numbers modulo one of 53 bits, the first of them set. The quotient is estimated by a product
// with the reciprocal, from below and by less than 1.
class Modulus {
public:
    MC2_INLINE explicit Modulus(u64 number) noexcept
        : number_(number), reciprocal_(reciprocal_of(static_cast<u128>(number) << 75)) {}

    // Of a number once: it is below twice the modulus.
    MC2_INLINE u64 reduce_once(u64 value) const noexcept {
        const Mask fits = Word(value) >= Word(number_);
        return value - keep_if(fits, Word(number_)).bits();
    }
    MC2_INLINE u64 multiply(u64 a, u64 b) const noexcept {
        const u128 product = static_cast<u128>(value_barrier(a)) * b;  // below 2^106
        const u64 quotient = static_cast<u64>(upper(product << 22, reciprocal_) >> 73);
        return reduce_once(static_cast<u64>(product) - quotient * number_);
    }

private:
    u64 number_;
    u128 reciprocal_;  // 2^179 / number
};

constexpr unsigned distance_bits = 12;  // exponents of doubles are less than 2^12 apart

// With x = m 2^e and y = n 2^f the remainder is (m 2^(e-f) mod n) 2^f. The power of two is squared
// and doubled as the bits of e - f say, the first one first, modulo n all the time.
MC2_INLINE u64 remainder_of(u64 a, u64 b) noexcept {
    const Parts x = parts_of(a), y = parts_of(b);
    const Modulus modulus(y.mantissa);
    const Place apart = x.exponent - y.exponent;
    u64 power = 1;
    for (unsigned bit = distance_bits; bit-- > 0;) {
        power = modulus.multiply(power, power);
        power = chosen(Mask::from_bit(apart.bits() >> bit), modulus.reduce_once(power << 1), power);
    }
    const u64 rest = modulus.multiply(modulus.reduce_once(x.mantissa), power);
    const u64 found = rounded(normalised(static_cast<u128>(rest) << 75, y.exponent, x.negative));
    const Mask smaller_one = is_negative(apart) | y.infinite | x.zero;
    return chosen(x.nan | y.nan | x.infinite | y.zero, nan_bits, chosen(smaller_one, a, found));
}

void remainders(const double* a, const double* b, const u8* counts, double* out, std::size_t rows,
                u64* flags) noexcept {
    Flags raised;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 divisor = std::bit_cast<u64>(b[i]);
        const Mask zero = Word(divisor << 1) == Word(0);
        raised.raise(Flag::division_by_zero, Mask::from_bit(counts[i]) & zero);
        out[i] = std::bit_cast<double>(remainder_of(std::bit_cast<u64>(a[i]), divisor));
    }
    raised.raise_in(flags);
}

}  // namespace

extern const RemaindersKernels remainders_table;
const RemaindersKernels remainders_table = {remainders};

}  // namespace mc2::oblivious::MC2_ISA
