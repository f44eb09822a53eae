#include "mc2/splits.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/reals.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t lanes = 4;
constexpr std::size_t most_bins = 256;
constexpr double least_gain = 1e-6;  // XGBoost's kRtEps
constexpr std::size_t threads_pay_above = 1 << 14;

// Sums of one side, in real units.
struct Side {
    Reals g, h;
};

struct Limits {
    Reals lower, upper;
};

MC2_INLINE Reals shrunk(Reals g, double alpha) noexcept {
    const Reals size = greater(magnitude(g) - reals(alpha), reals(0.0));
    return choose(g < reals(0.0), reals(0.0) - size, size);
}

MC2_INLINE Reals inverse_of(const Side& side, const SplitRules& rules) noexcept {
    const Reals sum = side.h + reals(rules.lambda);
    const Lanes64 there = sum > reals(1e-100);
    return keep(there, reciprocal(choose(there, sum, reals(1.0))));
}

MC2_INLINE Reals weight_of(const Side& side, const SplitRules& rules, const Limits& limits) noexcept {
    Reals w = reals(0.0) - shrunk(side.g, rules.alpha) * inverse_of(side, rules);
    if (rules.max_delta_step > 0) w = lesser(greater(w, reals(-rules.max_delta_step)), reals(rules.max_delta_step));
    w = keep(side.h > reals(0.0), w);
    return lesser(greater(w, limits.lower), limits.upper);
}

// What a side takes off the loss. `general`: values of leaves have limits.
MC2_INLINE Reals score_of(const Side& side, const SplitRules& rules, bool general, Reals weight) noexcept {
    Reals score;
    if (general) {
        score = reals(0.0) - (reals(2.0) * side.g * weight + (side.h + reals(rules.lambda)) * weight * weight);
    } else {
        const Reals g = shrunk(side.g, rules.alpha);
        score = g * g * inverse_of(side, rules);
    }
    return keep(side.h > reals(0.0), score);
}

// The best of the candidates that one lane has seen.
struct Best {
    Reals gain;
    Lanes64 order;  // feature << 9 | missing left << 8 | bin
    Lanes64 g, h;   // of the left side
    Reals left_weight, right_weight;
};

class Finder {
public:
    Finder(const SplitFeatures& features, const SplitRules& rules, const double* units) noexcept
        : features_(features), rules_(rules), g_unit_(reals(units[0])), h_unit_(reals(units[1])), general_(rules.max_delta_step > 0) {
        for (std::size_t f = 0; f < features.features; ++f) general_ = general_ || features.monotone[f] != 0;
    }

    void run(const i64* histogram, const i64* totals, const double* bounds, const u8* allowed, std::size_t node, const Splits& out) const noexcept {
        const Limits limits{reals(bounds[2 * node]), reals(bounds[2 * node + 1])};
        const i64 g = totals[2 * node], h = totals[2 * node + 1];
        const Side whole = side(Lanes64{} + g, Lanes64{} + h);
        const Reals base = score_of(whole, rules_, general_, weight_of(whole, rules_, limits));
        Best best{reals(0.0), Lanes64{}, Lanes64{} + g, Lanes64{} + h, reals(0.0), reals(0.0)};
        for (std::size_t f = 0; f < features_.features; ++f) {
            const Lanes64 may = masked(Lanes64{} - static_cast<i64>(allowed[node * features_.features + f] & 1));
            feature(histogram, f, g, h, base, limits, may, best);
            histogram += 2 * features_.counts[f];
        }
        choose_lane(best, g, h, node, bounds, out);
    }

private:
    MC2_INLINE Side side(Lanes64 g, Lanes64 h) const noexcept { return {real(g) * g_unit_, real(h) * h_unit_}; }

