// Elementary functions of four doubles side by side, without libm: its functions look values up in
// tables and branch on them. Only additions, multiplications and integer arithmetic are used, so
// results are the same bits on every instruction set; there is no division, which takes longer for
// some operands.
#pragma once

#include <cstddef>
#include <cstring>

#include "mc2/barrier.hpp"

// Vectors are passed by value to functions that are always inlined: no convention of calls matters.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace mc2::oblivious::MC2_ISA {

typedef double Reals __attribute__((vector_size(32)));
typedef i64 Lanes64 __attribute__((vector_size(32)));
typedef float Floats __attribute__((vector_size(16)));

MC2_INLINE Lanes64 bits_of(Reals x) noexcept { return reinterpret_cast<Lanes64>(x); }
MC2_INLINE Reals from_bits(Lanes64 x) noexcept { return reinterpret_cast<Reals>(x); }
MC2_INLINE Reals reals(double x) noexcept { return Reals{x, x, x, x}; }
// Comparisons of vectors make masks; this hides them from the optimiser.
MC2_INLINE Lanes64 masked(Lanes64 mask) noexcept {
#if defined(MC2_ISA_avx2)
    __asm__ volatile("" : "+x"(mask));
#else
    __asm__ volatile("" : "+m"(mask));
#endif
    return mask;
}
// a where the mask is yes, else b.
MC2_INLINE Reals choose(Lanes64 mask, Reals a, Reals b) noexcept {
    return from_bits((masked(mask) & bits_of(a)) | (~masked(mask) & bits_of(b)));
}
MC2_INLINE Reals keep(Lanes64 mask, Reals a) noexcept { return from_bits(masked(mask) & bits_of(a)); }
MC2_INLINE Reals lesser(Reals a, Reals b) noexcept { return choose(a < b, a, b); }
MC2_INLINE Reals greater(Reals a, Reals b) noexcept { return choose(a > b, a, b); }
MC2_INLINE Reals magnitude(Reals a) noexcept { return from_bits(bits_of(a) & 0x7fffffffffffffff); }

// Whole numbers below 2^51 in magnitude, by adding 1.5 * 2^52: the last bits are the number.
inline constexpr double whole_shift = 6755399441055744.0;
// To the nearest, halves to even.
MC2_INLINE Lanes64 nearest(Reals x) noexcept { return bits_of(x + reals(whole_shift)) - bits_of(reals(whole_shift)); }
MC2_INLINE Reals real(Lanes64 x) noexcept { return from_bits(x + bits_of(reals(whole_shift))) - reals(whole_shift); }

// 1 / x for normal x above 0, to about 1 part in 2^52. An integer subtraction halves the exponent's
// sign and gives one digit; each step of Newton's doubles the digits.
MC2_INLINE Reals reciprocal(Reals x) noexcept {
    Reals y = from_bits(0x7fde623822fc16e6 - bits_of(x));
    for (int step = 0; step < 5; ++step) y = y * (reals(2.0) - x * y);
    return y;
}

// e^x, to about 2 units in the last place; x is kept within -700 .. 700.
MC2_INLINE Reals exponential(Reals x) noexcept {
    x = lesser(greater(x, reals(-700.0)), reals(700.0));
    const Lanes64 power = nearest(x * reals(1.4426950408889634));
    const Reals n = real(power);
    const Reals r = (x - n * reals(0.693147180369123816490)) - n * reals(1.90821492927058770002e-10);
    constexpr double terms[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                                1.0 / 5040,       1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5,
                                1.0,              1.0};
    Reals sum = reals(terms[0]);
    for (std::size_t i = 1; i < sizeof terms / sizeof terms[0]; ++i) sum = sum * r + reals(terms[i]);
    return from_bits(bits_of(sum) + (power << 52));
}

// log(x) for normal x above 0: 2 atanh((m - 1) / (m + 1)) + e log 2, with m from sqrt(1/2) to sqrt(2).
MC2_INLINE Reals logarithm(Reals x) noexcept {
    const Lanes64 shifted = bits_of(x) - 0x3fe6a09e667f3bcd;
    const Lanes64 exponent = shifted >> 52;
    const Reals m = from_bits(bits_of(x) - (exponent << 52));
    const Reals t = (m - reals(1.0)) * reciprocal(m + reals(1.0));
    const Reals square = t * t;
    Reals sum = reals(1.0 / 23);
    for (int i = 21; i >= 1; i -= 2) sum = sum * square + reals(1.0 / i);
    return real(exponent) * reals(0.6931471805599453) + reals(2.0) * t * sum;
}

// log of the gamma function for x from 1 to 10^15: Stirling's series at x + 8.
MC2_INLINE Reals log_gamma(Reals x) noexcept {
    Reals low = reals(1.0), high = reals(1.0);
    for (int i = 0; i < 4; ++i) low = low * (x + reals(i));
    for (int i = 4; i < 8; ++i) high = high * (x + reals(i));
    const Reals z = x + reals(8.0), inverse = reciprocal(z), square = inverse * inverse;
    const Reals series = inverse * (reals(1.0 / 12) - square * (reals(1.0 / 360) - square * (reals(1.0 / 1260) - square * reals(1.0 / 1680))));
    return (z - reals(0.5)) * logarithm(z) - z + reals(0.9189385332046727) + series - logarithm(low) - logarithm(high);
}

MC2_INLINE Reals load_floats(const float* at) noexcept {
    Floats four;
    std::memcpy(&four, at, sizeof four);
    return __builtin_convertvector(four, Reals);
}
// Rounded to floats. What is below 2^-100 becomes 0: denormal numbers take longer to compute with.
MC2_INLINE void store_floats(float* at, Reals x) noexcept {
    const Floats four = __builtin_convertvector(keep(magnitude(x) >= reals(0x1p-100), x), Floats);
    std::memcpy(at, &four, sizeof four);
}
// Bytes that are 0 or 1 as masks.
MC2_INLINE Lanes64 load_marks(const u8* at) noexcept {
    Lanes64 mask;
    for (int l = 0; l < 4; ++l) mask[l] = -static_cast<i64>(at[l] & 1);
    return masked(mask);
}

}  // namespace mc2::oblivious::MC2_ISA
