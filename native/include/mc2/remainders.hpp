// Remainders of doubles.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct RemaindersKernels {
    // C99's fmod: exact, with the sign of the dividend. NaN of NaN, of an infinite dividend and of a divisor
    // that is zero, which raises division_by_zero.
    void (*remainders)(const double* a, const double* b, const u8* counts, double* out, std::size_t rows,
                       u64* flags) noexcept;
};

}  // namespace mc2::oblivious
