#include "mc2/curves.hpp"

#include <bit>

#include "mc2/arithmetic.hpp"
#include "mc2/curve_constants.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
using Pair = Secret<u128>;
using Place = Secret<i64>;

constexpr u64 fraction_bits = 0x000fffffffffffff, hidden_bit = u64{1} << 52;
constexpr u64 nan_bits = 0x7ff8000000000000, infinity_bits = 0x7ff0000000000000, one_bits = 0x3ff0000000000000;
constexpr i64 huge = 1 << 14;  // an exponent beyond all that are computed with

MC2_INLINE Place one_if(Mask when) noexcept { return Place(static_cast<i64>(when.word() & 1)); }

// The upper half of a product.
MC2_INLINE u128 upper(u128 a, u128 b) noexcept {
    const Wide product = multiply_wide(Pair(a), Pair(b));
    return (static_cast<u128>(product.limbs[3]) << 64) | product.limbs[2];
}

// A number as mantissa / 2^127 * 2^exponent, the mantissa with its first bit set or 0.
struct Scaled {
    u128 mantissa;
    Place exponent;
    Mask negative;
};

// --- parts of doubles

struct Parts {
    u64 mantissa;  // 53 bits, the first one set, but of zeros
    Place exponent;
    Mask negative, zero, infinite, nan;
};

MC2_INLINE Parts parts_of(u64 word) noexcept {
    const u64 raw = (word >> 52) & 0x7ff, fraction = word & fraction_bits;
    const Mask small = Word(raw) == Word(0), large = Word(raw) == Word(0x7ff), whole = Word(fraction) == Word(0);
    Word mantissa = Word(fraction) | select(small, Word(0), Word(hidden_bit));
    Place moved(0);
    for (unsigned step = 32; step > 0; step /= 2) {
        const Mask empty = (mantissa >> (53 - step)) == Word(0);
        mantissa = select(empty, mantissa << step, mantissa);
        moved = moved + (one_if(empty) << std::countr_zero(step));
    }
    const Place exponent = Place(static_cast<i64>(raw) - 1023) + one_if(small) - moved;
    return {mantissa.bits(), exponent, Mask::from_bit(word >> 63), small & whole, large & whole, large & ~whole};
}

// Shifted to the right by a secret number of bits, at most 127; what is lost leaves its lowest bit.
MC2_INLINE u128 shift_right(u128 value, Place by) noexcept {
    for (unsigned bit = 0; bit < 7; ++bit) {
        const unsigned step = 1u << bit;
        const Mask lost = Pair(value & ((u128{1} << step) - 1)) != Pair(0);
        const u128 moved = (value >> step) | (lost.word() & 1);
        value = select(Mask::from_bit(by.bits() >> bit), Pair(moved), Pair(value)).bits();
    }
    return value;
}

// The nearest double: the even one of two, infinity beyond all, less digits near zero.
MC2_INLINE u64 rounded(Scaled value) noexcept {
    const Place below = larger(Place(-1022) - value.exponent, Place(0));
    const u128 mantissa = shift_right(value.mantissa, smaller(below, Place(127)));
    const u64 kept = static_cast<u64>(mantissa >> 75);
    const Pair rest(mantissa & ((u128{1} << 75) - 1)), half(u128{1} << 74);
    const Mask up = (rest > half) | ((rest == half) & Mask::from_bit(kept));
    const Place biased = larger(value.exponent, Place(-1022)) + Place(1023);
    const Word word = Word((biased.bits() << 52) + kept - hidden_bit) + Word(up.word() & 1);
    const Word in_range = select(value.exponent > Place(1023), Word(infinity_bits), word);
    const Word found = select(Pair(value.mantissa) == Pair(0), Word(0), in_range);
    return found.bits() | (value.negative.word() << 63);
}

// --- logarithms

struct Interval {
    u64 reciprocal, logarithm[3];
};

MC2_INLINE Interval interval_of(u64 index) noexcept {
    Interval found{};
    for (u64 i = 0; i < 64; ++i) {
        const u64 here = (Word(i) == Word(index)).word();
        found.reciprocal |= here & log_intervals[i].reciprocal;
        for (unsigned j = 0; j < 3; ++j) found.logarithm[j] |= here & log_intervals[i].logarithm[j];
    }
    return found;
}

