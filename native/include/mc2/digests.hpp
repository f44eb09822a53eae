// Digests of bytes. Each takes the public greatest number of blocks, and keeps what stands after the
// block in which the secret length ends.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Digest : u32 { md5, sha1, sha224, sha256, sha384, sha512 };

// Hexadecimal digits of a digest.
constexpr std::size_t digest_digits(Digest which) noexcept {
    constexpr std::size_t digits[] = {32, 40, 56, 64, 96, 128};
    return digits[static_cast<u32>(which)];
}

struct DigestsKernels {
    // In hexadecimal digits, in rows that have place for these alone.
    void (*digest)(Digest which, const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;
    // CRC-32 (ISO 3309, as in zlib).
    void (*crc32)(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
