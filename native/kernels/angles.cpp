#include "mc2/angles.hpp"

#include "mc2/angle_constants.hpp"
#include "mc2/scaled.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

// --- quarters of a turn

// What is left of a number without its quarters of a turn, the nearest ones: at most pi / 4 in magnitude.
struct Reduced {
    Scaled rest;
    u64 quarters;  // modulo 4
};

constexpr unsigned window = 4, places = 17;

// 256 bits of 2 / pi from a secret bit on, which is below 64 * places.
MC2_INLINE void bits_from(Place start, u64 (&out)[window]) noexcept {
    const u64 first = start.bits() >> 6;
    u64 found[window + 1] = {};
    for (u64 place = 0; place < places; ++place) {
        const u64 here = (Word(place) == Word(first)).word();
        for (unsigned j = 0; j <= window; ++j) found[j] |= here & two_over_pi[place + j];
    }
    for (unsigned bit = 0; bit < 6; ++bit) {
        const Mask moves = Mask::from_bit(start.bits() >> bit);
        const unsigned step = 1u << bit;
        for (unsigned j = 0; j < window; ++j) {
            found[j] = chosen(moves, (found[j] << step) | (found[j + 1] >> (64 - step)), found[j]);
        }
        found[window] = chosen(moves, found[window] << step, found[window]);
    }
    for (unsigned j = 0; j < window; ++j) out[window - 1 - j] = found[j];
}

// x = mantissa * 2^k with k = exponent - 52. Bits of 2 / pi that make whole turns of the product are left
// out, so the next 256 of them times the mantissa, modulo 2^256, are the product modulo 4 with 254
// bits after the point, of which the last 54 are wrong. No double is nearer to a quarter than 2^-62.
MC2_INLINE Reduced reduced_large(const Parts& x) noexcept {
    const Place exponent = smaller(larger(x.exponent, Place(-1)), Place(1023));
    u64 bits[window], limbs[window], carry = 0;
    bits_from(exponent + Place(64 - 52 - 2), bits);
    for (unsigned j = 0; j < window; ++j) {
        const u128 part = static_cast<u128>(value_barrier(bits[j])) * x.mantissa + carry;
        limbs[j] = static_cast<u64>(part);
        carry = static_cast<u64>(part >> 64);
    }
    limbs[3] += u64{1} << 61;  // half of a quarter: the nearest one is the next one below then
    const u64 quarters = limbs[3] >> 62;
    limbs[3] = (limbs[3] & (~u64{0} >> 2)) - (u64{1} << 61);
    const Mask negative = Mask::from_bit(limbs[3] >> 63);
    carry = negative.word() & 1;
    for (u64& limb : limbs) {
        const u128 sum = static_cast<u128>(limb ^ negative.word()) + carry;
        limb = static_cast<u64>(sum);
        carry = static_cast<u64>(sum >> 64);
    }
    const Mask small = Word(limbs[3]) == Word(0);  // 128 bits of the rest, from its first word that is not 0
    const u128 above = (static_cast<u128>(limbs[3]) << 64) | limbs[2], below = (static_cast<u128>(limbs[2]) << 64) | limbs[1];
    // Bits that are shifted out at the front are zeros; what comes in behind them is the next word.
    Scaled part = normalised(chosen(small, below, above), select(small, Place(-63), Place(1)), negative);
    const Place moved = select(small, Place(-63), Place(1)) - part.exponent;
    const u64 next = chosen(small, limbs[0], limbs[1]);
    part.mantissa |= shift_right(static_cast<u128>(next) << 64, smaller(Place(128) - moved, Place(127)));
    return {times(part, half_pi.value(), 127), quarters};
}

MC2_INLINE Reduced reduced(const Parts& x) noexcept {
    const Reduced large = reduced_large(x);
    const Mask small = x.exponent < Place(-1);
    return {chosen(small, scaled_size(x), large.rest), chosen(small, u64{0}, large.quarters)};
}

// --- sines and cosines

// The sine or the cosine of what is at most 1 in magnitude.
MC2_INLINE Scaled wave(Scaled rest, Mask cosine) noexcept {
    const u128 square = fraction_of(product(rest, rest));
    u128 sum = 0;
    for (unsigned k = std::size(sine_terms); k-- > 0;) {
        sum = chosen(cosine, cosine_terms[k].value(), sine_terms[k].value()) - upper(sum, square);
    }
    return times(chosen(cosine, power_of_two(0), rest), sum, 127);
}

template <Angle what>
MC2_APART u64 wave_of(u64 word) noexcept {
    const Parts x = parts_of(word);
    const Reduced near = reduced(x);
    Scaled found;
    if constexpr (what == Angle::tan) {
        const Mask odd = Mask::from_bit(near.quarters);
        const Scaled sine = wave(near.rest, Mask::constant(false)), cosine = wave(near.rest, Mask::constant(true));
        found = quotient(chosen(odd, cosine, sine), chosen(odd, sine, cosine));
        found.negative = found.negative ^ odd ^ x.negative;
    } else {
        const u64 quarters = near.quarters + (what == Angle::cos ? 1 : 0);
        found = wave(near.rest, Mask::from_bit(quarters));
        found.negative = found.negative ^ Mask::from_bit(quarters >> 1);
        if constexpr (what == Angle::sin) found.negative = found.negative ^ x.negative;
    }
    return chosen(x.nan | x.infinite, nan_bits, rounded(found));
}