struct Triple {
    u64 limbs[3];
};

MC2_INLINE Triple add(Triple a, Triple b, u64 carry) noexcept {
    Triple sum;
    for (unsigned j = 0; j < 3; ++j) {
        const u128 whole = static_cast<u128>(a.limbs[j]) + b.limbs[j] + carry;
        sum.limbs[j] = static_cast<u64>(whole);
        carry = static_cast<u64>(whole >> 64);
    }
    return sum;
}

MC2_INLINE Triple negate_triple_if(Mask when, Triple a) noexcept {
    const u64 mask = when.word();
    return add({{a.limbs[0] ^ mask, a.limbs[1] ^ mask, a.limbs[2] ^ mask}}, {{0, 0, 0}}, mask & 1);
}

// A number below 2^64 times one of 128 bits.
MC2_INLINE Triple multiply(u64 a, u128 b) noexcept {
    const u128 low = static_cast<u128>(value_barrier(a)) * static_cast<u64>(b);
    const u128 high = static_cast<u128>(a) * static_cast<u64>(b >> 64) + (low >> 64);
    return {{static_cast<u64>(low), static_cast<u64>(high), static_cast<u64>(high >> 64)}};
}

MC2_INLINE Scaled normalised(Triple value) noexcept {
    const Mask negative = Mask::from_bit(value.limbs[2] >> 63);
    value = negate_triple_if(negative, value);
    u64 x[3] = {value.limbs[0], value.limbs[1], value.limbs[2]};
    Place moved(0);
    for (unsigned words = 0; words < 2; ++words) {
        const Mask empty = Word(x[2]) == Word(0);
        const u64 mask = empty.word();
        x[2] = (mask & x[1]) | (~mask & x[2]);
        x[1] = (mask & x[0]) | (~mask & x[1]);
        x[0] = ~mask & x[0];
        moved = moved + (one_if(empty) << 6);
    }
    for (unsigned step = 32; step > 0; step /= 2) {
        const u64 mask = (Word(x[2] >> (64 - step)) == Word(0)).word();
        const u64 high = (x[2] << step) | (x[1] >> (64 - step)), middle = (x[1] << step) | (x[0] >> (64 - step));
        x[2] = (mask & high) | (~mask & x[2]);
        x[1] = (mask & middle) | (~mask & x[1]);
        x[0] = (mask & (x[0] << step)) | (~mask & x[0]);
        moved = moved + Place(static_cast<i64>(mask & step));
    }
    const u128 mantissa = (static_cast<u128>(x[2]) << 64) | x[1];
    return {mantissa, Place(191 - static_cast<i64>(log_fraction)) - moved, negative};
}

// A whole number below 2^16 in magnitude times ln 2.
MC2_INLINE Triple times_ln_of_2(Place count) noexcept {
    const u64 size = magnitude(count).bits();
    Triple product;
    u64 carry = 0;
    for (unsigned j = 0; j < 3; ++j) {
        const u128 part = static_cast<u128>(size) * ln_of_2[j] + carry;
        product.limbs[j] = static_cast<u64>(part);
        carry = static_cast<u64>(part >> 64);
    }
    return negate_triple_if(is_negative(count), product);
}

