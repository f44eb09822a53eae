// Gradients of objectives, in whole numbers; losses; sampling. Row by row: what a row gets depends on
// its own values and on its identity, never on where it stands.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Objective : u32 { logistic, squared_error, poisson, softmax };
enum class Metric : u32 { logloss, error, squared_error, absolute_error, mlogloss, merror, poisson_nloglik };

// Rows of a training set. Rows come in whole steps of 64; those that are not `present` weigh nothing.
struct TrainingRows {
    const float* margins;   // one column for each class: margins[class * rows + row]
    const float* labels;
    const float* weights;   // one for each row; never below 0
    const u8* present;
    std::size_t rows;
    std::size_t classes;    // 1 but for softmax
};

struct GradientsKernels {
    // g and h, one column for each class. `extra` is scale_pos_weight for the logistic objective and
    // max_delta_step for Poisson. Raises Flag::out_of_domain for labels and weights of present rows
    // that the objective rules out.
    void (*gradients)(Objective objective, const TrainingRows& rows, double extra, float* g, float* h, u64* flags);
    // greatest[0] = max(greatest[0], |a|), greatest[1] the same of b.
    void (*greatest)(const float* a, const float* b, std::size_t rows, double* greatest) noexcept;
    // sums[0] += the sum of a in units of greatest[0] / 2^30, each rounded to the nearest; sums[1] of b.
    void (*sums)(const float* a, const float* b, std::size_t rows, const double* greatest, i64* sums) noexcept;
    // Rows that the sample leaves out get g = h = 0: kept are those whose random word is below `below`.
    // The word depends on the row's identity and the key.
    void (*sample)(const u64* identity, u64 key, u32 below, std::size_t rows, float* g, float* h) noexcept;

    // A unit is greatest / (63 * 2^14), a coarse unit 2^14 of them; units[0] for g, units[1] for h.
    void (*units)(const double* greatest, double* units) noexcept;
    // Fine: to the nearest unit, as three digits of base 128 from -64 to 63, highest first; 6 planes
    // of `stride` bytes: g, h, g, h, g, h.
    void (*fine)(const float* g, const float* h, const double* greatest, std::size_t rows, std::size_t stride, i8* planes) noexcept;
    // Coarse: rounded at random to one of the two next coarse units, so that sums are right on
    // average; the random words depend on the row's identity and the key. Two planes.
    void (*coarse)(const float* g, const float* h, const double* greatest, const u64* identity, u64 key, std::size_t rows,
                   std::size_t stride, i8* planes) noexcept;
    // Random words from identities: Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random
    // numbers: as easy as 1, 2, 3", 2011).
    void (*random)(const u64* identity, u64 key, std::size_t rows, u64* out) noexcept;

    // Of each row that is present, weight * loss and weight.
    void (*losses)(Metric metric, const TrainingRows& rows, float* loss, float* weight) noexcept;
    // weight * label and weight, for the mean; for softmax the weight of rows of one class and of all.
    void (*weighted_labels)(Objective objective, u32 of_class, const TrainingRows& rows, float* product, float* weight) noexcept;
    // The margins whose prediction is the mean label, from the sums above: log odds, mean or log. For
    // softmax one for each class from two sums each, with a mean of 0; else there is one class.
    void (*margin_of_mean)(Objective objective, std::size_t classes, const i64* sums, const double* greatest, double* margins) noexcept;
    // Values from margins: probability, mean, or probabilities of all classes (row by row).
    void (*transform)(Objective objective, const float* margins, std::size_t rows, std::size_t classes, float* values);

    // One word a row that ascends with its score; below that whether its label is `target`, and its
    // weight in units of greatest[1] / 2^30, 0 for rows that are not there. Raises Flag::out_of_domain for
    // a present row whose label is none of the whole numbers below `labels_below`.
    void (*ranks)(const float* scores, const TrainingRows& rows, u32 target, u32 labels_below, const double* greatest, u64* out,
                  u64* flags) noexcept;
    // From these words in order: the share of pairs of a row with the target and one without of which
    // the first has the greater score, ties being half a pair, by weight. totals[0] += that share times
    // the weight of the target, totals[1] += this weight, totals[2] += 1 if there are such pairs.
    void (*add_area)(const u64* sorted, std::size_t rows, double* totals) noexcept;
    // The mean share of `classes` targets, in units of 2^-50, and 2^50; 0 and 0 if one has no pairs.
    void (*mean_area)(const double* totals, std::size_t classes, i64* sums) noexcept;
};

}  // namespace mc2::oblivious
