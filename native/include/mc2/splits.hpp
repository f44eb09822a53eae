// The best split of every node, and the values of leaves, from exact sums of gradients.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// XGBoost's parameters of the same names; public.
struct SplitRules {
    double lambda, alpha, gamma, min_child_weight, max_delta_step;
};

// What is public of the features.
struct SplitFeatures {
    std::size_t features;
    const u32* counts;     // bins of each
    const u8* one_hot;     // 1: bins are categories, and a split puts one of them to the right
    const u8* nullable;    // 1: rows may have none of the bins, and go to the better side
    const i8* monotone;    // 1 or -1: values of leaves may only rise, or fall, with the feature
};

// How a node sends rows to its children. A row goes left if its bin is at most `threshold` (one_hot:
// is another than `threshold`); a row without a bin goes left if `missing_left`.
inline constexpr u8 missing_left = 1, split_one_hot = 2, is_split = 4;
inline constexpr u8 missing_bin = 255;

// One for each node of a level. A node that is not split has threshold 255 and missing_left: all
// rows go left.
struct Splits {
    u32* features;
    u8* thresholds;
    u8* flags;
    double* gains;        // 0 for a node that is not split
    i64* totals;          // of both children of each node: g, h
    double* bounds;       // of the values of both children: lower, upper
};

// Of how many borders between bins a split is looked for once more, after the best one between cells.
inline constexpr std::size_t window = 16;

struct SplitsKernels {
    // `histograms` as HistogramsKernels makes them, in units of units[0] for g and units[1] for h;
    // `totals` sums of all rows of each node. A candidate counts if its node may use the feature
    // (allowed[node * features + feature]), both sides have min_child_weight, and the gain is above
    // gamma and 10^-6. Gains are rounded to 24 bits. Of equal ones the lowest feature wins, then missing to
    // the right and the lowest bin, then missing to the left and the highest bin; of categories the lowest,
    // then missing to the left.
    void (*find)(const i64* histograms, const i64* totals, const double* bounds, const u8* allowed, std::size_t nodes,
                 const SplitFeatures& features, const SplitRules& rules, const double* units, const Splits& out);
    // Splits found between cells of 2^shift bins, looked for once more between bins: in place, and only those
    // of features that are not one_hot. `windows` are sums, 17 for each node: of the bins up to the base of its
    // window, of the next 15 one by one, of all behind them. Features have `bins` bins. Of equal gains the
    // first in the order of `find` wins.
    void (*refine)(const i64* windows, const i64* totals, const double* bounds, std::size_t nodes, unsigned shift, std::size_t bins,
                   const SplitFeatures& features, const SplitRules& rules, const double* units, const Splits& out);
    // eta * weight of each leaf, as floats; 0 for all if the tree's rows have less than
    // min_child_weight. `offset` is added before the last rounding.
    void (*leaf_values)(const i64* sums, const double* bounds, std::size_t leaves, const SplitRules& rules, const double* units,
                        double eta, const double* offset, float* out) noexcept;
};

}  // namespace mc2::oblivious
