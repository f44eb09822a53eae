// Rows repeated as often as a secret count says, within a public bound.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct ExpandKernels {
    //   rows    a b c d       in: `width` words each
    //   counts  2 0 1 3       in: any words
    //   out     a a c d d d   out: room for `bound` rows; what is behind the last one is zero
    //   copy    0 1 0 0 1 2   out: which copy of its row this is
    //   valid   1 1 1 1 1 1   out: 1 where there is a row
    // Raises Flag::bound_exceeded in *flags where the counts add up to more than `bound`; then the
    // first `bound` rows are there. count and bound < 2^31.
    void (*expand)(const u64* rows, std::size_t width, std::size_t count, const u64* counts, u64* out,
                   std::size_t bound, u64* copy, u8* valid, u64* flags);

    // Rows of two sides in groups, the right ones of each group first: how often each is in a pair.
    // Pairs of a left row stand together, in the order of right rows. A right row's copy c is at
    // place `low half of its seat` + c * `upper half`.
    //   starts        1 0 0 0 1 0
    //   lefts         0 0 1 1 0 1    neither side marks what cannot have partners
    //   rights        1 1 0 0 1 0
    //   left_copies   0 0 2 2 0 1    out
    //   right_copies  2 2 0 0 1 0    out
    //   seats         2:0 2:1 . . 1:4 .    out; of left rows they mean nothing
    // Places above `bound` are all one. rows and bound < 2^31.
    void (*count_pairs)(const u8* starts, const u8* lefts, const u8* rights, std::size_t rows, std::size_t bound,
                        u64* left_copies, u64* right_copies, u64* seats) noexcept;
    // out[i] = the place of copy[i] by its seat, and the greatest word where there is no row.
    void (*seat_rows)(const u64* seats, const u64* copy, const u8* valid, std::size_t rows, u64* out) noexcept;
};

}  // namespace mc2::oblivious
