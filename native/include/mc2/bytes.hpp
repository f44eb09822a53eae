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

// A one in the lowest bit of each byte that begins a character of UTF-8: all but 10xxxxxx.
MC2_INLINE u64 character_starts(u64 word) noexcept { return ((~word | (word << 1)) & top_bits) >> 7; }

// How many characters a text has: zeros after it do not count.
MC2_INLINE Secret<u64> characters_of(const u64* row, std::size_t words) noexcept {
    u64 continued = 0;
    for (std::size_t j = 0; j < words; ++j) continued += ((character_starts(row[j]) ^ every_byte) * every_byte) >> 56;
    return Secret<u64>(row[words]) - Secret<u64>(continued);
}

// Before which byte so many characters stand, a secret number below 2^63; the length if there are fewer.
MC2_INLINE Secret<u64> place_after(const u64* row, std::size_t words, Secret<u64> characters) noexcept {
    Secret<u64> place(0), open = characters + Secret<u64>(1);  // how many starts may come until it is passed
    for (std::size_t j = 0; j < words; ++j) {
        // In each byte, the first one lowest, how many characters have begun in the word up to there.
        const u64 begun = __builtin_bswap64(character_starts(row[j])) * every_byte;
        const u64 most = smaller(open, Secret<u64>(9)).bits() * every_byte;
        const u64 before = ((most + ~top_bits - begun) & top_bits) >> 7;
        place = place + Secret<u64>((before * every_byte) >> 56);
        open = open - smaller(open, Secret<u64>(begun >> 56));
    }
    return smaller(place, Secret<u64>(row[words]));
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

// At most `count` characters, not below zero, from the character `from` on, which may be below zero:
// what would stand before the text takes of the count.
MC2_INLINE void cut_characters(const u64* row, std::size_t width, Secret<i64> from, Secret<i64> count, u64* out) noexcept {
    const Secret<i64> nothing(0);
    const Secret<u64> first(larger(from, nothing).bits()), last(larger(from + count, nothing).bits());
    const Secret<u64> begin = place_after(row, width - 1, first), end = place_after(row, width - 1, last);
    cut_out(row, width, begin, larger(end, begin), out);
}

MC2_INLINE Secret<i64> within(Secret<i64> place, Secret<i64> length) noexcept {
    return smaller(larger(place, Secret<i64>(0)), length);
}

}  // namespace mc2::oblivious
