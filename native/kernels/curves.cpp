#include "mc2/curves.hpp"

#include "mc2/curve_constants.hpp"
#include "mc2/scaled.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

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

MC2_INLINE Scaled scaled_triple(Triple value) noexcept {
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
    const Place exponent = Place(191 - static_cast<i64>(log_fraction)) - moved;
    return {mantissa, select(Pair(mantissa) == Pair(0), Place(-huge), exponent), negative};
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

// The sum of terms that log and exp have, of an argument with 128 bits after the point. `alternating`:
// every second one is taken off.
template <std::size_t count>
MC2_INLINE u128 series(const Fixed128 (&terms)[count], std::size_t from, u128 argument, Mask alternating) noexcept {
    u128 sum = terms[count - 1].value();
    for (std::size_t k = count - 1; k-- > from;) {
        const u128 step = upper(sum, argument);
        sum = terms[k].value() + chosen(alternating, 0 - step, step);
    }
    return sum;
}

// ln of mantissa * 2^(exponent - 52), above zero. With m the mantissa as a number from 1 to 2, or half
// of it above 3/2, and r about 1 / m from a table: ln m = ln(1 + z) - ln r, where z = m r - 1 is exact.
MC2_APART Scaled natural(u64 mantissa, Place exponent) noexcept {
    const u64 index = (mantissa >> 46) & 63;
    const Mask upper_half = Mask::from_bit(index >> 5);
    const Interval near = interval_of(index);
    const Place power = exponent + one_if(upper_half);
    const Place one = select(upper_half, Place(i64{1} << 62), Place(i64{1} << 61));
    const Place z = Place::from_bits(mantissa * near.reciprocal) - one;
    const Mask below = is_negative(z);
    const u64 size = magnitude(z).bits();
    const u128 argument = select(upper_half, Pair(static_cast<u128>(size) << 66), Pair(static_cast<u128>(size) << 67)).bits();
    const u128 sum = series(log_terms, 0, argument, ~below);
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
    return scaled_triple(add(add(negate_triple_if(below, cut), table, 0), whole, 0));
}

// ln(1 + u) for u above -1, as precise as u however near to 0 it is.
MC2_APART Scaled natural_of_more(Scaled u) noexcept {
    const Scaled all = add(power_of_two(0), u);
    const Mask near = u.exponent < Place(-7);  // 1 + u is in the first or the last interval then
    const u64 index = static_cast<u64>(all.mantissa >> 121) & 63;
    const Mask upper_half = Mask::from_bit(index >> 5);
    const Interval interval = interval_of(index);
    // z = m r - 1 as before: what the multiplication drops is a whole number.
    const u128 cut = chosen(upper_half, all.mantissa >> 9, all.mantissa >> 8) * interval.reciprocal;
    const Mask below = Mask::from_bit(static_cast<u64>(cut >> 127));
    const Scaled far_z = normalised(chosen(below, 0 - cut, cut), Place(-1), below);
    const Scaled z = chosen(near, u, far_z);
    const u128 sum = series(log_terms, 0, fraction_of(z), ~z.negative);
    const Triple table = {{interval.logarithm[0], interval.logarithm[1], interval.logarithm[2]}};
    const Scaled rest = scaled_triple(add(table, times_ln_of_2(all.exponent + one_if(upper_half)), 0));
    return add(rest, times(z, sum << 1, 127));
}

// --- exponentials

// e^value as a scaled number; one that is beyond all doubles for what is large.
MC2_APART Scaled exponential(Scaled value) noexcept {
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
    u128 sum = series(exp_terms, 0, argument, value.negative);
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

// e^value - 1, as precise as the value however near to 0 it is.
MC2_INLINE Scaled less_one(Scaled value) noexcept {
    const Scaled far_from = add(exponential(value), negated(power_of_two(0)));
    const u128 sum = series(exp_terms, 1, fraction_of(value), value.negative);
    return chosen(value.exponent < Place(-4), times(value, sum << 1, 127), far_from);
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

MC2_INLINE u64 expm1_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    return chosen(x.nan, nan_bits, rounded(less_one(scaled(x))));
}

MC2_INLINE u64 log1p_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    return chosen(x.nan | x.infinite | x.zero, word, rounded(natural_of_more(scaled(x))));
}

MC2_INLINE u64 cbrt_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    Scaled found = exponential(times(natural(x.mantissa, x.exponent), third.value(), 129));
    found.negative = x.negative;
    return chosen(x.nan | x.infinite | x.zero, word, rounded(found));
}

// --- hyperbolas

// With e = e^|x| - 1 no digits are lost: sinh is half of e + e / (e + 1), tanh e / (e + 2) of twice x.
template <Curve what>
MC2_INLINE u64 hyperbolic_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    const Scaled size = scaled_size(x);
    Scaled found;
    if constexpr (what == Curve::sinh) {
        const Scaled less = less_one(size);
        found = raised(add(less, quotient(less, add(less, power_of_two(0)))), -1);
    } else if constexpr (what == Curve::cosh) {
        const Scaled grown = exponential(size);
        found = raised(add(grown, quotient(power_of_two(0), grown)), -1);
    } else {
        const Scaled less = less_one(raised(size, 1));
        found = quotient(less, add(less, power_of_two(1)));
    }
    if constexpr (what != Curve::cosh) found.negative = x.negative;
    return chosen(x.nan, nan_bits, rounded(found));
}