    MC2_INLINE void feature(const i64* histogram, std::size_t f, i64 g, i64 h, Reals base, const Limits& limits, Lanes64 may, Best& best) const noexcept {
        const std::size_t count = features_.counts[f];
        const bool one_hot = features_.one_hot[f] != 0;
        alignas(32) i64 sums_g[most_bins + lanes], sums_h[most_bins + lanes];
        i64 all_g = 0, all_h = 0;
        for (std::size_t b = 0; b < count; ++b) {
            all_g += histogram[2 * b];
            all_h += histogram[2 * b + 1];
            sums_g[b] = one_hot ? histogram[2 * b] : all_g;
            sums_h[b] = one_hot ? histogram[2 * b + 1] : all_h;
        }
        for (std::size_t b = count; b < count + lanes; ++b) sums_g[b] = sums_h[b] = 0;
        const i64 missing_g = g - all_g, missing_h = h - all_h;
        for (int left = 0; left <= (features_.nullable[f] != 0 ? 1 : 0); ++left) {
            for (std::size_t b = 0; b < count; b += lanes) {
                Lanes64 left_g, left_h;
                std::memcpy(&left_g, sums_g + b, sizeof left_g);
                std::memcpy(&left_h, sums_h + b, sizeof left_h);
                if (one_hot) {
                    left_g = (left != 0 ? g : g - missing_g) - left_g;
                    left_h = (left != 0 ? h : h - missing_h) - left_h;
                } else if (left != 0) {
                    left_g += missing_g;
                    left_h += missing_h;
                }
                const Lanes64 place = Lanes64{0, 1, 2, 3} + static_cast<i64>(b);
                const Lanes64 order = place + static_cast<i64>((f << 9) | (static_cast<std::size_t>(left) << 8));
                candidates(left_g, left_h, g, h, base, limits, may & (place < static_cast<i64>(count)), order, features_.monotone[f], best);
            }
        }
    }

    MC2_INLINE void candidates(Lanes64 left_g, Lanes64 left_h, i64 g, i64 h, Reals base, const Limits& limits, Lanes64 may, Lanes64 order,
                               i8 monotone, Best& best) const noexcept {
        const Side left = side(left_g, left_h), right = side(g - left_g, h - left_h);
        Reals left_weight = reals(0.0), right_weight = reals(0.0);
        if (general_) {
            left_weight = weight_of(left, rules_, limits);
            right_weight = weight_of(right, rules_, limits);
        }
        const Reals gain = score_of(left, rules_, general_, left_weight) + score_of(right, rules_, general_, right_weight) - base;
        const Reals least = reals(rules_.min_child_weight);
        Lanes64 better = may & (gain > best.gain) & (left.h >= least) & (right.h >= least) & (left.h > reals(0.0)) & (right.h > reals(0.0)) &
                         (gain > reals(least_gain)) & (gain >= reals(rules_.gamma));
        if (monotone > 0) better &= left_weight <= right_weight;
        if (monotone < 0) better &= left_weight >= right_weight;
        better = masked(better);
        best.gain = choose(better, gain, best.gain);
        best.order = (better & order) | (~better & best.order);
        best.g = (better & left_g) | (~better & best.g);
        best.h = (better & left_h) | (~better & best.h);
        if (general_) {
            best.left_weight = choose(better, left_weight, best.left_weight);
            best.right_weight = choose(better, right_weight, best.right_weight);
        }
    }

    // Of the lanes' best the one of the highest gain, and of these the first in order.
    MC2_INLINE void choose_lane(const Best& best, i64 g, i64 h, std::size_t node, const double* bounds, const Splits& out) const noexcept {
        Secret<double> gain(best.gain[0]), low(best.left_weight[0]), high(best.right_weight[0]);
        Secret<i64> order(best.order[0]), left_g(best.g[0]), left_h(best.h[0]);
        for (std::size_t l = 1; l < lanes; ++l) {
            const Secret<double> here(best.gain[l]);
            const Mask better = (here > gain) | ((here == gain) & (Secret<i64>(best.order[l]) < order));
            gain = select(better, here, gain);
            order = select(better, Secret<i64>(best.order[l]), order);
            left_g = select(better, Secret<i64>(best.g[l]), left_g);
            left_h = select(better, Secret<i64>(best.h[l]), left_h);
            low = select(better, Secret<double>(best.left_weight[l]), low);
            high = select(better, Secret<double>(best.right_weight[l]), high);
        }
        const Mask found = gain > Secret<double>(0.0);
        left_g = select(found, left_g, Secret<i64>(g));
        left_h = select(found, left_h, Secret<i64>(h));
        const u64 code = keep_if(found, order).bits();
        write(found, code, node, out);
        out.gains[node] = std::bit_cast<double>(keep_if(found, gain).bits());
        i64* totals = out.totals + 4 * node;
        totals[0] = static_cast<i64>(left_g.bits());
        totals[1] = static_cast<i64>(left_h.bits());
        totals[2] = g - totals[0];
        totals[3] = h - totals[1];
        const double middle = (std::bit_cast<double>(low.bits()) + std::bit_cast<double>(high.bits())) * 0.5;
        limit_children(found, code, middle, node, bounds, out);
    }

