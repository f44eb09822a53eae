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
};

}  // namespace mc2::oblivious
