#include "mc2/splits.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/reals.hpp"
#include "mc2/secret.hpp"
#include "mc2/windows.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t lanes = 4;
constexpr std::size_t most_bins = 256;
constexpr double least_gain = 1e-6;  // XGBoost's kRtEps
constexpr std::size_t threads_pay_above = 1 << 14;
constexpr int gain_bits_off = 29;  // of a double's 53, which leaves a float's 24

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

// Gains as stock XGBoost compares them, as floats: what is equal but for the last digits of doubles is
// equal. On their bits, since conversions take longer for some numbers. For gains from 0 on.
MC2_INLINE Reals rounded(Reals gain) noexcept {
    constexpr i64 unit = i64{1} << gain_bits_off;
    return from_bits((bits_of(gain) + (unit >> 1)) & -unit);
}

// The place of a candidate in the order that stock XGBoost looks in, where the first of equal gains
// wins: missing rows to the right and borders from the lowest, then missing rows to the left and
// borders from the highest; of categories the lowest, with missing rows to the left first.
MC2_INLINE Lanes64 border_order(Lanes64 bin, bool left) noexcept { return left ? (bin ^ 255) | 256 : bin; }
MC2_INLINE Lanes64 category_order(Lanes64 bin, bool left) noexcept { return (bin << 1) | (left ? 0 : 1); }

struct Place {
    Secret<u64> bin, left;
};
MC2_INLINE Place place_of(Secret<u64> order, Mask category) noexcept {
    const Secret<u64> back = (order >> 8) & Secret<u64>(1);
    const Mask backwards = back == Secret<u64>(1);
    const Secret<u64> border = (order ^ keep_if(backwards, Secret<u64>(255))) & Secret<u64>(255);
    return {select(category, (order >> 1) & Secret<u64>(255), border), select(category, (order & Secret<u64>(1)) ^ Secret<u64>(1), back)};
}

// Whether values of leaves may only rise, or only fall, with the feature of a candidate.
struct Direction {
    Lanes64 rising, falling;
};

// The best of the candidates that one lane has seen.
struct Best {
    Reals gain;
    Lanes64 order;  // feature << 9 | border_order or category_order
    Lanes64 g, h;   // of the left side
    Reals left_weight, right_weight;
};

// The best of all candidates of a node; that of no split where none was found.
struct Choice {
    Mask found;
    u64 order, gain;
    i64 left_g, left_h;
    double middle;  // between the weights of both sides
};

class Finder {
public:
    Finder(const SplitFeatures& features, const SplitRules& rules, const double* units) noexcept
        : features_(features), rules_(rules), g_unit_(reals(units[0])), h_unit_(reals(units[1])), general_(rules.max_delta_step > 0) {
        for (std::size_t f = 0; f < features.features; ++f) general_ = general_ || features.monotone[f] != 0;
    }

    void run(const i64* histogram, const i64* totals, const double* bounds, const u8* allowed, std::size_t node, const Splits& out) const noexcept {
        const Node at = node_of(totals, bounds, node);
        Best best = nothing(at);
        for (std::size_t f = 0; f < features_.features; ++f) {
            const Lanes64 may = masked(Lanes64{} - static_cast<i64>(allowed[node * features_.features + f] & 1));
            const i8 sign = features_.monotone[f];
            const Direction direction{Lanes64{} - static_cast<i64>(sign > 0), Lanes64{} - static_cast<i64>(sign < 0)};
            const Candidates all{features_.counts[f], features_.one_hot[f] != 0, features_.nullable[f] != 0, f << 9, direction};
            feature(histogram, all, at, may, best);
            histogram += 2 * features_.counts[f];
        }
        const Choice choice = chosen(best, at);
        const Mask everywhere = Mask::constant(true);
        write(everywhere, choice, split_of(choice), at, directions(Secret<u64>(choice.order >> 9)), node, out);
    }

    // One feature, of which only a window is there; which one it is is in `out`.
    void run_window(const i64* sums, const i64* totals, const double* bounds, std::size_t node, unsigned shift, std::size_t bins, const Splits& out) const noexcept {
        const Node at = node_of(totals, bounds, node);
        const Mask numeric = split_here(out.flags[node]);
        const Signs signs = directions(Secret<u64>(out.features[node]));
        const Direction direction{Lanes64{} + static_cast<i64>(signs.rising.word()), Lanes64{} + static_cast<i64>(signs.falling.word())};
        Best best = nothing(at);
        feature(sums, {window + 1, false, true, 0, direction}, at, masked(Lanes64{} - 1), best);
        const Choice choice = chosen(best, at);
        const Place found = place_of(Secret<u64>(choice.order), Mask::constant(false));
        const Secret<u32> place(static_cast<u32>(found.bin.bits())), base = window_base(out.thresholds[node], shift);
        const Mask behind = place == Secret<u32>(static_cast<u32>(window));
        const Secret<u32> threshold = select(behind, Secret<u32>(static_cast<u32>(bins - 1)), base + place);
        const Split split{out.features[node], static_cast<u8>(threshold.bits()), static_cast<u8>(found.left.bits() * missing_left + is_split)};
        write(numeric & choice.found, choice, split, at, signs, node, out);
    }

private:
    MC2_INLINE Side side(Lanes64 g, Lanes64 h) const noexcept { return {real(g) * g_unit_, real(h) * h_unit_}; }

