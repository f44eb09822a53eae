// Sums of gradients by bin: what tree training spends its time on.
//
// Gradients are signed bytes ("planes" of digits), so sums are exact integers: they do not depend on
// the order of rows, on how rows are cut into parts, or on threads. Every row is compared with every
// bin, so nothing of a bin shows. A row counts in slot `slots[i]`; in none if that is no slot.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// Bins of features, one column after the other: bins[feature * stride + row]. `counts[feature]` bins
// are public; a bin that is not below that, as that of missing values (255), is in no sum.
struct BinnedColumns {
    const u8* bins;
    std::size_t stride;
    std::size_t features;
    const u32* counts;  // 1 .. 256 each
};

// Digits of gradients: digit k of row i is bytes[k * stride + i], and worth `worth[k]`. All digits
// are from -64 to 63. Digits come in pairs: those of g at even places, those of h at odd ones.
struct Planes {
    const i8* bytes;
    std::size_t stride;
    std::size_t pairs;
    const i64* worth;  // one for each pair
};

inline constexpr std::size_t row_step = 64;  // kernels take whole steps of rows
inline constexpr u8 no_slot = 255;

// How rows are grouped before they are summed: all public.
struct Grouping {
    std::size_t tile;      // so many rows at a time
    std::size_t capacity;  // of which so many may have a slot, else a flag is raised
    std::size_t block;     // so many rows of one slot are summed at once: at most 4096, in steps of 64
};

struct HistogramsKernels {
    // out[((slot * all) + first[feature] + bin) * 2 + (0 for g, 1 for h)] += the sum over rows, where
    // `all` is the number of bins of all features. Reads all rows once for each slot.
    void (*direct)(const BinnedColumns& columns, const Planes& planes, const u8* slots, std::size_t slot_count,
                   std::size_t rows, i64* out);
    // The same sums. Rows are records of `width` bytes (in steps of 8): bins of all features, digits
    // in the order of planes, the slot, anything. Rows with a slot are moved together and grouped by
    // slot, tile by tile, by networks; then every block has one slot.
    void (*grouped)(const u8* records, std::size_t width, const BinnedColumns& columns, const Planes& planes,
                    const u8* slots, std::size_t slot_count, std::size_t rows, const Grouping& grouping, i64* out,
                    u64* flags);
    // Columns into the first bytes of records, and digits behind them.
    void (*fill_records)(const BinnedColumns& columns, std::size_t rows, u8* records, std::size_t width);
    void (*fill_digits)(const Planes& planes, std::size_t features, std::size_t rows, u8* records, std::size_t width);

    // out[node] += how many rows are at it.
    void (*count_nodes)(const u8* nodes, std::size_t rows, std::size_t node_count, u64* out);
    // smaller[p] = 1 if fewer rows are at node 2p + 1 than at 2p.
    void (*choose_smaller)(const u64* counts, std::size_t parents, u8* smaller) noexcept;
    // The slot of a row at the smaller of two children is their parent; other rows have none.
    void (*slots_of_smaller)(const u8* nodes, const u8* smaller, std::size_t parents, std::size_t rows, u8* slots);
    // Sums of both children from those of the parents (words each) and of the smaller children.
    void (*unfold)(const i64* of_parents, const i64* of_smaller, const u8* smaller, std::size_t parents,
                   std::size_t words, i64* out) noexcept;
    // sum[i] += addend[i]: histograms of two parts of the rows.
    void (*add)(i64* sum, const i64* addend, std::size_t words) noexcept;
};

}  // namespace mc2::oblivious
