#include "mc2/compact.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::kernels::compact;

template <typename Array, typename Pointer>
std::vector<Pointer> pointers(const std::vector<Array>& columns, std::size_t width, std::size_t count) {
    require(columns.size() == width, "there must be one column for each word of a row");
    std::vector<Pointer> all;
    for (const Array& column : columns) {
        require(column.shape(0) == count, "all columns must have one length");
        all.push_back(column.data());
    }
    return all;
}

}  // namespace

void bind_compact(nb::module_& m) {
    m.def(
        "compact",
        [](OutRows rows, Marks keep) {
            require_one_length(rows, keep);
            require_rows(rows.shape(0));
            nb::gil_scoped_release unlocked;
            compact().compact(rows.data(), rows.shape(1), rows.shape(0), keep.data());
        },
        "rows"_a.noconvert(), "keep"_a.noconvert(),
        "Move marked rows to the front, in order; the others stand behind them in reverse order.");
    m.def(
        "compact_words",
        [](OutWords words, Marks keep) {
            require_one_length(words, keep);
            require_rows(words.shape(0));
            nb::gil_scoped_release unlocked;
            compact().compact(words.data(), 1, words.shape(0), keep.data());
        },
        "words"_a.noconvert(), "keep"_a.noconvert(), "The same for rows of one word.");
    m.def(
        "restore",
        [](OutRows rows, Marks keep) {
            require_one_length(rows, keep);
            require_rows(rows.shape(0));
            nb::gil_scoped_release unlocked;
            compact().restore(rows.data(), rows.shape(1), rows.shape(0), keep.data());
        },
        "rows"_a.noconvert(), "keep"_a.noconvert(), "Undo `compact` with the same marks.");
    m.def(
        "distribute",
        [](OutRows rows, OutColumn<std::uint32_t> to) {
            require_one_length(rows, to);
            require_rows(rows.shape(0));
            nb::gil_scoped_release unlocked;
            compact().distribute(rows.data(), rows.shape(1), rows.shape(0), to.data());
        },
        "rows"_a.noconvert(), "to"_a.noconvert(),
        "Move row i to place to[i]; places ascend, and rows without one (len(rows) or more) stand last.\n"
        "Afterwards to[i] == i exactly where a row came to.");
    m.def(
        "ranks",
        [](Marks keep, OutWords out) {
            require_one_length(out, keep);
            nb::gil_scoped_release unlocked;
            compact().ranks(keep.data(), out.data(), out.shape(0));
        },
        "keep"_a.noconvert(), "out"_a.noconvert(), "out[i] = how many of keep[: i + 1] are marked.");
    m.def(
        "pack",
        [](const std::vector<Words>& columns, OutRows rows) {
            const auto from = pointers<Words, const std::uint64_t*>(columns, rows.shape(1), rows.shape(0));
            nb::gil_scoped_release unlocked;
            compact().pack(from.data(), rows.shape(1), rows.shape(0), rows.data());
        },
        "columns"_a.noconvert(), "rows"_a.noconvert(), "Write columns of words as rows.");
    m.def(
        "unpack",
        [](Rows rows, const std::vector<OutWords>& columns) {
            const auto to = pointers<OutWords, std::uint64_t*>(columns, rows.shape(1), rows.shape(0));
            nb::gil_scoped_release unlocked;
            compact().unpack(rows.data(), rows.shape(1), rows.shape(0), to.data());
        },
        "rows"_a.noconvert(), "columns"_a.noconvert(), "Write rows of words as columns.");
}

}  // namespace mc2::bindings
