// Doubles and floats as decimal digits: to texts, from texts, to decimals, from decimals.
//
// Floats are kept as doubles; `narrow` says that a column is one of floats. Texts are rows of `width`
// words as in texts.hpp; what is read has no spaces around it. Decimals are pairs of words, the lower
// one first. Every answer is the exact one: the nearest number, the even one of two, or the fewest
// digits that read back, of several the nearest. Where `read` or `fits` is 0, the value is of no meaning.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

inline constexpr std::size_t spelled_real_words = 3;  // -2.2250738585072014E-308

struct DigitsKernels {
    // 0.001, 1.0, 1.0E7, -0.0, NaN, -Infinity: as Java writes it, in rows of `width` words, 4 for
    // doubles and 3 for floats.
    void (*spell_double)(const double* a, bool narrow, u64* out, std::size_t width, std::size_t rows) noexcept;
    // Digits with a sign or not, a point among them or not, an exponent or not; NaN; Infinity with a
    // sign or not. What is beyond all finite numbers is infinite.
    void (*read_double)(const u64* a, std::size_t width, bool narrow, double* out, u8* read, std::size_t rows) noexcept;
    // The fewest digits that read back, times 10^scale, rounded half away from zero. Below 10^precision,
    // or it does not fit; nor do NaN and infinities.
    void (*double_to_decimal)(const double* a, unsigned scale, unsigned precision, i128* out, u8* fits,
                              std::size_t rows) noexcept;
    // The nearest float; finite numbers beyond all floats do not fit.
    void (*double_to_float)(const double* a, double* out, u8* fits, std::size_t rows) noexcept;
    // The double or float nearest to a / 10^scale.
    void (*decimal_to_double)(const i128* a, unsigned scale, bool narrow, double* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
