// Where a split is looked for once more: in single bins around the best border between cells.
#pragma once

#include "mc2/secret.hpp"
#include "mc2/splits.hpp"

namespace mc2::oblivious::MC2_ISA {

// The first bin of the window around the border behind cell `threshold`: the border is one of its
// candidates. For a node without a split (255) it is anything.
MC2_INLINE Secret<u32> window_base(u8 threshold, unsigned shift) noexcept {
    const u32 border = ((static_cast<u32>(threshold) + 1) << shift) - 1;
    const Secret<u32> half(static_cast<u32>(window / 2));
    const Mask fits = Secret<u32>(border) > half;
    return keep_if(fits, Secret<u32>(border - static_cast<u32>(window / 2))) & Secret<u32>(255);
}

}  // namespace mc2::oblivious::MC2_ISA
