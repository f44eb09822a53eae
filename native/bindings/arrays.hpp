// What all bindings share: columns of numpy arrays without copies, and checks of their shapes.
// No argument is converted: a copy made behind the caller's back could hide a wrong type.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>

namespace mc2::bindings {

namespace nb = nanobind;
using namespace nb::literals;

template <typename T>
using Column = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename T>
using OutColumn = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// Rows of 64-bit words, one after the other.
using Rows = nb::ndarray<const std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using OutRows = nb::ndarray<std::uint64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

using Words = Column<std::uint64_t>;
using Marks = Column<std::uint8_t>;
using OutWords = OutColumn<std::uint64_t>;
using OutMarks = OutColumn<std::uint8_t>;

template <typename First, typename... Rest>
void require_one_length(const First& first, const Rest&... rest) {
    if (((rest.shape(0) != first.shape(0)) || ...)) {
        throw nb::value_error("all columns must have one length");
    }
}

inline void require(bool holds, const char* what) {
    if (!holds) throw nb::value_error(what);
}

// Row numbers stay within 31 bits inside of the kernels.
inline constexpr std::size_t most_rows = (std::size_t{1} << 31) - 1;

inline void require_rows(std::size_t rows) {
    require(rows <= most_rows, "a kernel takes at most 2^31 - 1 rows");
}

}  // namespace mc2::bindings
