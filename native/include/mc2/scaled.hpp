// Numbers with 128 bits of mantissa, of integers alone: the same bits on every machine, in the same
// time. Doubles are taken apart and put together here.
//
// Each operation cuts what it cannot keep: `product`, `quotient`, `root` and `add` are less than 2^-121
// of their value away from the true one.
#pragma once

#include <bit>
#include <iterator>

#include "mc2/arithmetic.hpp"

namespace mc2::oblivious::MC2_ISA {

using Word = Secret<u64>;
using Pair = Secret<u128>;
using Place = Secret<i64>;

inline constexpr u64 fraction_bits = 0x000fffffffffffff, hidden_bit = u64{1} << 52, sign_bit = u64{1} << 63;
inline constexpr u64 nan_bits = 0x7ff8000000000000, infinity_bits = 0x7ff0000000000000, one_bits = 0x3ff0000000000000;
inline constexpr i64 huge = 1 << 14;  // an exponent beyond all that are computed with
inline constexpr u128 first_bit = u128{1} << 127;

// A fixed-point number, the lowest word first.
struct Fixed128 {
    u64 low, high;
    MC2_INLINE constexpr u128 value() const noexcept { return (static_cast<u128>(high) << 64) | low; }
};

MC2_INLINE Place one_if(Mask when) noexcept { return Place(static_cast<i64>(when.word() & 1)); }
MC2_INLINE u64 chosen(Mask when, u64 a, u64 b) noexcept { return select(when, Word(a), Word(b)).bits(); }
MC2_INLINE u128 chosen(Mask when, u128 a, u128 b) noexcept { return select(when, Pair(a), Pair(b)).bits(); }

// The upper half of a product.
MC2_INLINE u128 upper(u128 a, u128 b) noexcept {
    const Wide product = multiply_wide(Pair(a), Pair(b));
    return (static_cast<u128>(product.limbs[3]) << 64) | product.limbs[2];
}
MC2_INLINE u64 upper(u64 a, u64 b) noexcept {
    return static_cast<u64>((static_cast<u128>(value_barrier(a)) * b) >> 64);
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

MC2_INLINE Scaled scaled(const Parts& parts) noexcept {
    const Place exponent = select(parts.zero, Place(-huge), select(parts.infinite, Place(huge), parts.exponent));
    return {static_cast<u128>(parts.mantissa) << 75, exponent, parts.negative};
}

MC2_INLINE Scaled scaled_size(const Parts& parts) noexcept {
    Scaled found = scaled(parts);
    found.negative = Mask::constant(false);
    return found;
}

// A power of two.
MC2_INLINE Scaled power_of_two(i64 exponent) noexcept { return {first_bit, Place(exponent), Mask::constant(false)}; }

// Shifted to the right by a secret number of bits, at most 127; what is lost leaves its lowest bit.
MC2_INLINE u128 shift_right(u128 value, Place by) noexcept {
    for (unsigned bit = 0; bit < 7; ++bit) {
        const unsigned step = 1u << bit;
        const Mask lost = Pair(value & ((u128{1} << step) - 1)) != Pair(0);
        const u128 moved = (value >> step) | (lost.word() & 1);
        value = chosen(Mask::from_bit(by.bits() >> bit), moved, value);
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
    return found.bits() | (value.negative.word() & sign_bit);
}

// --- arithmetic

// mantissa / 2^127 * 2^exponent of any mantissa.
MC2_INLINE Scaled normalised(u128 mantissa, Place exponent, Mask negative) noexcept {
    for (unsigned step = 64; step > 0; step /= 2) {
        const Mask empty = Pair(mantissa >> (128 - step)) == Pair(0);
        mantissa = chosen(empty, mantissa << step, mantissa);
        exponent = exponent - (one_if(empty) << std::countr_zero(step));
    }
    const Mask zero = Pair(mantissa) == Pair(0);
    return {mantissa, select(zero, Place(-huge), exponent), negative};
}

// The magnitude with 128 bits after the point, of what is below 1.
MC2_INLINE u128 fraction_of(Scaled value) noexcept {
    const Place by = Place(-1) - value.exponent;
    const u128 found = shift_right(value.mantissa, smaller(larger(by, Place(0)), Place(127)));
    return chosen(by > Place(127), u128{0}, found);
}

MC2_INLINE Scaled chosen(Mask when, Scaled a, Scaled b) noexcept {
    const Mask negative = (when & a.negative) | (~when & b.negative);
    return {chosen(when, a.mantissa, b.mantissa), select(when, a.exponent, b.exponent), negative};
}

// Times a power of two.
MC2_INLINE Scaled raised(Scaled a, i64 by) noexcept { return {a.mantissa, a.exponent + Place(by), a.negative}; }

MC2_INLINE Scaled negated(Scaled a) noexcept { return {a.mantissa, a.exponent, ~a.negative}; }

// A scaled number times factor / 2^point, the factor from 2^126 on.
MC2_INLINE Scaled times(Scaled a, u128 factor, i64 point) noexcept {
    u128 found = upper(a.mantissa, factor);
    Place exponent = a.exponent + Place(128 - point);
    for (unsigned i = 0; i < 2; ++i) {
        const Mask empty = Mask::from_bit(static_cast<u64>(~found >> 127));
        found = chosen(empty, found << 1, found);
        exponent = exponent - one_if(empty);
    }
    return {found, exponent, a.negative};
}

MC2_INLINE Scaled product(Scaled a, Scaled b) noexcept {
    const Scaled found = times(a, b.mantissa, 127);
    return {found.mantissa, found.exponent + b.exponent, a.negative ^ b.negative};
}

MC2_INLINE Scaled add(Scaled a, Scaled b) noexcept {
    const Mask less = (a.exponent < b.exponent) | ((a.exponent == b.exponent) & (Pair(a.mantissa) < Pair(b.mantissa)));
    const Scaled large = chosen(less, b, a), small = chosen(less, a, b);
    const u128 moved = shift_right(small.mantissa, smaller(large.exponent - small.exponent, Place(127)));
    const Mask opposed = a.negative ^ b.negative;
    const u128 sum = large.mantissa + chosen(opposed, 0 - moved, moved);
    const Mask carried = ~opposed & (Pair(sum) < Pair(large.mantissa));
    const u128 kept = chosen(carried, (sum >> 1) | first_bit, sum);
    return normalised(kept, large.exponent + one_if(carried), large.negative);
}

// 2^254 / mantissa, from below. Each step of Newton's doubles the digits, of which the first line has four.
MC2_INLINE u128 reciprocal_of(u128 mantissa) noexcept {
    constexpr u64 above = 0xb4b4b4b4b4b4b4b4, slope = 0x7878787878787878;  // 48/17 and 32/17 of 2^62
    const u64 high = static_cast<u64>(mantissa >> 64);
    u64 near = above - upper(slope, high);
    for (unsigned step = 0; step < 4; ++step) near = upper(near, (u64{1} << 63) - upper(high, near)) << 2;
    u128 found = static_cast<u128>(near) << 64;
    for (unsigned step = 0; step < 2; ++step) found = upper(found, first_bit - upper(mantissa, found)) << 2;
    return found;
}

// Of no meaning where the divisor is 0.
MC2_INLINE Scaled quotient(Scaled a, Scaled b) noexcept {
    const u128 found = upper(a.mantissa, reciprocal_of(b.mantissa)) << 1;
    const Mask first = Mask::from_bit(static_cast<u64>(found >> 127));
    const Place exponent = a.exponent - b.exponent - one_if(~first);
    return {chosen(first, found, found << 1), exponent, a.negative ^ b.negative};
}

// The square root of what is not below 0.
MC2_INLINE Scaled root(Scaled a) noexcept {
    constexpr u64 above = 0x8851eb851eb851eb, slope = 0x4d70a3d70a3d70a3;  // 2.13 and 1.21 of 2^62
    const Mask odd = Mask::from_bit(a.exponent.bits());
    const u128 square = chosen(odd, a.mantissa, a.mantissa >> 1);  // from 1/4 to 1, 128 bits after the point
    const u64 high = static_cast<u64>(square >> 64);
    // One over the root: y (3 - x y^2) / 2 is nearer to it than y.
    u64 near = above - upper(slope, high);
    for (unsigned step = 0; step < 5; ++step) {
        near = upper(near, (u64{3} << 60) - upper(high, upper(near, near))) << 3;
    }
    u128 found = static_cast<u128>(near) << 64;
    for (unsigned step = 0; step < 2; ++step) {
        found = upper(found, (u128{3} << 124) - upper(square, upper(found, found))) << 3;
    }
    const u128 size = upper(square, found) << 2;
    const Mask first = Mask::from_bit(static_cast<u64>(size >> 127));
    const Place exponent = ((a.exponent + Place(2)) >> 1) - Place(1) - one_if(~first);
    return {chosen(first, size, size << 1), exponent, Mask::constant(false)};
}

}  // namespace mc2::oblivious::MC2_ISA
