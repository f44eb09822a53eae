#include "mc2/histograms.hpp"

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::kernels::histograms;

void require_slots(std::size_t slots) { require(slots >= 1 && slots <= most_level, "there are 1 to 128 slots"); }

void bind_sums(nb::module_& m) {
    m.def(
        "histograms",
        [](Table<std::uint8_t> bins, Numbers counts, Table<std::int8_t> planes, Integers worth, Marks slots, std::size_t slot_count,
           OutIntegers out) {
            const std::size_t rows = slots.shape(0);
            require_steps(rows);
            require_slots(slot_count);
            const auto columns = binned(bins, counts, rows);
            const auto gradients = digits(planes, worth, rows);
            require(out.shape(0) == 2 * slot_count * all_bins(counts), "there are two sums for each slot and bin");
            nb::gil_scoped_release unlocked;
            histograms().direct(columns, gradients, slots.data(), slot_count, rows, out.data());
        },
        "bins"_a.noconvert(), "counts"_a.noconvert(), "planes"_a.noconvert(), "worth"_a.noconvert(), "slots"_a.noconvert(), "slot_count"_a,
        "out"_a.noconvert(), "Add to out the sums of g and h by slot and bin: every row is compared with every one of these.");
    m.def(
        "grouped_histograms",
        [](OutTable<std::uint8_t> records, Numbers counts, Integers worth, Marks slots, std::size_t slot_count, std::size_t tile,
           std::size_t capacity, std::size_t block, OutIntegers out, OutWords flags) {
            const std::size_t rows = slots.shape(0), width = records.shape(1);
            require_steps(rows);
            require_slots(slot_count);
            require_counts(counts);
            require_flags(flags);
            require(records.shape(0) == rows && width % 8 == 0, "records must be whole words, one for each row");
            require(width > counts.shape(0) + 2 * worth.shape(0), "records have no room for bins, digits and slot");
            require(block >= 64 && block <= 4096 && block % 64 == 0, "a block has 64 to 4096 rows, in steps of 64");
            require(tile >= 1 && capacity >= 1 && capacity <= tile, "the capacity is at most a tile");
            require(worth.shape(0) >= 1 && worth.shape(0) <= 8, "there are 1 to 8 pairs of digits");
            require(out.shape(0) == 2 * slot_count * all_bins(counts), "there are two sums for each slot and bin");
            const oblivious::BinnedColumns columns{nullptr, 0, counts.shape(0), counts.data()};
            const oblivious::Planes planes{nullptr, 0, worth.shape(0), worth.data()};
            const oblivious::Grouping grouping{tile, capacity, block};
            nb::gil_scoped_release unlocked;
            histograms().grouped(records.data(), width, columns, planes, slots.data(), slot_count, rows, grouping, out.data(), flags.data());
        },
        "records"_a.noconvert(), "counts"_a.noconvert(), "worth"_a.noconvert(), "slots"_a.noconvert(), "slot_count"_a, "tile"_a, "capacity"_a,
        "block"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
        "The same sums from records, whose rows are grouped by slot first; flags[0] |= 4 when a tile has more rows than its capacity.");
}

void bind_records(nb::module_& m) {
    m.def(
        "fill_records",
        [](Table<std::uint8_t> bins, OutTable<std::uint8_t> records) {
            const std::size_t rows = records.shape(0);
            require_steps(rows);
            require(records.shape(1) >= bins.shape(0), "records are too short");
            const auto columns = binned(bins, rows, nullptr);
            nb::gil_scoped_release unlocked;
            histograms().fill_records(columns, rows, records.data(), records.shape(1));
        },
        "bins"_a.noconvert(), "records"_a.noconvert(), "The bins of each row side by side.");
    m.def(
        "fill_digits",
        [](Table<std::int8_t> planes, Integers worth, std::size_t features, OutTable<std::uint8_t> records) {
            const std::size_t rows = records.shape(0);
            require_steps(rows);
            require(records.shape(1) >= features + planes.shape(0), "records are too short");
            const auto gradients = digits(planes, worth, rows);
            nb::gil_scoped_release unlocked;
            histograms().fill_digits(gradients, features, rows, records.data(), records.shape(1));
        },
        "planes"_a.noconvert(), "worth"_a.noconvert(), "features"_a, "records"_a.noconvert(), "Digits of gradients behind the bins.");
}

void bind_nodes(nb::module_& m) {
    m.def(
        "count_nodes",
        [](Marks nodes, OutWords out) {
            require_steps(nodes.shape(0));
            require(out.shape(0) <= 256, "a level has at most 256 nodes");
            nb::gil_scoped_release unlocked;
            histograms().count_nodes(nodes.data(), nodes.shape(0), out.shape(0), out.data());
        },
        "nodes"_a.noconvert(), "out"_a.noconvert(), "Add to out how many rows are at each node.");
    m.def(
        "choose_smaller",
        [](Words counts, OutMarks out) {
            require(counts.shape(0) == 2 * out.shape(0), "a parent has two children");
            nb::gil_scoped_release unlocked;
            histograms().choose_smaller(counts.data(), out.shape(0), out.data());
        },
        "counts"_a.noconvert(), "out"_a.noconvert(), "out[p] = 1 where the right child of p has fewer rows than the left one.");
    m.def(
        "slots_of_smaller",
        [](Marks nodes, Marks smaller, OutMarks slots) {
            require_one_length(nodes, slots);
            require(smaller.shape(0) <= most_level, "a level has at most 128 parents");
            nb::gil_scoped_release unlocked;
            histograms().slots_of_smaller(nodes.data(), smaller.data(), smaller.shape(0), nodes.shape(0), slots.data());
        },
        "nodes"_a.noconvert(), "smaller"_a.noconvert(), "slots"_a.noconvert(), "The parent of rows at the smaller child, 255 for others.");
    m.def(
        "unfold_histograms",
        [](Integers of_parents, Integers of_smaller, Marks smaller, OutIntegers out) {
            const std::size_t parents = smaller.shape(0);
            require_one_length(of_parents, of_smaller);
            require(parents >= 1 && of_parents.shape(0) % parents == 0 && out.shape(0) == 2 * of_parents.shape(0), "a parent has two children");
            nb::gil_scoped_release unlocked;
            histograms().unfold(of_parents.data(), of_smaller.data(), smaller.data(), parents, of_parents.shape(0) / parents, out.data());
        },
        "of_parents"_a.noconvert(), "of_smaller"_a.noconvert(), "smaller"_a.noconvert(), "out"_a.noconvert(),
        "Sums of both children from those of parents and of smaller children.");
    m.def(
        "add_histograms",
        [](OutIntegers sum, Integers addend) {
            require_one_length(sum, addend);
            nb::gil_scoped_release unlocked;
            histograms().add(sum.data(), addend.data(), sum.shape(0));
        },
        "sum"_a.noconvert(), "addend"_a.noconvert(), "sum[i] += addend[i].");
}

}  // namespace

void bind_histograms(nb::module_& m) {
    bind_sums(m);
    bind_records(m);
    bind_nodes(m);
}

}  // namespace mc2::bindings
