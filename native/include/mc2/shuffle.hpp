// Random orders: rows sorted by random tags.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct ShuffleKernels {
    // Words of the ChaCha20 stream (RFC 8439, block counter from 0) of this key. The nonce is four
    // bytes of `stream` and eight of `nonce`, both with their lowest byte first. Never use one
    // (key, nonce, stream) for two purposes. At most 2^34 words.
    void (*random_words)(const u8* key, u32 stream, u64 nonce, u64* out, std::size_t count) noexcept;

    // Every order of the rows is equally likely: they are sorted by tags of 64 random bits, and all
    // over again with new tags in the rare case that two are equal. Whether that happened is the
    // only thing that a trace shows, and it depends on the tags alone. Takes streams 0, 1, 2, ... of
    // (key, nonce): give each shuffle a nonce of its own.
    void (*shuffle)(u64* rows, std::size_t width, std::size_t count, const u8* key, u64 nonce);
};

}  // namespace mc2::oblivious