    // Whether a node is split between numbers.
    MC2_INLINE static Mask split_here(u8 flags) noexcept {
        return Secret<u32>(flags & (is_split | split_one_hot)) == Secret<u32>(is_split);
    }

    struct Node {
        i64 g, h;
        Limits limits;
        Reals base;  // what the node takes off the loss without a split
    };
    // The borders of one feature's bins; `code` is the feature in the order of candidates.
    struct Candidates {
        std::size_t count;
        bool one_hot, nullable;
        std::size_t code;
        Direction direction;
    };
    struct Signs {
        Mask rising, falling;
    };
    struct Split {
        u32 feature;
        u8 threshold, flags;
    };

    MC2_INLINE Node node_of(const i64* totals, const double* bounds, std::size_t node) const noexcept {
        const Limits limits{reals(bounds[2 * node]), reals(bounds[2 * node + 1])};
        const i64 g = totals[2 * node], h = totals[2 * node + 1];
        const Side whole = side(Lanes64{} + g, Lanes64{} + h);
        return {g, h, limits, score_of(whole, rules_, general_, weight_of(whole, rules_, limits))};
    }

    MC2_INLINE Best nothing(const Node& at) const noexcept {
        return {reals(0.0), Lanes64{}, Lanes64{} + at.g, Lanes64{} + at.h, reals(0.0), reals(0.0)};
    }

    MC2_INLINE void feature(const i64* histogram, const Candidates& all, const Node& at, Lanes64 may, Best& best) const noexcept {
        alignas(32) i64 sums_g[most_bins + lanes], sums_h[most_bins + lanes];
        i64 all_g = 0, all_h = 0;
        for (std::size_t b = 0; b < all.count; ++b) {
            all_g += histogram[2 * b];
            all_h += histogram[2 * b + 1];
            sums_g[b] = all.one_hot ? histogram[2 * b] : all_g;
            sums_h[b] = all.one_hot ? histogram[2 * b + 1] : all_h;
        }
        for (std::size_t b = all.count; b < all.count + lanes; ++b) sums_g[b] = sums_h[b] = 0;
        const i64 missing_g = at.g - all_g, missing_h = at.h - all_h;
        const std::size_t padded = (all.count + lanes - 1) & ~(lanes - 1);
        const auto four = [&](std::size_t b, bool left) __attribute__((always_inline)) {
            Lanes64 left_g, left_h;
            std::memcpy(&left_g, sums_g + b, sizeof left_g);
            std::memcpy(&left_h, sums_h + b, sizeof left_h);
            if (all.one_hot) {
                left_g = (left ? at.g : at.g - missing_g) - left_g;
                left_h = (left ? at.h : at.h - missing_h) - left_h;
            } else if (left) {
                left_g += missing_g;
                left_h += missing_h;
            }
            const Lanes64 bin = Lanes64{0, 1, 2, 3} + static_cast<i64>(b);
            const Lanes64 order = (all.one_hot ? category_order(bin, left) : border_order(bin, left)) + static_cast<i64>(all.code);
            candidates(left_g, left_h, at, may & (bin < static_cast<i64>(all.count)), order, all.direction, best);
        };
        // In each lane in their order.
        for (std::size_t b = 0; b < padded; b += lanes) {
            if (all.one_hot) four(b, true);
            if (!all.one_hot || all.nullable) four(b, false);
        }
        if (all.one_hot || !all.nullable) return;
        for (std::size_t b = padded; b > 0; b -= lanes) four(b - lanes, true);
    }

