// Exponentials, logarithms and powers of doubles.
//
// All is fixed-point arithmetic of integers: the same bits on every machine, in the same time. Results
// are the double nearest to the true value, but where that is within 2^-40 of its last place of the
// middle of two doubles.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Curve : u32 { exp, ln, log2, log10 };

struct CurvesKernels {
    // NaN of NaN, and logarithms of numbers below zero; minus infinity is that of zero.
    void (*curve)(Curve what, const double* a, double* out, std::size_t rows) noexcept;
    // a to the power of b, with the special cases of C99's pow.
    void (*power)(const double* a, const double* b, double* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
