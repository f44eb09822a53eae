// The hashes by which Spark spreads rows, chained: each value is hashed from where the one before it
// ended. NULL (known[i] = 0) changes nothing.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Hash : u32 { murmur3, xxhash64 };

struct HashesKernels {
    // Numbers of `bytes` bytes, 4 or 8. hashes[i] is where the value before ended, and then this one;
    // those of murmur3 are signed numbers of 32 bits.
    void (*hash_words)(Hash which, unsigned bytes, const u64* a, const u8* known, u64* hashes, std::size_t rows) noexcept;
    // Texts and binaries. What is left of whole words of murmur3 is hashed byte by byte, with its sign,
    // which is Spark's own way.
    void (*hash_texts)(Hash which, const u64* a, std::size_t width, const u8* known, u64* hashes, std::size_t rows) noexcept;
    // The bits by which doubles are hashed, 0.0 for -0.0 and one NaN for all; or floats of 32 bits.
    void (*real_bits)(bool half, const double* a, u64* out, std::size_t rows) noexcept;
    // Numbers of 128 bits, signed, as the fewest bytes that hold them with their sign, the highest
    // first, in rows of three words.
    void (*number_bytes)(const i128* a, u64* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