    MC2_INLINE void write(Mask found, u64 code, std::size_t node, const Splits& out) const noexcept {
        const u64 feature = code >> 9;
        Secret<u64> one_hot(0);
        for (std::size_t f = 0; f < features_.features; ++f) {
            if (features_.one_hot[f] != 0) one_hot = one_hot | keep_if(Secret<u64>(feature) == Secret<u64>(f), Secret<u64>(split_one_hot));
        }
        const u64 flags = ((code >> 8) & 1) * missing_left + one_hot.bits() + is_split;
        out.features[node] = static_cast<u32>(feature);
        out.thresholds[node] = static_cast<u8>(select(found, Secret<u64>(code & 255), Secret<u64>(255)).bits());
        out.flags[node] = static_cast<u8>(select(found, Secret<u64>(flags), Secret<u64>(missing_left)).bits());
    }

    MC2_INLINE void limit_children(Mask found, u64 code, double middle, std::size_t node, const double* bounds, const Splits& out) const noexcept {
        Secret<double> limits[4] = {Secret<double>(bounds[2 * node]), Secret<double>(bounds[2 * node + 1]), Secret<double>(bounds[2 * node]),
                                    Secret<double>(bounds[2 * node + 1])};
        for (std::size_t f = 0; f < features_.features; ++f) {
            if (features_.monotone[f] == 0) continue;
            const Mask here = found & (Secret<u64>(code >> 9) == Secret<u64>(f));
            const bool rising = features_.monotone[f] > 0;
            Secret<double>& of_left = limits[rising ? 1 : 0];
            Secret<double>& of_right = limits[rising ? 2 : 3];
            of_left = select(here, Secret<double>(middle), of_left);
            of_right = select(here, Secret<double>(middle), of_right);
        }
        for (std::size_t i = 0; i < 4; ++i) out.bounds[4 * node + i] = std::bit_cast<double>(limits[i].bits());
    }

    const SplitFeatures& features_;
    const SplitRules& rules_;
    Reals g_unit_, h_unit_;
    bool general_;
};

struct Work {
    const Finder* finder;
    const i64* histograms;
    const i64* totals;
    const double* bounds;
    const u8* allowed;
    std::size_t nodes, words;
    unsigned parts;
    const Splits* out;

    static void run(void* context, unsigned part) {
        const Work& self = *static_cast<const Work*>(context);
        for (std::size_t node = self.nodes * part / self.parts; node < self.nodes * (part + 1) / self.parts; ++node) {
            self.finder->run(self.histograms + node * self.words, self.totals, self.bounds, self.allowed, node, *self.out);
        }
    }
};

void find(const i64* histograms, const i64* totals, const double* bounds, const u8* allowed, std::size_t nodes, const SplitFeatures& features,
          const SplitRules& rules, const double* units, const Splits& out) {
    const Finder finder(features, rules, units);
    std::size_t words = 0;
    for (std::size_t f = 0; f < features.features; ++f) words += 2 * features.counts[f];
    const unsigned parts = nodes * words < threads_pay_above ? 1 : parts_for(nodes * words + serial_below());
    Work work{&finder, histograms, totals, bounds, allowed, nodes, words, parts, &out};
    run_parts(parts, &Work::run, &work);
}

void leaf_values(const i64* sums, const double* bounds, std::size_t leaves, const SplitRules& rules, const double* units, double eta,
                 const double* offset, float* out) noexcept {
    i64 all = 0;
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) all += sums[2 * leaf + 1];
    const Lanes64 enough = real(Lanes64{} + all) * reals(units[1]) >= reals(rules.min_child_weight);
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
        const Side side{real(Lanes64{} + sums[2 * leaf]) * reals(units[0]), real(Lanes64{} + sums[2 * leaf + 1]) * reals(units[1])};
        const Limits limits{reals(bounds[2 * leaf]), reals(bounds[2 * leaf + 1])};
        const Reals value = keep(enough, weight_of(side, rules, limits)) * reals(eta) + reals(*offset);
        float four[lanes];
        store_floats(four, value);
        out[leaf] = four[0];
    }
}

}  // namespace

extern const SplitsKernels splits_table;
const SplitsKernels splits_table = {find, leaf_values};

}  // namespace mc2::oblivious::MC2_ISA
