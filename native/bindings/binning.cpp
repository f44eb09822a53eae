#include "mc2/binning.hpp"

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

void bind_binning(nb::module_& m) {
    using oblivious::kernels::binning;
    m.def(
        "encode_bins",
        [](Doubles values, Marks known, Floats cuts, float missing, OutMarks out, OutWords flags) {
            require_one_length(values, known, out);
            require_rows(out.shape(0));
            require(cuts.shape(0) < most_bins, "there are at most 254 cuts");
            require_flags(flags);
            nb::gil_scoped_release unlocked;
            binning().encode(values.data(), known.data(), out.shape(0), cuts.data(), cuts.shape(0), missing, out.data(), flags.data());
        },
        "values"_a.noconvert(), "known"_a.noconvert(), "cuts"_a.noconvert(), "missing"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
        "How many cuts are at most each value, as floats; 255 for a missing one.");
    m.def(
        "encode_categories",
        [](Doubles values, Marks known, std::size_t count, float missing, OutMarks out, OutWords flags) {
            require_one_length(values, known, out);
            require_rows(out.shape(0));
            require(count >= 1 && count <= most_bins, "there are 1 to 255 categories");
            require_flags(flags);
            nb::gil_scoped_release unlocked;
            binning().encode_categories(values.data(), known.data(), out.shape(0), count, missing, out.data(), flags.data());
        },
        "values"_a.noconvert(), "known"_a.noconvert(), "count"_a, "missing"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
        "Numbers of categories; 255 for a missing one.");
    m.def(
        "cells_of_bins",
        [](Marks bins, unsigned shift, OutMarks out) {
            require_one_length(bins, out);
            require(shift < 8, "a bin has 8 bits");
            nb::gil_scoped_release unlocked;
            binning().cells(bins.data(), bins.shape(0), shift, out.data());
        },
        "bins"_a.noconvert(), "shift"_a, "out"_a.noconvert(), "The cells of 2^shift bins that bins are in; 255 stays.");
    m.def(
        "sortable_floats",
        [](Doubles values, Marks known, float missing, OutWords out) {
            require_one_length(values, known, out);
            nb::gil_scoped_release unlocked;
            binning().sortable(values.data(), known.data(), out.shape(0), missing, out.data());
        },
        "values"_a.noconvert(), "known"_a.noconvert(), "missing"_a, "out"_a.noconvert(), "Words in the order of values as floats; missing ones last.");
    m.def(
        "weighted_words",
        [](Words sortable, Doubles weights, Marks known, OutWords out) {
            require_one_length(sortable, weights, known, out);
            nb::gil_scoped_release unlocked;
            binning().weighted(sortable.data(), weights.data(), known.data(), out.shape(0), out.data());
        },
        "sortable"_a.noconvert(), "weights"_a.noconvert(), "known"_a.noconvert(), "out"_a.noconvert(),
        "Sortable words, and the weight of each in the lower half.");
    m.def(
        "choose_weighted_cuts",
        [](Words sorted, OutFloats out) {
            require_rows(sorted.shape(0));
            require(out.shape(0) < most_bins, "there are at most 254 cuts");
            nb::gil_scoped_release unlocked;
            binning().weighted_cuts(sorted.data(), sorted.shape(0), out.shape(0) + 1, out.data());
        },
        "sorted"_a.noconvert(), "out"_a.noconvert(), "Cuts at quantiles of weight, or at all values if there are few.");
    m.def(
        "choose_cuts",
        [](Words sorted, OutFloats out) {
            require_rows(sorted.shape(0));
            require(out.shape(0) < most_bins, "there are at most 254 cuts");
            nb::gil_scoped_release unlocked;
            binning().cuts(sorted.data(), sorted.shape(0), out.shape(0) + 1, out.data());
        },
        "sorted"_a.noconvert(), "out"_a.noconvert(), "Cuts at quantiles, or at all values if there are few.");
    m.def(
        "cut_values",
        [](Table<float> cuts, Numbers features, Marks thresholds, OutFloats out) {
            require_one_length(features, thresholds, out);
            nb::gil_scoped_release unlocked;
            binning().cut_values(cuts.data(), cuts.shape(0), cuts.shape(1), features.data(), thresholds.data(), out.shape(0), out.data());
        },
        "cuts"_a.noconvert(), "features"_a.noconvert(), "thresholds"_a.noconvert(), "out"_a.noconvert(), "The cuts that splits are at.");
    m.def(
        "floats",
        [](Doubles values, Marks known, Marks present, bool required, OutFloats out, OutWords flags) {
            require_one_length(values, known, present, out);
            require_flags(flags);
            nb::gil_scoped_release unlocked;
            binning().floats(values.data(), known.data(), present.data(), out.shape(0), required, out.data(), flags.data());
        },
        "values"_a.noconvert(), "known"_a.noconvert(), "present"_a.noconvert(), "required"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
        "Doubles to floats; flags[0] |= 32 for a present row without a number, if one is required.");
}

}  // namespace mc2::bindings