// ln of mantissa * 2^(exponent - 52), above zero. With m the mantissa as a number from 1 to 2, or half
// of it above 3/2, and r about 1 / m from a table: ln m = ln(1 + z) - ln r, where z = m r - 1 is exact.
MC2_INLINE Scaled natural(u64 mantissa, Place exponent) noexcept {
    const u64 index = (mantissa >> 46) & 63;
    const Mask upper_half = Mask::from_bit(index >> 5);
    const Interval near = interval_of(index);
    const Place power = exponent + one_if(upper_half);
    const Place one = select(upper_half, Place(i64{1} << 62), Place(i64{1} << 61));
    const Place z = Place::from_bits(mantissa * near.reciprocal) - one;
    const Mask below = is_negative(z);
    const u64 size = magnitude(z).bits();
    const u128 argument = select(upper_half, Pair(static_cast<u128>(size) << 66), Pair(static_cast<u128>(size) << 67)).bits();
    u128 sum = log_terms[21].value();
    for (unsigned k = 21; k-- > 0;) {
        const u128 step = upper(sum, argument);
        sum = log_terms[k].value() + select(below, Pair(step), Pair(0 - step)).bits();
    }
    Triple product = multiply(size, sum);  // 188 bits after the point, or 187
    const unsigned drop = 188 - log_fraction;
    Triple twice, cut;
    const u64 mask = upper_half.word();
    twice.limbs[0] = product.limbs[0] << 1;
    for (unsigned j = 1; j < 3; ++j) twice.limbs[j] = (product.limbs[j] << 1) | (product.limbs[j - 1] >> 63);
    for (unsigned j = 0; j < 3; ++j) product.limbs[j] = (mask & product.limbs[j]) | (~mask & twice.limbs[j]);
    for (unsigned j = 0; j < 2; ++j) cut.limbs[j] = (product.limbs[j] >> drop) | (product.limbs[j + 1] << (64 - drop));
    cut.limbs[2] = product.limbs[2] >> drop;
    const Triple whole = times_ln_of_2(power);
    const Triple table = {{near.logarithm[0], near.logarithm[1], near.logarithm[2]}};
    return normalised(add(add(negate_triple_if(below, cut), table, 0), whole, 0));
}

// A scaled number times one between 1/2 and 2, of which `point` bits stand after the point: 127 or 129.
MC2_INLINE Scaled times(Scaled a, u128 factor, i64 point) noexcept {
    const u128 product = upper(a.mantissa, factor);
    const Mask first = Mask::from_bit(static_cast<u64>(product >> 127));
    const u128 mantissa = select(first, Pair(product), Pair(product << 1)).bits();
    return {mantissa, a.exponent + Place(127 - point) + one_if(first), a.negative};
}

// --- exponentials

// e^value as a scaled number; one that is beyond all doubles for what is large.
MC2_INLINE Scaled exponential(Scaled value) noexcept {
    // The magnitude with 116 bits after the point, no more than 2^11.
    const Mask large = value.exponent >= Place(11);
    const Place by = smaller(larger(Place(11) - value.exponent, Place(0)), Place(127));
    const Mask tiny = value.exponent < Place(-116);
    u128 size = select(tiny, Pair(0), Pair(shift_right(value.mantissa, by))).bits();
    const u128 most = ~u128{0};
    size = select(large & (Pair(value.mantissa) != Pair(0)), Pair(most), Pair(size)).bits();
    const u64 count = static_cast<u64>(upper(size, log2_of_e_cut.value()) >> 115);
    const u128 rest = size - static_cast<u128>(count) * ln_of_2_cut.value();  // 0 to ln 2
    const u128 argument = rest << (128 - 116 - 4);                             // a sixteenth of it, 128 bits
    u128 sum = exp_terms[17].value();
    for (unsigned k = 17; k-- > 0;) {
        const u128 step = upper(sum, argument);
        sum = exp_terms[k].value() + select(value.negative, Pair(0 - step), Pair(step)).bits();
    }
    for (unsigned i = 0; i < 4; ++i) sum = upper(sum, sum) << 2;
    const Place power = select(value.negative, Place(0) - Place::from_bits(count), Place::from_bits(count));
    // The sum has 126 bits after the point and is from below 1/2 up to 2.
    Place exponent = power + Place(1);
    for (unsigned i = 0; i < 3; ++i) {
        const Mask empty = Mask::from_bit(static_cast<u64>(~sum >> 127));
        sum = select(empty, Pair(sum << 1), Pair(sum)).bits();
        exponent = exponent - one_if(empty);
    }
    return {sum, exponent, Mask::constant(false)};
}

MC2_INLINE u64 chosen(Mask when, u64 a, u64 b) noexcept { return select(when, Word(a), Word(b)).bits(); }

MC2_INLINE Scaled scaled(const Parts& parts) noexcept {
    const Place exponent = select(parts.zero, Place(-huge), parts.exponent);
    return {static_cast<u128>(parts.mantissa) << 75, exponent, parts.negative};
}

