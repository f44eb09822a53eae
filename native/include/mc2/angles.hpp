// Sines, cosines and tangents of doubles, and the angles that belong to them.
//
// As in curves.hpp: fixed-point arithmetic of integers, and the double nearest to the true value, but
// where that is within 2^-40 of its last place of the middle of two doubles.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Angle : u32 { sin, cos, tan, asin, acos, atan };

struct AnglesKernels {
    // NaN of NaN, of infinity where there is no limit, and of sines and cosines beyond -1 and 1.
    void (*angle)(Angle what, const double* a, double* out, std::size_t rows) noexcept;
    // The angle of the points (x, y), with the special cases of C99's atan2.
    void (*angle_of_point)(const double* y, const double* x, double* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