    MC2_INLINE void candidates(Lanes64 left_g, Lanes64 left_h, const Node& at, Lanes64 may, Lanes64 order, const Direction& direction,
                               Best& best) const noexcept {
        const Side left = side(left_g, left_h), right = side(at.g - left_g, at.h - left_h);
        Reals left_weight = reals(0.0), right_weight = reals(0.0);
        if (general_) {
            left_weight = weight_of(left, rules_, at.limits);
            right_weight = weight_of(right, rules_, at.limits);
        }
        const Reals gain = rounded(score_of(left, rules_, general_, left_weight) + score_of(right, rules_, general_, right_weight) - at.base);
        const Reals least = reals(rules_.min_child_weight);
        Lanes64 better = may & (gain > best.gain) & (left.h >= least) & (right.h >= least) & (left.h > reals(0.0)) & (right.h > reals(0.0)) &
                         (gain > reals(least_gain)) & (gain >= reals(rules_.gamma));
        if (general_) better &= (~direction.rising | (left_weight <= right_weight)) & (~direction.falling | (left_weight >= right_weight));
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
    MC2_INLINE Choice chosen(const Best& best, const Node& at) const noexcept {
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
        left_g = select(found, left_g, Secret<i64>(at.g));
        left_h = select(found, left_h, Secret<i64>(at.h));
        return {found,
                keep_if(found, order).bits(),
                keep_if(found, gain).bits(),
                static_cast<i64>(left_g.bits()),
                static_cast<i64>(left_h.bits()),
                (std::bit_cast<double>(low.bits()) + std::bit_cast<double>(high.bits())) * 0.5};
    }

    MC2_INLINE Signs directions(Secret<u64> feature) const noexcept {
        Signs signs{Mask::constant(false), Mask::constant(false)};
        for (std::size_t f = 0; f < features_.features; ++f) {
            if (features_.monotone[f] == 0) continue;
            Mask& sign = features_.monotone[f] > 0 ? signs.rising : signs.falling;
            sign = sign | (feature == Secret<u64>(f));
        }
        return signs;
    }

    MC2_INLINE Split split_of(const Choice& choice) const noexcept {
        const u64 feature = choice.order >> 9;
        Secret<u64> one_hot(0);
        for (std::size_t f = 0; f < features_.features; ++f) {
            if (features_.one_hot[f] != 0) one_hot = one_hot | keep_if(Secret<u64>(feature) == Secret<u64>(f), Secret<u64>(split_one_hot));
        }
        const Place place = place_of(Secret<u64>(choice.order), one_hot == Secret<u64>(split_one_hot));
        const u64 flags = place.left.bits() * missing_left + one_hot.bits() + is_split;
        return {static_cast<u32>(feature), static_cast<u8>(select(choice.found, place.bin, Secret<u64>(255)).bits()),
                static_cast<u8>(select(choice.found, Secret<u64>(flags), Secret<u64>(missing_left)).bits())};
    }

    // Where `here` says so.
    MC2_INLINE void write(Mask here, const Choice& choice, const Split& split, const Node& at, const Signs& signs, std::size_t node, const Splits& out) const noexcept {
        replace(here, split.feature, out.features[node]);
        replace(here, split.threshold, out.thresholds[node]);
        replace(here, split.flags, out.flags[node]);
        replace(here, std::bit_cast<double>(choice.gain), out.gains[node]);
        const i64 totals[4] = {choice.left_g, choice.left_h, at.g - choice.left_g, at.h - choice.left_h};
        for (std::size_t i = 0; i < 4; ++i) replace(here, totals[i], out.totals[4 * node + i]);
        const double lower = at.limits.lower[0], upper = at.limits.upper[0];
        // Left: lower, upper; right: lower, upper.
        const Mask rising = choice.found & signs.rising, falling = choice.found & signs.falling;
        const double limits[4] = {limit(falling, choice.middle, lower), limit(rising, choice.middle, upper), limit(rising, choice.middle, lower),
                                  limit(falling, choice.middle, upper)};
        for (std::size_t i = 0; i < 4; ++i) replace(here, limits[i], out.bounds[4 * node + i]);
    }

    MC2_INLINE static double limit(Mask moved, double middle, double bound) noexcept {
        return std::bit_cast<double>(select(moved, Secret<double>(middle), Secret<double>(bound)).bits());
    }

    template <typename T>
    MC2_INLINE static void replace(Mask here, T value, T& old) noexcept {
        old = std::bit_cast<T>(select(here, Secret<T>(value), Secret<T>(old)).bits());
    }

    const SplitFeatures& features_;
    const SplitRules& rules_;
    Reals g_unit_, h_unit_;
    bool general_;
};

template <typename Run>
struct Work {
    const Run* run_node;
    std::size_t nodes;
    unsigned parts;

    static void run(void* context, unsigned part) {
        const Work& self = *static_cast<const Work*>(context);
        for (std::size_t node = self.nodes * part / self.parts; node < self.nodes * (part + 1) / self.parts; ++node) (*self.run_node)(node);
    }
};

template <typename Run>
void by_nodes(std::size_t nodes, std::size_t words, const Run& run) {
    const unsigned parts = nodes * words < threads_pay_above ? 1 : parts_for(nodes * words + serial_below());
    Work<Run> work{&run, nodes, parts};
    run_parts(parts, &Work<Run>::run, &work);
}

void find(const i64* histograms, const i64* totals, const double* bounds, const u8* allowed, std::size_t nodes, const SplitFeatures& features,
          const SplitRules& rules, const double* units, const Splits& out) {
    const Finder finder(features, rules, units);
    std::size_t words = 0;
    for (std::size_t f = 0; f < features.features; ++f) words += 2 * features.counts[f];
    by_nodes(nodes, words, [&](std::size_t node) { finder.run(histograms + node * words, totals, bounds, allowed, node, out); });
}

void refine(const i64* windows, const i64* totals, const double* bounds, std::size_t nodes, unsigned shift, std::size_t bins,
            const SplitFeatures& features, const SplitRules& rules, const double* units, const Splits& out) {
    const Finder finder(features, rules, units);
    constexpr std::size_t words = 2 * (window + 1);
    by_nodes(nodes, words, [&](std::size_t node) { finder.run_window(windows + node * words, totals, bounds, node, shift, bins, out); });
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
const SplitsKernels splits_table = {find, refine, leaf_values};

}  // namespace mc2::oblivious::MC2_ISA
