// Bytes of texts in rows of words, at secret places: what the kernels of texts share.
#pragma once

#include "mc2/secret.hpp"

namespace mc2::oblivious {

inline constexpr u64 every_byte = 0x0101010101010101;
inline constexpr u64 top_bits = 0x8080808080808080;

// All ones in the bytes before position `length` (secret) of a word that begins at `start`.
MC2_INLINE u64 bytes_before(Secret<u64> length, u64 start) noexcept {
    u64 mask = 0;
    for (unsigned j = 0; j < 8; ++j) {
        mask |= (Secret<u64>(start + j) < length).word() & (u64{0xff} << (56 - 8 * j));
    }
    return mask;
}

MC2_INLINE Mask beyond_ascii(const u64* row, std::size_t words) noexcept {
    u64 tops = 0;
    for (std::size_t i = 0; i < words; ++i) tops |= row[i] & top_bits;
    return Secret<u64>(tops) != Secret<u64>(0);
}

MC2_INLINE Secret<u64> byte_at(const u64* row, std::size_t place) noexcept {
    return Secret<u64>((row[place / 8] >> (56 - 8 * (place % 8))) & 0xff);
}

// Moves a text by a secret number of bytes below 8 * 2^steps, one bit of it after the other.
// Towards the start, or the end; zeros come in.
MC2_INLINE void move_bytes(u64* row, std::size_t words, Secret<u64> by, bool to_start) noexcept {
    for (unsigned bit = 0; (std::size_t{1} << bit) < 8 * words + 8; ++bit) {
        const u64 mask = Mask::from_bit(by.bits() >> bit).word();
        const std::size_t bytes = std::size_t{1} << bit, whole = bytes / 8;
        const unsigned rest = 8 * (bytes % 8);
        for (std::size_t step = 0; step < words; ++step) {
            const std::size_t i = to_start ? step : words - 1 - step;
            u64 moved;
            if (to_start) {
                const u64 here = i + whole < words ? row[i + whole] : 0;
                const u64 next = i + whole + 1 < words ? row[i + whole + 1] : 0;
                moved = rest == 0 ? here : (here << rest) | (next >> (64 - rest));
            } else {
                const u64 here = i >= whole ? row[i - whole] : 0;
                const u64 next = i >= whole + 1 ? row[i - whole - 1] : 0;
                moved = rest == 0 ? here : (here >> rest) | (next << (64 - rest));
            }
            row[i] ^= mask & (row[i] ^ moved);
        }
    }
}

// The bytes from place `from` up to `to`, both secret and within the text.
MC2_INLINE void cut_out(const u64* row, std::size_t width, Secret<u64> from, Secret<u64> to, u64* out) noexcept {
    for (std::size_t j = 0; j + 1 < width; ++j) out[j] = row[j];
    move_bytes(out, width - 1, from, true);
    const Secret<u64> length = to - from;
    for (std::size_t j = 0; j + 1 < width; ++j) out[j] &= bytes_before(length, 8 * j);
    out[width - 1] = length.bits();
}

MC2_INLINE Secret<i64> within(Secret<i64> place, Secret<i64> length) noexcept {
    return smaller(larger(place, Secret<i64>(0)), length);
}

}  // namespace mc2::oblivious
