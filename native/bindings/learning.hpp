// What the bindings of tree training share: matrices of bins and planes of digits, checked.
#pragma once

#include "arrays.hpp"
#include "mc2/histograms.hpp"
#include "mc2/splits.hpp"

namespace mc2::bindings {

template <typename T>
using Table = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename T>
using OutTable = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

using Floats = Column<float>;
using OutFloats = OutColumn<float>;
using Doubles = Column<double>;
using OutDoubles = OutColumn<double>;
using Integers = Column<std::int64_t>;
using OutIntegers = OutColumn<std::int64_t>;
using Numbers = Column<std::uint32_t>;
using OutNumbers = OutColumn<std::uint32_t>;

inline constexpr std::size_t most_bins = 255;
inline constexpr std::size_t most_features = 65535;
inline constexpr std::size_t most_level = 128;

inline void require_steps(std::size_t rows) {
    require_rows(rows);
    require(rows % oblivious::row_step == 0, "rows must come in steps of 64");
}

inline void require_flags(const OutWords& flags) { require(flags.shape(0) == 1, "flags must be one word"); }

inline void require_counts(const Numbers& counts) {
    require(counts.shape(0) <= most_features, "too many features");
    for (std::size_t f = 0; f < counts.shape(0); ++f) {
        require(counts(f) >= 1 && counts(f) <= 256, "a feature has 1 to 256 bins");
    }
}

inline std::size_t all_bins(const Numbers& counts) {
    std::size_t all = 0;
    for (std::size_t f = 0; f < counts.shape(0); ++f) all += counts(f);
    return all;
}

inline oblivious::BinnedColumns binned(const Table<std::uint8_t>& bins, std::size_t rows, const std::uint32_t* counts) {
    require(bins.shape(1) >= rows, "columns of bins are shorter than the rows");
    return {bins.data(), bins.shape(1), bins.shape(0), counts};
}

inline oblivious::BinnedColumns binned(const Table<std::uint8_t>& bins, const Numbers& counts, std::size_t rows) {
    require_counts(counts);
    require(bins.shape(0) == counts.shape(0), "every feature has a number of bins");
    return binned(bins, rows, counts.data());
}

inline oblivious::Planes digits(const Table<std::int8_t>& planes, const Integers& worth, std::size_t rows) {
    require(planes.shape(0) == 2 * worth.shape(0) && planes.shape(1) >= rows, "digits must be planes of pairs");
    require(worth.shape(0) >= 1 && worth.shape(0) <= 8, "there are 1 to 8 pairs of digits");
    return {planes.data(), planes.shape(1), worth.shape(0), worth.data()};
}

}  // namespace mc2::bindings
