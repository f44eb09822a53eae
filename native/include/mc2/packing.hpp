// Values side by side in words, by the bits that they could need, and rows of a small table found by
// looking at all of them. Where which bits lie is public, what stands in them is not.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// Bits of a packed word: (((in[i * stride] - low) ^ flip) >> right) & mask, moved left.
struct PackedValue {
    const u64* in;
    std::size_t stride;
    u64 low;
    u64 flip;
    unsigned right;
    u64 mask;
    unsigned left;
};

// The way back: ((in[i * stride] >> left) & mask) << right.
struct PackedPart {
    const u64* in;
    std::size_t stride;
    unsigned left;
    u64 mask;
    unsigned right;
};

// Bit 0 of a mark, moved left.
struct PackedMark {
    const u8* in;
    unsigned left;
};

inline constexpr std::size_t most_few_words = 64;

struct PackingKernels {
    // One packed word for each row: all of its values and marks, which take different bits.
    void (*pack_bits)(const PackedValue* values, std::size_t value_count, const PackedMark* marks,
                      std::size_t mark_count, u64* out, std::size_t rows) noexcept;
    // One word of a value for each row: (its parts together ^ flip) + low, or zero where `keep` is 0.
    void (*unpack_bits)(const PackedPart* parts, std::size_t count, u64 flip, u64 low, const u8* keep, u64* out,
                        std::size_t out_stride, std::size_t rows) noexcept;
    // For each row the words of the one among `few` rows with its key, zeros if there is none, and
    // whether there is one. Rows without `keep` have none, nor are those without `few_keep` any.
    //   few_words   `few` rows of `width` words (at most most_few_words)     out   a column for each
    // Every row is compared with all: about few * (1 + width) / 4 vector operations a row.
    void (*match_few)(const u64* keys, const u8* keep, std::size_t rows, const u64* few_keys, const u8* few_keep,
                      const u64* few_words, std::size_t few, std::size_t width, u64* const* out, u8* found) noexcept;
    // Which of `few` rows of one width, all different, each row is: its number, or 0 and not found.
    void (*match_rows)(const u64* rows, std::size_t width, std::size_t count, const u64* few_rows, std::size_t few,
                       u64* out, u8* found) noexcept;
};

}  // namespace mc2::oblivious