MC2_INLINE u64 exp_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    return chosen(x.nan, nan_bits, rounded(exponential(scaled(x))));
}

template <Curve what>
MC2_INLINE u64 log_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    Scaled found = natural(x.mantissa, x.exponent);
    if constexpr (what == Curve::log2) found = times(found, log2_of_e.value(), 127);
    if constexpr (what == Curve::log10) found = times(found, log10_of_e.value(), 129);
    u64 result = chosen(x.infinite, infinity_bits, rounded(found));
    result = chosen(x.nan | (x.negative & ~x.zero), nan_bits, result);
    return chosen(x.zero, infinity_bits | (u64{1} << 63), result);
}

template <typename Row>
MC2_INLINE void each(const double* a, double* out, std::size_t rows, Row row) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<double>(row(std::bit_cast<u64>(a[i])));
    }
}

void curve(Curve what, const double* a, double* out, std::size_t rows) noexcept {
    switch (what) {
        case Curve::exp: each(a, out, rows, [](u64 x) { return exp_of(x); }); break;
        case Curve::ln: each(a, out, rows, [](u64 x) { return log_of<Curve::ln>(x); }); break;
        case Curve::log2: each(a, out, rows, [](u64 x) { return log_of<Curve::log2>(x); }); break;
        case Curve::log10: each(a, out, rows, [](u64 x) { return log_of<Curve::log10>(x); }); break;
    }
}

// --- powers

struct Whole {
    Mask whole, odd;
};

MC2_INLINE Whole whole_of(const Parts& y) noexcept {
    u128 moved = y.mantissa;  // with its point at bit 52
    const u64 by = smaller(larger(y.exponent, Place(0)), Place(63)).bits();
    for (unsigned bit = 0; bit < 6; ++bit) {
        moved = select(Mask::from_bit(by >> bit), Pair(moved << (1u << bit)), Pair(moved)).bits();
    }
    const Mask small = y.exponent < Place(0), large = y.exponent > Place(52);
    const Mask no_fraction = Word(static_cast<u64>(moved) & fraction_bits) == Word(0);
    const Mask whole = large | (~small & no_fraction);
    return {whole, whole & ~large & Mask::from_bit(static_cast<u64>(moved) >> 52)};
}

MC2_INLINE u64 power_of(u64 a, u64 b) noexcept {
    const Parts x = parts_of(a), y = parts_of(b);
    Scaled logarithm = natural(x.mantissa, x.exponent);
    // Of zero and infinity: so large that no number that it is multiplied by makes it small.
    const Mask beyond = x.zero | x.infinite;
    logarithm.mantissa = select(beyond, Pair(u128{1} << 127), Pair(logarithm.mantissa)).bits();
    logarithm.exponent = select(beyond, Place(huge), logarithm.exponent);
    logarithm.negative = (beyond & x.zero) | (~beyond & logarithm.negative);
    const u128 product = upper(logarithm.mantissa, static_cast<u128>(y.mantissa) << 75);
    const Mask first = Mask::from_bit(static_cast<u64>(product >> 127));
    const u128 mantissa = select(first, Pair(product), Pair(product << 1)).bits();
    Scaled result = exponential({mantissa, logarithm.exponent + y.exponent + one_if(first), logarithm.negative ^ y.negative});
    const Whole exponent = whole_of(y);
    result.negative = x.negative & exponent.odd & ~y.zero;
    const Mask no_number = x.negative & ~x.zero & ~x.infinite & ~exponent.whole & ~y.infinite;
    u64 found = chosen(x.nan | y.nan | no_number, nan_bits, rounded(result));
    return chosen((Word(a) == Word(one_bits)) | y.zero, one_bits, found);
}

void power(const double* a, const double* b, double* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<double>(power_of(std::bit_cast<u64>(a[i]), std::bit_cast<u64>(b[i])));
    }
}

}  // namespace

extern const CurvesKernels curves_table;
const CurvesKernels curves_table = {curve, power};

}  // namespace mc2::oblivious::MC2_ISA
