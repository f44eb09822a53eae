// Moving marked rows together, and rows apart, by networks of n/2 log2 n swaps.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct CompactKernels {
    // Marked rows to the front, in order; the others behind them, in reverse order.
    //   keep   1 0 0 1 1 0        in: bit 0 of each byte
    //   rows   a b c d e f        in and out; `width` words each, one row after the other
    //   after  a d e f c b        every row is read and written log2(n) / 2 times, whatever `keep` says
    void (*compact)(u64* rows, std::size_t width, std::size_t count, const u8* keep);

    // The same, of which before[i], for i in [0, count], tells how many marked rows stand before row i.
    void (*compact_counted)(u64* rows, std::size_t width, std::size_t count, const u32* before) noexcept;

    // The way back: what `compact` made of rows with these marks becomes those rows again. So it
    // also puts the first rows, in order, to the marked places.
    void (*restore)(u64* rows, std::size_t width, std::size_t count, const u8* keep);

    // Row i goes to place to[i]; places must ascend over the rows that go, and those must stand
    // first. to[i] >= count says that there is no row; it may stand only behind all rows.
    //   to     1 3 4 . . .        in and out: goes along, so that afterwards to[i] == i says that
    //   rows   a b c . . .        a row came to i, and other words are none of 0 .. count-1
    //   after  . a . b c .
    void (*distribute)(u64* rows, std::size_t width, std::size_t count, u32* to);

    // out[i] = how many of keep[0 .. i] are marked.
    void (*ranks)(const u8* keep, u64* out, std::size_t count) noexcept;

    // Columns of one word to rows of `width` words, and back.
    void (*pack)(const u64* const* columns, std::size_t width, std::size_t count, u64* rows) noexcept;
    void (*unpack)(const u64* rows, std::size_t width, std::size_t count, u64* const* columns) noexcept;
};

}  // namespace mc2::oblivious
