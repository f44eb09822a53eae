// Numbers to bins, and cuts between bins from the numbers themselves. As in XGBoost, features are
// floats: a double is rounded to one first.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct BinningKernels {
    // out[i] = how many of the ascending cuts are at most the value; 255 for a value that is not
    // known, NaN, or equal to `missing` (as floats). Every value is compared with every cut; at most
    // 254 of these. Raises Flag::out_of_domain for an infinite value.
    void (*encode)(const double* values, const u8* known, std::size_t rows, const float* cuts, std::size_t count, float missing, u8* out,
                   u64* flags);
    // out[i] = the value itself, a category's number below `count`; 255 as above. Raises
    // Flag::out_of_domain for any other value.
    void (*encode_categories)(const double* values, const u8* known, std::size_t rows, std::size_t count, float missing, u8* out,
                              u64* flags) noexcept;

    // out[i] = bins[i] >> shift: the cell of a bin, of 2^shift bins each; 255 stays.
    void (*cells)(const u8* bins, std::size_t rows, unsigned shift, u8* out) noexcept;

    // Words that ascend with the values as floats; those without a value (as above) come last.
    void (*sortable)(const double* values, const u8* known, std::size_t rows, float missing, u64* out) noexcept;
    // The same words 32 bits higher, above the weight of each as a float; what is no weight counts as 0.
    void (*weighted)(const u64* sortable, const double* weights, const u8* known, std::size_t rows, u64* out) noexcept;
    // Cuts for at most `bins` bins from sorted words: every value but the least, if there are so few;
    // else the first values at or above quantiles. `out` has bins - 1 floats; those not needed are infinite.
    void (*cuts)(const u64* sorted, std::size_t rows, std::size_t bins, float* out);
    // The same from sorted words with weights: quantiles of weight, in units of the greatest one / 2^24.
    void (*weighted_cuts)(const u64* sorted, std::size_t rows, std::size_t bins, float* out);
    // out[i] = cuts[features[i] * width + thresholds[i]], or the greatest float if there is none so far.
    // All cuts are read for each.
    void (*cut_values)(const float* cuts, std::size_t features, std::size_t width, const u32* wanted, const u8* thresholds,
                       std::size_t count, float* out) noexcept;
    // Doubles to floats, 0 where not known; raises Flag::out_of_domain for present rows that have no
    // number, if asked to.
    void (*floats)(const double* values, const u8* known, const u8* present, std::size_t rows, bool required, float* out, u64* flags) noexcept;
};

}  // namespace mc2::oblivious
