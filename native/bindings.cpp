// The one file that knows Python: it checks shapes, releases the lock and calls a kernel.
// No argument is converted: a copy made behind the caller's back could hide a wrong type.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <span>

#include "mc2/select.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <typename T>
using Column = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using OutColumn = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T>
std::span<const T> view(const Column<T>& column) {
    return {column.data(), column.shape(0)};
}

template <typename T>
std::span<T> view(const OutColumn<T>& column) {
    return {column.data(), column.shape(0)};
}

template <typename First, typename... Rest>
void require_one_length(const First& first, const Rest&... rest) {
    if (((rest.shape(0) != first.shape(0)) || ...)) {
        throw nb::value_error("all columns must have one length");
    }
}

using Words = Column<std::uint64_t>;
using Marks = Column<std::uint8_t>;
using OutWords = OutColumn<std::uint64_t>;
using OutMarks = OutColumn<std::uint8_t>;

}  // namespace

NB_MODULE(kernels, m) {
    m.doc() = "Oblivious kernels: the sequence of instructions and addresses depends on lengths only.";

    m.def(
        "select",
        [](Marks keep, Words a, Words b, OutWords out) {
            require_one_length(out, keep, a, b);
            nb::gil_scoped_release unlocked;
            mc2::oblivious::select(view(keep), view(a), view(b), view(out));
        },
        "keep"_a.noconvert(), "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "out[i] = a[i] if keep[i] else b[i], without a branch.");
    m.def(
        "equal",
        [](Words a, Words b, OutMarks out) {
            require_one_length(out, a, b);
            nb::gil_scoped_release unlocked;
            mc2::oblivious::equal(view(a), view(b), view(out));
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "out[i] = 1 where a[i] == b[i], else 0, without a branch.");
    m.def(
        "less",
        [](Words a, Words b, OutMarks out) {
            require_one_length(out, a, b);
            nb::gil_scoped_release unlocked;
            mc2::oblivious::less(view(a), view(b), view(out));
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "out[i] = 1 where a[i] < b[i] (unsigned), else 0, without a branch.");
}
