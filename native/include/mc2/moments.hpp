// Sums over rows for linear models and k-means. Sums are of whole numbers: every term is rounded to
// a unit that is fixed beforehand, and the units are added exactly. So results are the same bits
// for any order of the rows, any number of threads and any instruction set.
//
// A matrix holds one feature after the other, `stride` doubles apart; rows come in whole steps of
// 64, and rows that are not present are zeros wherever values are summed. Sums are of 128 bits: a
// low and a high word.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct MomentRows {
    const double* columns;
    std::size_t stride;
    std::size_t count;
    std::size_t rows;
};

struct MomentWords {
    u64* low;
    i64* high;
};

struct MomentsKernels {
    // greatest[j] = the greatest |x_j - shifts[j]| of the present rows. Raises Flag::out_of_domain
    // for NaN, infinities and numbers above 2^150 in them.
    void (*extents)(const MomentRows& x, const u8* present, const double* shifts, double* greatest, u64* flags);
    // The power of two that brings greatest[j] between 1/2 and 1, and its inverse. Both are 0 where
    // greatest[j] is nothing beside raw[j]: a constant column. If `common`, one for all columns, and
    // 0 only if all are 0.
    void (*scales)(const double* greatest, const double* raw, std::size_t count, bool common, double* scales, double* units) noexcept;
    // out_j = (x_j - shifts[j]) * scales[j] in rows that are present, else 0.
    void (*standardise)(const MomentRows& x, const u8* present, const double* shifts, const double* scales, double* out) noexcept;

    // sums[a * count + b] = sum of weights * z_a * z_b, in units of 2^-50; all within -1 .. 1.
    void (*gram)(const MomentRows& z, const double* weights, MomentWords sums);
    // sums[a] = sum of z_a * values * scale[0], in units of 2^-50; all within -1 .. 1.
    void (*projections)(const MomentRows& z, const double* values, const double* scale, MomentWords sums);
    // out[j] = top[j] / bottom[0] * units[j]; 0 if the bottom is not above 0.
    void (*quotients)(MomentWords top, MomentWords bottom, const double* units, std::size_t count, double* out) noexcept;

    // out = sum of x_j * factors[j], added from the first to the last.
    void (*margins)(const MomentRows& x, const double* factors, double* out) noexcept;
    // out = weights * (labels - margins)
    void (*residuals)(const double* labels, const double* margins, const double* weights, std::size_t rows, double* out) noexcept;
    // residual = weights * (labels - p), curvature = weights * p * (1 - p), with p = 1 / (1 + e^-margin).
    void (*logistic)(const double* labels, const double* margins, const double* weights, std::size_t rows, double* residual,
                     double* curvature) noexcept;
    // sums[k] = sum of weights * loss at margins + 2^-k * directions, and at margins alone for
    // k = steps; in units of 2^-40, each loss at most 1000.
    void (*losses)(const double* labels, const double* margins, const double* directions, const double* weights, std::size_t rows,
                   std::size_t steps, MomentWords sums);
    // out = 1 / (1 + e^-margin)
    void (*probabilities)(const double* margins, std::size_t rows, double* out) noexcept;
    // Raises Flag::out_of_domain where a present label is neither 0 nor 1.
    void (*check_classes)(const double* labels, const u8* present, std::size_t rows, u64* flags) noexcept;

    // out[j] = amount * scales[j]^2 * weight_scale[0], and 0 behind `count`, up to `all`.
    void (*penalties)(double amount, const double* scales, const double* weight_scale, std::size_t count, std::size_t all, double* out) noexcept;
    // steps = (gram + penalties)^-1 (projections * unit[0] - penalties * factors), by Cholesky's
    // decomposition without roots. A column of which those before it leave nothing gets 0 and adds
    // one to dropped[0], unless its scale is 0: that one is constant.
    void (*solve)(MomentWords gram, MomentWords projections, const double* unit, const double* penalties, const double* scales,
                  const double* factors, std::size_t count, double* steps, u64* dropped);
    // factors += steps
    void (*add)(const double* steps, std::size_t count, double* factors) noexcept;
    // factors += 2^-k * steps with the least k that does not make the loss worse; `state` is
    // {done, rounds}. Once a whole step changes nothing any more, done becomes 1, and from then on
    // nothing changes.
    void (*advance)(MomentWords losses, std::size_t choices, std::size_t rows, const double* penalties, const double* steps,
                    std::size_t count, double* factors, u64* state) noexcept;
    // The factors for rows as they came: factors[j] * scales[j] * unit[0], and behind them the
    // constant, factors[count] * unit[0] + base[0] - sum of the others times shifts.
    void (*restore_factors)(const double* factors, const double* shifts, const double* scales, const double* base, const double* unit,
                            std::size_t count, double* out) noexcept;

    // labels = number of the nearest centre (the first of several), distances = the square of the
    // distance to it; 0 in rows that are not present. Centres lie one after the other.
    void (*nearest_centres)(const MomentRows& z, const double* centres, std::size_t clusters, const u8* present, u32* labels,
                            double* distances) noexcept;
    // sums[k * (count + 2) + j] = sum of weights * z_j in cluster k, in units of 2^-50; j = count:
    // sum of weights; j = count + 1: sum of weights * distances / spread, with the power of two
    // `spread` above 4 * count.
    void (*cluster_sums)(const MomentRows& z, const u32* labels, const double* distances, const double* weights, std::size_t clusters,
                         double spread, MomentWords sums);
    // Means of clusters; a cluster without weight keeps its centre. changed[0] = 1 if any bit did.
    void (*move_centres)(MomentWords sums, std::size_t count, std::size_t clusters, double* centres, u64* changed) noexcept;
    // The weighted sum of squared distances from the same sums, in original units.
    void (*inertia)(MomentWords sums, std::size_t count, std::size_t clusters, double spread, const double* unit,
                    const double* weight_unit, double* out) noexcept;
    // Draws a present row with a chance in proportion to weights * distances, and copies it to `centre`.
    // The draw depends on the key and on places of rows. Without any such row, the first present one.
    void (*draw_row)(const MomentRows& z, const double* weights, const double* distances, const u8* present, u64 key, double* centre) noexcept;
    // distances = the lesser of them and the squared distance to a centre.
    void (*closer)(const MomentRows& z, const double* centre, const u8* present, double* distances) noexcept;
    // Keeps of two sets of values the one with less inertia, in `values` and `best`.
    void (*keep_better)(const double* others, const double* other_inertia, std::size_t count, double* values, double* best) noexcept;
    // out[k * count + j] = centres[k * count + j] * unit[0] + shifts[j]
    void (*restore_centres)(const double* centres, const double* shifts, const double* unit, std::size_t count, std::size_t clusters,
                            double* out) noexcept;
};

}  // namespace mc2::oblivious