// --- angles

// The angle of a point whose numbers are not below 0. With c the nearest of 0, 1/32, ..., 1 to the tangent
// t, of the shorter side over the longer one: atan t = atan c + atan((t - c) / (1 + c t)).
MC2_APART Scaled angle_of(Scaled y, Scaled x) noexcept {
    const Mask steep = (x.exponent < y.exponent) | ((x.exponent == y.exponent) & (Pair(x.mantissa) < Pair(y.mantissa)));
    const Scaled across = chosen(steep, x, y), along = chosen(steep, y, x);
    const Place apart = smaller(along.exponent - across.exponent, Place(127));
    const u64 part = static_cast<u64>(shift_right(across.mantissa, apart) >> 72), whole = static_cast<u64>(along.mantissa >> 72);
    Word nearest(0);
    for (unsigned step = 32; step > 0; step /= 2) {
        const Word tried = nearest + Word(step);
        const Mask reached = Word(part << 6) >= (tried + tried - Word(1)) * Word(whole);
        nearest = select(reached, tried, nearest);
    }
    Fixed128 known{};
    for (u64 i = 0; i < std::size(angles_of_parts); ++i) {
        const u64 here = (Word(i) == nearest).word();
        known.low |= here & angles_of_parts[i].low;
        known.high |= here & angles_of_parts[i].high;
    }
    const u64 count = nearest.bits();
    const Mask plus = Mask::constant(false);
    const Scaled over = add(across, normalised((along.mantissa >> 5) * count, along.exponent, ~plus));
    const Scaled tangent = quotient(over, add(along, normalised((across.mantissa >> 5) * count, across.exponent, plus)));
    const u128 square = fraction_of(product(tangent, tangent));
    u128 sum = 0;
    for (unsigned k = std::size(angle_terms); k-- > 0;) sum = angle_terms[k].value() - upper(sum, square);
    const Scaled rest = times(tangent, sum, 127);
    const Scaled flat = add(normalised(known.value(), Place(-1), plus), rest);
    const Scaled quarter = {half_pi.value(), Place(0), plus};
    return chosen(steep, add(quarter, negated(flat)), flat);
}

// The same where x is below 0.
MC2_INLINE Scaled turned_if(Mask negative, Scaled angle) noexcept {
    const Scaled half = {half_pi.value(), Place(1), Mask::constant(false)};
    return chosen(negative, add(half, negated(angle)), angle);
}

template <Angle what>
MC2_INLINE u64 angle_of_one(u64 word) noexcept {
    const Parts x = parts_of(word);
    const Scaled size = scaled_size(x), one = power_of_two(0);
    Scaled found;
    Mask outside = x.nan;
    if constexpr (what == Angle::atan) {
        found = angle_of(size, one);
    } else {
        const Scaled other = root(product(add(one, negated(size)), add(one, size)));
        found = what == Angle::asin ? angle_of(size, other) : turned_if(x.negative, angle_of(other, size));
        outside = outside | (Word(word & ~sign_bit) > Word(one_bits));
    }
    if constexpr (what != Angle::acos) found.negative = x.negative;
    return chosen(outside, nan_bits, rounded(found));
}

MC2_INLINE u64 angle_of_two(u64 a, u64 b) noexcept {
    const Parts y = parts_of(a), x = parts_of(b);
    Scaled found = turned_if(x.negative, angle_of(scaled_size(y), scaled_size(x)));
    found.negative = y.negative;
    return chosen(x.nan | y.nan, nan_bits, rounded(found));
}

template <typename Row>
MC2_INLINE void each(const double* a, double* out, std::size_t rows, Row row) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = std::bit_cast<double>(row(std::bit_cast<u64>(a[i])));
}

void angle(Angle what, const double* a, double* out, std::size_t rows) noexcept {
    switch (what) {
        case Angle::sin: each(a, out, rows, [](u64 x) { return wave_of<Angle::sin>(x); }); break;
        case Angle::cos: each(a, out, rows, [](u64 x) { return wave_of<Angle::cos>(x); }); break;
        case Angle::tan: each(a, out, rows, [](u64 x) { return wave_of<Angle::tan>(x); }); break;
        case Angle::asin: each(a, out, rows, [](u64 x) { return angle_of_one<Angle::asin>(x); }); break;
        case Angle::acos: each(a, out, rows, [](u64 x) { return angle_of_one<Angle::acos>(x); }); break;
        case Angle::atan: each(a, out, rows, [](u64 x) { return angle_of_one<Angle::atan>(x); }); break;
    }
}

void angle_of_point(const double* y, const double* x, double* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<double>(angle_of_two(std::bit_cast<u64>(y[i]), std::bit_cast<u64>(x[i])));
    }
}

}  // namespace

extern const AnglesKernels angles_table;
const AnglesKernels angles_table = {angle, angle_of_point};

}  // namespace mc2::oblivious::MC2_ISA
