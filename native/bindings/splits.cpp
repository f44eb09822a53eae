#include "mc2/splits.hpp"

#include <nanobind/stl/tuple.h>

#include <tuple>

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::kernels::splits;
// lambda, alpha, gamma, min_child_weight, max_delta_step
using Rules = std::tuple<double, double, double, double, double>;

oblivious::SplitRules rules_of(const Rules& rules) {
    const auto& [lambda, alpha, gamma, weight, step] = rules;
    require(lambda >= 0 && alpha >= 0 && gamma >= 0 && weight >= 0 && step >= 0, "no rule may be below 0");
    return {lambda, alpha, gamma, weight, step};
}

}  // namespace

void bind_splits(nb::module_& m) {
    m.def(
        "find_splits",
        [](Integers histograms, Integers totals, Doubles bounds, Table<std::uint8_t> allowed, Numbers counts, Marks one_hot, Marks nullable,
           Column<std::int8_t> monotone, Rules rules, Doubles units, OutNumbers features, OutMarks thresholds, OutMarks flags, OutDoubles gains,
           OutIntegers child_totals, OutDoubles child_bounds) {
            const std::size_t nodes = features.shape(0);
            require_counts(counts);
            require_one_length(counts, one_hot, nullable, monotone);
            require_one_length(features, thresholds, flags, gains);
            require(nodes <= most_level, "a level has at most 128 nodes");
            require(allowed.shape(0) == nodes && allowed.shape(1) == counts.shape(0), "every node allows or forbids each feature");
            require(histograms.shape(0) == 2 * nodes * all_bins(counts), "there are two sums for each node and bin");
            require(totals.shape(0) == 2 * nodes && bounds.shape(0) == 2 * nodes && child_totals.shape(0) == 4 * nodes &&
                        child_bounds.shape(0) == 4 * nodes && units.shape(0) == 2,
                    "there are two numbers for each node");
            const oblivious::SplitFeatures all{counts.shape(0), counts.data(), one_hot.data(), nullable.data(), monotone.data()};
            const oblivious::Splits out{features.data(), thresholds.data(), flags.data(), gains.data(), child_totals.data(), child_bounds.data()};
            const oblivious::SplitRules with = rules_of(rules);
            nb::gil_scoped_release unlocked;
            splits().find(histograms.data(), totals.data(), bounds.data(), allowed.data(), nodes, all, with, units.data(), out);
        },
        "histograms"_a.noconvert(), "totals"_a.noconvert(), "bounds"_a.noconvert(), "allowed"_a.noconvert(), "counts"_a.noconvert(),
        "one_hot"_a.noconvert(), "nullable"_a.noconvert(), "monotone"_a.noconvert(), "rules"_a, "units"_a.noconvert(), "features"_a.noconvert(),
        "thresholds"_a.noconvert(), "flags"_a.noconvert(), "gains"_a.noconvert(), "child_totals"_a.noconvert(), "child_bounds"_a.noconvert(),
        "The best split of every node of a level.");
    m.def(
        "refine_splits",
        [](Integers windows, Integers totals, Doubles bounds, unsigned shift, std::size_t bins, Marks one_hot, Column<std::int8_t> monotone,
           Rules rules, Doubles units, OutNumbers features, OutMarks thresholds, OutMarks flags, OutDoubles gains, OutIntegers child_totals,
           OutDoubles child_bounds) {
            const std::size_t nodes = features.shape(0);
            require_one_length(one_hot, monotone);
            require_one_length(features, thresholds, flags, gains);
            require(nodes <= most_level && shift < 8, "a level has at most 128 nodes, and a bin 8 bits");
            require(bins >= 1 && bins <= most_bins, "a feature has 1 to 255 bins");
            require(windows.shape(0) == 2 * nodes * (oblivious::window + 1), "there are two sums for each node and place in its window");
            require(totals.shape(0) == 2 * nodes && bounds.shape(0) == 2 * nodes && child_totals.shape(0) == 4 * nodes &&
                        child_bounds.shape(0) == 4 * nodes && units.shape(0) == 2,
                    "there are two numbers for each node");
            const oblivious::SplitFeatures all{one_hot.shape(0), nullptr, one_hot.data(), nullptr, monotone.data()};
            const oblivious::Splits out{features.data(), thresholds.data(), flags.data(), gains.data(), child_totals.data(), child_bounds.data()};
            const oblivious::SplitRules with = rules_of(rules);
            nb::gil_scoped_release unlocked;
            splits().refine(windows.data(), totals.data(), bounds.data(), nodes, shift, bins, all, with, units.data(), out);
        },
        "windows"_a.noconvert(), "totals"_a.noconvert(), "bounds"_a.noconvert(), "shift"_a, "bins"_a, "one_hot"_a.noconvert(),
        "monotone"_a.noconvert(), "rules"_a, "units"_a.noconvert(), "features"_a.noconvert(), "thresholds"_a.noconvert(), "flags"_a.noconvert(),
        "gains"_a.noconvert(), "child_totals"_a.noconvert(), "child_bounds"_a.noconvert(),
        "Look for the splits between cells once more, between the bins around them.");
    m.def(
        "leaf_values",
        [](Integers sums, Doubles bounds, Rules rules, Doubles units, double eta, Doubles offset, OutFloats out) {
            const std::size_t leaves = out.shape(0);
            require(sums.shape(0) == 2 * leaves && bounds.shape(0) == 2 * leaves && units.shape(0) == 2 && offset.shape(0) == 1,
                    "there are two numbers for each leaf");
            const oblivious::SplitRules with = rules_of(rules);
            nb::gil_scoped_release unlocked;
            splits().leaf_values(sums.data(), bounds.data(), leaves, with, units.data(), eta, offset.data(), out.data());
        },
        "sums"_a.noconvert(), "bounds"_a.noconvert(), "rules"_a, "units"_a.noconvert(), "eta"_a, "offset"_a.noconvert(), "out"_a.noconvert(),
        "The values of a tree's leaves.");
}

}  // namespace mc2::bindings
