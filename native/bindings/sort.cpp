#include "mc2/sort.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::SortWord;
using oblivious::kernels::sort;
using Columns = std::vector<OutWords>;
using Flips = std::vector<std::uint64_t>;

void require_keys(std::size_t count, const Flips& flips) {
    require(!flips.empty() && flips.size() <= oblivious::most_key_words, "there must be 1 to 8 key words");
    require(flips.size() <= count, "there are fewer words than keys");
}

std::uint64_t flip_of(const Flips& flips, std::size_t word) { return word < flips.size() ? flips[word] : 0; }

std::vector<SortWord> words_of(const Columns& columns, const Flips& flips) {
    require_keys(columns.size(), flips);
    require_rows(columns[0].shape(0));
    std::vector<SortWord> words;
    for (const OutWords& column : columns) {
        require_one_length(columns[0], column);
        words.push_back({column.data(), column.data(), 1, 1, flip_of(flips, words.size())});
    }
    return words;
}

std::vector<SortWord> words_of(const OutRows& rows, const Flips& flips) {
    require_keys(rows.shape(1), flips);
    require_rows(rows.shape(0));
    std::vector<SortWord> words;
    const std::size_t stride = rows.shape(1);
    for (std::size_t w = 0; w < stride; ++w) {
        words.push_back({rows.data() + w, rows.data() + w, stride, stride, flip_of(flips, w)});
    }
    return words;
}

}  // namespace

void bind_sort(nb::module_& m) {
    m.def(
        "sort",
        [](const Columns& columns, const Flips& flips) {
            const auto words = words_of(columns, flips);
            const std::size_t rows = columns[0].shape(0);
            nb::gil_scoped_release unlocked;
            sort().sort(words.data(), words.size(), flips.size(), rows);
        },
        "columns"_a.noconvert(), "flips"_a,
        "Sort rows, given as columns, in place by the first len(flips) columns. They compare as signed\n"
        "words after XOR with their flip: 2**63 unsigned, 2**63 - 1 unsigned and descending, 0 signed,\n"
        "2**64 - 1 signed and descending. Equal rows come in no promised order.");
    m.def(
        "sort_rows",
        [](OutRows rows, const Flips& flips) {
            const auto words = words_of(rows, flips);
            const std::size_t count = rows.shape(0);
            nb::gil_scoped_release unlocked;
            sort().sort(words.data(), words.size(), flips.size(), count);
        },
        "rows"_a.noconvert(), "flips"_a, "The same for rows of words.");
    m.def(
        "merge",
        [](const Columns& columns, const Flips& flips, std::size_t first) {
            const auto words = words_of(columns, flips);
            const std::size_t rows = columns[0].shape(0);
            require(first <= rows, "the first run is longer than the columns");
            nb::gil_scoped_release unlocked;
            sort().merge(words.data(), words.size(), flips.size(), rows, first);
        },
        "columns"_a.noconvert(), "flips"_a, "first"_a,
        "Sort rows of which the first `first` are sorted, and the others too: far cheaper than `sort`.");
    m.def(
        "merge_rows",
        [](OutRows rows, const Flips& flips, std::size_t first) {
            const auto words = words_of(rows, flips);
            const std::size_t count = rows.shape(0);
            require(first <= count, "the first run is longer than the columns");
            nb::gil_scoped_release unlocked;
            sort().merge(words.data(), words.size(), flips.size(), count, first);
        },
        "rows"_a.noconvert(), "flips"_a, "first"_a, "The same for rows of words.");
    m.def(
        "top",
        [](const std::vector<Words>& columns, const Flips& flips, const Columns& out) {
            require(columns.size() == out.size(), "there must be one output for each column");
            auto words = words_of(out, flips);
            const std::size_t kept = out[0].shape(0), rows = columns[0].shape(0);
            for (std::size_t w = 0; w < words.size(); ++w) {
                require_one_length(columns[0], columns[w]);
                words[w].in = columns[w].data();
            }
            require(kept <= rows, "there are fewer rows than are to be kept");
            require_rows(rows);
            nb::gil_scoped_release unlocked;
            sort().top(words.data(), words.size(), flips.size(), rows, kept);
        },
        "columns"_a.noconvert(), "flips"_a, "out"_a.noconvert(), "The first rows of what `sort` would give, as many as `out` has.");
}

}  // namespace mc2::bindings
