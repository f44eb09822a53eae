#include "mc2/trees.hpp"

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::kernels::trees;

constexpr std::size_t most_depth = 8;

oblivious::Trees trees_of(std::size_t depth, const Numbers& features, const Marks& thresholds, const Marks& flags, const Floats& leaves,
                          const Numbers& classes, std::size_t class_count) {
    require(depth >= 1 && depth <= most_depth, "trees have a depth of 1 to 8");
    const std::size_t count = classes.shape(0), nodes = (std::size_t{1} << depth) - 1;
    require_one_length(features, thresholds, flags);
    require(features.shape(0) == count * nodes && leaves.shape(0) == count * (nodes + 1), "trees must be complete");
    for (std::size_t t = 0; t < count; ++t) require(classes(t) < class_count, "no such class");
    return {count, depth, features.data(), thresholds.data(), flags.data(), leaves.data(), classes.data()};
}

}  // namespace

void bind_trees(nb::module_& m) {
    m.def(
        "route_rows",
        [](Table<std::uint8_t> bins, Numbers features, Marks thresholds, Marks flags, OutMarks nodes) {
            require_steps(nodes.shape(0));
            require_one_length(features, thresholds, flags);
            require(features.shape(0) <= most_level, "a level has at most 128 nodes");
            const auto columns = binned(bins, nodes.shape(0), nullptr);
            nb::gil_scoped_release unlocked;
            trees().route(columns, nodes.shape(0), features.data(), thresholds.data(), flags.data(), features.shape(0), nodes.data());
        },
        "bins"_a.noconvert(), "features"_a.noconvert(), "thresholds"_a.noconvert(), "flags"_a.noconvert(), "nodes"_a.noconvert(),
        "From places in one level of a tree to places in the next.");
    m.def(
        "window_places",
        [](Table<std::uint8_t> bins, Numbers features, Marks thresholds, unsigned shift, Marks nodes, OutMarks out,
           OutMarks chosen) {
            require_steps(nodes.shape(0));
            require_one_length(nodes, out, chosen);
            require_one_length(features, thresholds);
            require(features.shape(0) <= most_level && shift < 8, "a level has at most 128 nodes, and a bin 8 bits");
            const auto columns = binned(bins, nodes.shape(0), nullptr);
            nb::gil_scoped_release unlocked;
            trees().places(columns, nodes.shape(0), features.data(), thresholds.data(), shift, features.shape(0), nodes.data(), out.data(),
                           chosen.data());
        },
        "bins"_a.noconvert(), "features"_a.noconvert(), "thresholds"_a.noconvert(), "shift"_a, "nodes"_a.noconvert(), "out"_a.noconvert(),
        "chosen"_a.noconvert(), "Where rows stand in the windows of their nodes, 255 for missing values; and their bins there.");
    m.def(
        "add_leaves",
        [](Marks nodes, Floats leaves, OutFloats margins) {
            require_one_length(nodes, margins);
            require_steps(nodes.shape(0));
            require(leaves.shape(0) <= 256, "a tree has at most 256 leaves");
            nb::gil_scoped_release unlocked;
            trees().add_leaves(nodes.data(), nodes.shape(0), leaves.data(), leaves.shape(0), margins.data());
        },
        "nodes"_a.noconvert(), "leaves"_a.noconvert(), "margins"_a.noconvert(), "margins[i] += leaves[nodes[i]].");
    m.def(
        "predict_trees",
        [](Table<std::uint8_t> bins, std::size_t depth, Numbers features, Marks thresholds, Marks flags, Floats leaves, Numbers classes,
           OutTable<float> margins) {
            require_steps(margins.shape(1));
            const auto columns = binned(bins, margins.shape(1), nullptr);
            const auto all = trees_of(depth, features, thresholds, flags, leaves, classes, margins.shape(0));
            nb::gil_scoped_release unlocked;
            trees().predict(columns, margins.shape(1), all, margins.data());
        },
        "bins"_a.noconvert(), "depth"_a, "features"_a.noconvert(), "thresholds"_a.noconvert(), "flags"_a.noconvert(), "leaves"_a.noconvert(),
        "classes"_a.noconvert(), "margins"_a.noconvert(), "Add the leaf of every tree to the margins, in the order of trees.");
    m.def(
        "leaf_numbers",
        [](Table<std::uint8_t> bins, std::size_t depth, Numbers features, Marks thresholds, Marks flags, Floats leaves, Numbers classes,
           OutTable<std::uint8_t> out) {
            require_steps(out.shape(1));
            require(out.shape(0) == classes.shape(0), "there is a row of leaf numbers for each tree");
            const auto columns = binned(bins, out.shape(1), nullptr);
            const auto all = trees_of(depth, features, thresholds, flags, leaves, classes, static_cast<std::size_t>(-1));
            nb::gil_scoped_release unlocked;
            trees().leaves(columns, out.shape(1), all, out.data());
        },
        "bins"_a.noconvert(), "depth"_a, "features"_a.noconvert(), "thresholds"_a.noconvert(), "flags"_a.noconvert(), "leaves"_a.noconvert(),
        "classes"_a.noconvert(), "out"_a.noconvert(), "The number of the leaf that each row reaches in each tree.");
}

}  // namespace mc2::bindings
