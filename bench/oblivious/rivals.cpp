// What sorts and filters cost when they may show everything: the C++ standard library's.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {

template <std::size_t words>
void sort_rows(std::uint64_t* data, std::size_t rows) {
    using Row = std::array<std::uint64_t, words>;
    Row* const first = reinterpret_cast<Row*>(data);
    std::sort(first, first + rows, [](const Row& a, const Row& b) { return a[0] < b[0]; });
}

template <std::size_t words>
std::size_t filter_rows(std::uint64_t* data, std::size_t rows, const std::uint8_t* keep) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        std::memcpy(data + kept * words, data + i * words, 8 * words);
        kept += keep[i];
    }
    return kept;
}

}  // namespace

extern "C" {
void std_sort_1(std::uint64_t* data, std::size_t rows) { sort_rows<1>(data, rows); }
void std_sort_2(std::uint64_t* data, std::size_t rows) { sort_rows<2>(data, rows); }
void std_sort_4(std::uint64_t* data, std::size_t rows) { sort_rows<4>(data, rows); }
std::size_t filter_2(std::uint64_t* data, std::size_t rows, const std::uint8_t* keep) { return filter_rows<2>(data, rows, keep); }
std::size_t filter_4(std::uint64_t* data, std::size_t rows, const std::uint8_t* keep) { return filter_rows<4>(data, rows, keep); }
std::size_t filter_8(std::uint64_t* data, std::size_t rows, const std::uint8_t* keep) { return filter_rows<8>(data, rows, keep); }
}
