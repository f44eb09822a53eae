// Exponentials, logarithms, powers, roots and hyperbolic functions of doubles.
//
// All is fixed-point arithmetic of integers: the same bits on every machine, in the same time. Results
// are the double nearest to the true value, but where that is within 2^-40 of its last place of the
// middle of two doubles.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Curve : u32 { exp, ln, log2, log10, expm1, log1p, cbrt, sinh, cosh, tanh, asinh, acosh, atanh };
// a to the power of b; the logarithm of b to the base a; the square root of a^2 + b^2.
enum class CurveOfTwo : u32 { power, logarithm, hypotenuse };

struct CurvesKernels {
    // NaN of NaN, of what is outside of a function's domain, and of logarithms below zero; minus infinity
    // is that of zero. The logarithm of 1 more has no meaning at -1 and below.
    void (*curve)(Curve what, const double* a, double* out, std::size_t rows) noexcept;
    // With the special cases of C99's pow and hypot. Logarithms have no meaning where a number is 0 or
    // less; to the base 1 they are infinite, or NaN that of 1.
    void (*curve_of_two)(CurveOfTwo what, const double* a, const double* b, double* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
