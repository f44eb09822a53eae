// Selection and comparison of whole columns of 64-bit words.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct SelectKernels {
    //   keep  1 0 0 1      in: 0 or 1
    //   a     a b c d      in
    //   b     p q r s      in
    //   out   a q r d      out: every word of a and b is read, whatever `keep` says
    void (*select)(const u8* keep, const u64* a, const u64* b, u64* out, std::size_t rows) noexcept;
    // out[i] = 1 when a[i] == b[i], else 0.
    void (*equal)(const u64* a, const u64* b, u8* out, std::size_t rows) noexcept;
    // out[i] = 1 when a[i] < b[i] as unsigned words, else 0.
    void (*less)(const u64* a, const u64* b, u8* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
