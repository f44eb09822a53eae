#include "mc2/scan.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::kernels::scan;
using Integers = Column<std::int64_t>;
using OutIntegers = OutColumn<std::int64_t>;
using Doubles = Column<double>;
using OutDoubles = OutColumn<double>;

constexpr std::size_t most_codes = 256;

void require_word(const OutWords& flags) { require(flags.shape(0) == 1, "flags must be one word"); }

}  // namespace

void bind_scan(nb::module_& m) {
    m.def(
        "starts",
        [](const std::vector<Words>& columns, OutMarks out) {
            std::vector<const std::uint64_t*> all;
            for (const Words& column : columns) {
                require_one_length(out, column);
                all.push_back(column.data());
            }
            nb::gil_scoped_release unlocked;
            scan().starts(all.data(), all.size(), out.shape(0), out.data());
        },
        "columns"_a.noconvert(), "out"_a.noconvert(), "out[i] = 1 where row i differs from the row before it, and at row 0.");
    m.def(
        "ends",
        [](Marks starts, OutMarks out) {
            require_one_length(out, starts);
            nb::gil_scoped_release unlocked;
            scan().ends(starts.data(), out.shape(0), out.data());
        },
        "starts"_a.noconvert(), "out"_a.noconvert(), "out[i] = 1 at the last row of each group.");
    m.def(
        "running_count",
        [](Marks starts, Marks keep, OutWords out) {
            require_one_length(out, starts, keep);
            nb::gil_scoped_release unlocked;
            scan().count(starts.data(), keep.data(), out.shape(0), out.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "out"_a.noconvert(), "How many rows of the group are kept so far.");
    m.def(
        "running_sum",
        [](Marks starts, Marks keep, Integers values, OutWords low, OutIntegers high) {
            require_one_length(low, starts, keep, values, high);
            nb::gil_scoped_release unlocked;
            scan().sum_i64(starts.data(), keep.data(), values.data(), low.shape(0), low.data(), high.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "low"_a.noconvert(), "high"_a.noconvert(),
        "The sum of the group's kept values so far, exact in 128 bits.");
    m.def(
        "running_sum_wide",
        [](Marks starts, Marks keep, Words in_low, Integers in_high, OutWords low, OutIntegers high, OutWords flags) {
            require_one_length(low, starts, keep, in_low, in_high, high);
            require_word(flags);
            nb::gil_scoped_release unlocked;
            scan().sum_i128(starts.data(), keep.data(), in_low.data(), in_high.data(), low.shape(0), low.data(), high.data(), flags.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "in_low"_a.noconvert(), "in_high"_a.noconvert(), "low"_a.noconvert(),
        "high"_a.noconvert(), "flags"_a.noconvert(), "The same for addends of 128 bits; flags[0] |= 1 when a sum does not fit.");
    m.def(
        "running_sum_doubles",
        [](Marks starts, Marks keep, Doubles values, OutDoubles out) {
            require_one_length(out, starts, keep, values);
            nb::gil_scoped_release unlocked;
            scan().sum_f64(starts.data(), keep.data(), values.data(), out.shape(0), out.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "out"_a.noconvert(),
        "The sum of the group's kept doubles so far, added in the order of the rows.");
    m.def(
        "running_extreme",
        [](Marks starts, Marks keep, Integers values, bool largest, OutIntegers out) {
            require_one_length(out, starts, keep, values);
            nb::gil_scoped_release unlocked;
            scan().extreme(starts.data(), keep.data(), values.data(), out.shape(0), largest, out.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "largest"_a, "out"_a.noconvert(),
        "The smallest or largest of the group's kept values so far.");
    m.def(
        "fill_forward",
        [](Marks starts, Marks keep, Words values, OutWords out, OutMarks seen) {
            require_one_length(out, starts, keep, values, seen);
            nb::gil_scoped_release unlocked;
            scan().fill_forward(starts.data(), keep.data(), values.data(), out.shape(0), out.data(), seen.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "out"_a.noconvert(), "seen"_a.noconvert(),
        "The group's last kept value so far, and whether there was one.");
    m.def(
        "fill_backward",
        [](Marks starts, Marks keep, Words values, OutWords out, OutMarks seen) {
            require_one_length(out, starts, keep, values, seen);
            nb::gil_scoped_release unlocked;
            scan().fill_backward(starts.data(), keep.data(), values.data(), out.shape(0), out.data(), seen.data());
        },
        "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "out"_a.noconvert(), "seen"_a.noconvert(),
        "The group's next kept value from here on, and whether there is one.");
    m.def(
        "sum_by_code",
        [](Marks codes, Marks keep, Integers values, OutWords low, OutIntegers high, OutWords flags) {
            require_one_length(codes, keep, values);
            require_one_length(low, high);
            require(low.shape(0) <= most_codes, "a domain has at most 256 codes");
            require_word(flags);
            nb::gil_scoped_release unlocked;
            scan().sum_by_code(codes.data(), keep.data(), values.data(), codes.shape(0), low.shape(0), low.data(), high.data(), flags.data());
        },
        "codes"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "low"_a.noconvert(), "high"_a.noconvert(),
        "flags"_a.noconvert(), "Each code's sum in 128 bits; flags[0] |= 32 when a kept code is outside of the domain, len(low).");
    m.def(
        "count_by_code",
        [](Marks codes, Marks keep, OutWords out, OutWords flags) {
            require_one_length(codes, keep);
            require(out.shape(0) <= most_codes, "a domain has at most 256 codes");
            require_word(flags);
            nb::gil_scoped_release unlocked;
            scan().count_by_code(codes.data(), keep.data(), codes.shape(0), out.shape(0), out.data(), flags.data());
        },
        "codes"_a.noconvert(), "keep"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
        "How often each code is kept; flags[0] |= 32 when a kept code is outside of the domain, len(out).");
}

}  // namespace mc2::bindings
