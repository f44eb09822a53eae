// Sorting networks: which words are compared depends on the number of rows and words alone.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// One 64-bit word of every row: row r has in[r * in_stride], and gets out[r * out_stride]. Key words
// are compared as signed numbers after `flip` was XORed in; what comes out is as it was.
//   unsigned, ascending   flip = 2^63        unsigned, descending   flip = 2^63 - 1
//   signed, ascending     flip = 0           signed, descending     flip = 2^64 - 1
// `in` and `out` may be one array, of one stride; else arrays must not overlap.
struct SortWord {
    const u64* in;
    u64* out;
    std::size_t in_stride;
    std::size_t out_stride;
    u64 flip;
};

inline constexpr std::size_t most_key_words = 8;

struct SortKernels {
    // Sorts rows by their first `keys` words (1 to 8), lexicographically; the other words go along.
    // Rows that are equal in all key words come out in an order that depends on `rows` alone and on
    // the order that they came in; give the row number as the last key word for a stable sort.
    //   words  k0 | k1 | p0 p1 ...   in and out
    // Cost: about (log2 rows)^2 / 4 compare-exchanges a row.
    void (*sort)(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows);
    // Rows [0, first) and [first, rows) are sorted already: log2(rows) / 2 compare-exchanges a row.
    void (*merge)(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows,
                  std::size_t first);
    // The first `kept` rows of what `sort` would give; `out` has room for `kept` rows.
    // In one pass for small `kept`: about (log2 kept)^2 / 4 compare-exchanges a row.
    void (*top)(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows,
                std::size_t kept);
};

}  // namespace mc2::oblivious
