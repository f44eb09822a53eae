// Columns as padded chunks keep them, and as kernels take them: bits, numbers of 1 to 8 bytes, texts
// in places of one size. Everything in a chunk is little-endian.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct ChunksKernels {
    // Row i is there if a chunk of `capacity` rows has filled place i % capacity of chunk
    // i / capacity: counts[c] says how many places of a chunk are filled. Raises out_of_domain where a
    // chunk has more than `capacity`, or rows behind a chunk that is not full, or beyond `rows`.
    void (*filled)(const u32* counts, std::size_t chunks, std::size_t capacity, u8* out, std::size_t rows,
                   u64* flags) noexcept;
    // Bit i % 8 of byte i / 8, the lowest first, as a mark, and back; bits behind the last are 0.
    void (*bits_to_marks)(const u8* bits, u8* out, std::size_t rows) noexcept;
    void (*marks_to_bits)(const u8* marks, u8* out, std::size_t rows) noexcept;
    // Signed numbers of `size` bytes (1, 2, 4, 8), and the lowest bytes of words.
    void (*widen_bytes)(const u8* in, std::size_t size, u64* out, std::size_t rows) noexcept;
    void (*narrow_bytes)(const u64* in, std::size_t size, u8* out, std::size_t rows) noexcept;
    // Floats as the bits of doubles, and back, rounded to nearest even.
    void (*widen_floats)(const u8* in, u64* out, std::size_t rows) noexcept;
    void (*narrow_floats)(const u64* in, u8* out, std::size_t rows) noexcept;
    // Texts: `width` - 1 words of bytes each, and lengths apart; to rows as in texts.hpp. Where it
    // counts, out_of_domain is raised by a length beyond `most`, by bytes behind the end that are not
    // zero, and if `utf8`, by bytes that are no UTF-8.
    void (*read_texts)(const u8* bytes, const u32* lengths, std::size_t width, std::size_t most, bool utf8,
                       const u8* counts, u64* out, std::size_t rows, u64* flags) noexcept;
    void (*write_texts)(const u64* in, std::size_t width, u8* bytes, u32* lengths, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