// asinh x = ln(1 + x + x^2 / (1 + sqrt(1 + x^2))), acosh x = ln(1 + t + sqrt(t (t + 2))) of t = x - 1, and
// atanh x = ln(1 + 2 x / (1 - x)) / 2.
template <Curve what>
MC2_INLINE u64 area_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    const Scaled size = scaled_size(x), one = power_of_two(0);
    Scaled found;
    Mask outside = x.nan, same = Mask::constant(false);
    if constexpr (what == Curve::asinh) {
        const Scaled square = product(size, size);
        found = natural_of_more(add(size, quotient(square, add(one, root(add(one, square))))));
        found.negative = x.negative;
        same = x.infinite;
    } else if constexpr (what == Curve::acosh) {
        const Scaled rest = add(size, negated(one));
        found = natural_of_more(add(rest, root(product(rest, add(rest, power_of_two(1))))));
        outside = outside | x.negative | (x.exponent < Place(0));
        same = x.infinite & ~x.negative;
    } else {
        const Scaled rest = add(one, negated(size));
        found = raised(natural_of_more(raised(quotient(size, rest), 1)), -1);
        const Mask whole = Word(word & ~sign_bit) == Word(one_bits);
        found.exponent = select(whole, Place(huge), found.exponent);
        found.mantissa = chosen(whole, first_bit, found.mantissa);
        found.negative = x.negative;
        outside = outside | ((x.exponent >= Place(0)) & ~whole);
    }
    return chosen(same, word, chosen(outside, nan_bits, rounded(found)));
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
        case Curve::expm1: each(a, out, rows, [](u64 x) { return expm1_of(x); }); break;
        case Curve::log1p: each(a, out, rows, [](u64 x) { return log1p_of(x); }); break;
        case Curve::cbrt: each(a, out, rows, [](u64 x) { return cbrt_of(x); }); break;
        case Curve::sinh: each(a, out, rows, [](u64 x) { return hyperbolic_of<Curve::sinh>(x); }); break;
        case Curve::cosh: each(a, out, rows, [](u64 x) { return hyperbolic_of<Curve::cosh>(x); }); break;
        case Curve::tanh: each(a, out, rows, [](u64 x) { return hyperbolic_of<Curve::tanh>(x); }); break;
        case Curve::asinh: each(a, out, rows, [](u64 x) { return area_of<Curve::asinh>(x); }); break;
        case Curve::acosh: each(a, out, rows, [](u64 x) { return area_of<Curve::acosh>(x); }); break;
        case Curve::atanh: each(a, out, rows, [](u64 x) { return area_of<Curve::atanh>(x); }); break;
    }
}

// --- powers, logarithms to a base, the long side of a triangle

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
    logarithm.mantissa = chosen(beyond, first_bit, logarithm.mantissa);
    logarithm.exponent = select(beyond, Place(huge), logarithm.exponent);
    logarithm.negative = (beyond & x.zero) | (~beyond & logarithm.negative);
    Scaled result = exponential(product(logarithm, scaled(y)));
    const Whole exponent = whole_of(y);
    result.negative = x.negative & exponent.odd & ~y.zero;
    const Mask no_number = x.negative & ~x.zero & ~x.infinite & ~exponent.whole & ~y.infinite;
    u64 found = chosen(x.nan | y.nan | no_number, nan_bits, rounded(result));
    return chosen((Word(a) == Word(one_bits)) | y.zero, one_bits, found);
}

MC2_INLINE u64 logarithm_of(u64 base, u64 of) noexcept {
    const Parts b = parts_of(base), x = parts_of(of);
    Scaled top = natural(x.mantissa, x.exponent), bottom = natural(b.mantissa, b.exponent);
    // Of infinity: so large that what is divided by it, or divides it, is nothing beside it.
    top.exponent = select(x.infinite, Place(huge), top.exponent);
    bottom.exponent = select(b.infinite, Place(huge), bottom.exponent);
    const Mask one = Word(base) == Word(one_bits), nothing = Word(of) == Word(one_bits);
    Scaled found = quotient(top, bottom);
    found.exponent = select(one, Place(huge), found.exponent);
    found.mantissa = chosen(one, first_bit, found.mantissa);
    const Mask no_number = b.nan | x.nan | (one & nothing) | (b.infinite & x.infinite);
    return chosen(no_number, nan_bits, rounded(found));
}

MC2_INLINE u64 hypotenuse_of(u64 a, u64 b) noexcept {
    const Parts x = parts_of(a), y = parts_of(b);
    const Scaled one = scaled_size(x), other = scaled_size(y);
    const u64 found = rounded(root(add(product(one, one), product(other, other))));
    return chosen(x.infinite | y.infinite, infinity_bits, chosen(x.nan | y.nan, nan_bits, found));
}

template <typename Row>
MC2_INLINE void each(const double* a, const double* b, double* out, std::size_t rows, Row row) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<double>(row(std::bit_cast<u64>(a[i]), std::bit_cast<u64>(b[i])));
    }
}

void curve_of_two(CurveOfTwo what, const double* a, const double* b, double* out, std::size_t rows) noexcept {
    switch (what) {
        case CurveOfTwo::power: each(a, b, out, rows, [](u64 x, u64 y) { return power_of(x, y); }); break;
        case CurveOfTwo::logarithm: each(a, b, out, rows, [](u64 x, u64 y) { return logarithm_of(x, y); }); break;
        case CurveOfTwo::hypotenuse: each(a, b, out, rows, [](u64 x, u64 y) { return hypotenuse_of(x, y); }); break;
    }
}

}  // namespace

extern const CurvesKernels curves_table;
const CurvesKernels curves_table = {curve, curve_of_two};

}  // namespace mc2::oblivious::MC2_ISA
