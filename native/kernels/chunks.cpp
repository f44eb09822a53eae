#include "mc2/chunks.hpp"

#include <bit>
#include <cstring>

#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

void filled(const u32* counts, std::size_t chunks, std::size_t capacity, u8* out, std::size_t rows,
            u64* flags) noexcept {
    Flags raised;
    const Secret<u64> full(capacity);
    Mask open = Mask::constant(true);  // all chunks so far are full
    Secret<u64> total(0);
    for (std::size_t c = 0; c < chunks; ++c) {
        const Secret<u64> count(counts[c]);
        raised.raise(Flag::out_of_domain, count > full);
        raised.raise(Flag::out_of_domain, ~open & (count != Secret<u64>(0)));
        open = open & (count == full);
        total = total + count;
        for (std::size_t i = 0; i < capacity && c * capacity + i < rows; ++i) {
            out[c * capacity + i] = (Secret<u64>(i) < count).byte();
        }
    }
    raised.raise(Flag::out_of_domain, total > Secret<u64>(rows));
    raised.raise_in(flags);
}

void bits_to_marks(const u8* bits, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = value_barrier(static_cast<u8>((bits[i / 8] >> (i % 8)) & 1));
}

void marks_to_bits(const u8* marks, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; i += 8) {
        u32 byte = 0;
        for (std::size_t j = 0; j < 8 && i + j < rows; ++j) byte |= static_cast<u32>(marks[i + j] & 1) << j;
        out[i / 8] = static_cast<u8>(byte);
    }
}

template <typename Narrow>
MC2_INLINE void widen_all(const u8* in, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        Narrow value;
        std::memcpy(&value, in + i * sizeof value, sizeof value);
        out[i] = static_cast<u64>(static_cast<i64>(value));
    }
}

void widen_bytes(const u8* in, std::size_t size, u64* out, std::size_t rows) noexcept {
    switch (size) {
        case 1: return widen_all<i8>(in, out, rows);
        case 2: return widen_all<i16>(in, out, rows);
        case 4: return widen_all<i32>(in, out, rows);
        default: return widen_all<i64>(in, out, rows);
    }
}

template <typename Narrow>
MC2_INLINE void narrow_all(const u64* in, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const auto value = static_cast<Narrow>(in[i]);
        std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
}

void narrow_bytes(const u64* in, std::size_t size, u8* out, std::size_t rows) noexcept {
    switch (size) {
        case 1: return narrow_all<u8>(in, out, rows);
        case 2: return narrow_all<u16>(in, out, rows);
        case 4: return narrow_all<u32>(in, out, rows);
        default: return narrow_all<u64>(in, out, rows);
    }
}

void widen_floats(const u8* in, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        float value;
        std::memcpy(&value, in + i * sizeof value, sizeof value);
        out[i] = std::bit_cast<u64>(static_cast<double>(value));
    }
}

void narrow_floats(const u64* in, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const auto value = static_cast<float>(std::bit_cast<double>(in[i]));
        std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
}

// --- texts

// Eight bytes of a text, the first one lowest, and the same in many rows at once: nothing here but
// bits and sums, so that the compiler can put rows side by side. A verdict on a byte is its top bit.
constexpr u64 every_byte = 0x0101010101010101;
constexpr u64 top_bits = 0x8080808080808080;
constexpr u64 places = 0x0706050403020100;
constexpr std::size_t near_rows = 64;

MC2_INLINE u64 equal_bytes(u64 word, u64 byte) noexcept {
    const u64 other = word ^ (byte * every_byte);
    return ~(((other & ~top_bits) + ~top_bits) | other | ~top_bits);
}

// Where bytes are at least 0xc0, 0xe0, 0xf0: they say that one, two, three bytes must follow.
MC2_INLINE u64 leads_one(u64 word) noexcept { return word & (word << 1); }
MC2_INLINE u64 leads_two(u64 word) noexcept { return leads_one(word) & (word << 2); }
MC2_INLINE u64 leads_three(u64 word) noexcept { return leads_two(word) & (word << 3); }

// UTF-8 (RFC 3629, section 4), given the eight bytes before: what is wrong here, in top bits. No
// spelling that is too long, no half of a surrogate pair, nothing beyond U+10FFFF.
MC2_INLINE u64 wrong_utf8(u64 before, u64 word) noexcept {
    const u64 one = (word << 8) | (before >> 56);  // at each byte the byte before it
    const u64 two = (word << 16) | (before >> 48), three = (word << 24) | (before >> 40);
    const u64 follows = word & ~(word << 1);
    u64 wrong = follows ^ (leads_one(one) | leads_two(two) | leads_three(three));
    wrong |= equal_bytes(word & ~every_byte, 0xc0);
    wrong |= leads_three(word) & ((word << 4) | ((word << 5) & ((word << 6) | (word << 7))));  // above 0xf4
    const u64 fifth = word << 2, fourth = word << 3;  // these bits of a byte
    wrong |= equal_bytes(one, 0xe0) & ~fifth;
    wrong |= equal_bytes(one, 0xed) & fifth;
    wrong |= equal_bytes(one, 0xf0) & ~(fifth | fourth);
    wrong |= equal_bytes(one, 0xf4) & (fifth | fourth);
    return wrong & top_bits;
}

// What must follow the last byte that there is room for.
MC2_INLINE u64 broken_off(u64 last) noexcept {
    return (leads_one(last >> 56) | leads_two(last >> 48) | leads_three(last >> 40)) & top_bits;
}

// All ones in the bytes at places below `length` (secret) of the word that begins at `start`.
MC2_INLINE u64 bytes_within(u64 length, u64 start) noexcept {
    const i64 left = static_cast<i64>(length - start);
    const i64 some = left & ~(left >> 63), more = some - 8;
    const u64 count = static_cast<u64>(8 + (more & (more >> 63)));
    return (((count * every_byte + top_bits - places - every_byte) & top_bits) >> 7) * 0xff;
}

// Up to near_rows texts: what is wrong in any of them.
MC2_INLINE u64 read_block(const u8* bytes, const u32* lengths, std::size_t width, bool utf8, const u8* counts,
                          u64* out, std::size_t rows) noexcept {
    u64 before[near_rows] = {}, here[near_rows], counted[near_rows], wrong = 0;
    for (std::size_t i = 0; i < rows; ++i) counted[i] = 0 - static_cast<u64>(counts[i] & 1);
    for (std::size_t j = 0; j + 1 < width; ++j) {
        for (std::size_t i = 0; i < rows; ++i) std::memcpy(&here[i], bytes + 8 * (i * (width - 1) + j), 8);
        for (std::size_t i = 0; i < rows; ++i) wrong |= here[i] & counted[i] & ~bytes_within(lengths[i], 8 * j);
        if (utf8) {
            for (std::size_t i = 0; i < rows; ++i) wrong |= wrong_utf8(before[i], here[i]) & counted[i];
        }
        for (std::size_t i = 0; i < rows; ++i) out[i * width + j] = __builtin_bswap64(here[i]);
        for (std::size_t i = 0; i < rows; ++i) before[i] = here[i];
    }
    if (utf8) {
        for (std::size_t i = 0; i < rows; ++i) wrong |= broken_off(before[i]) & counted[i];
    }
    return wrong;
}

void read_texts(const u8* bytes, const u32* lengths, std::size_t width, std::size_t most, bool utf8, const u8* counts,
                u64* out, std::size_t rows, u64* flags) noexcept {
    Flags raised;
    u64 wrong = 0;
    for (std::size_t i = 0; i < rows; i += near_rows) {
        const std::size_t some = rows - i < near_rows ? rows - i : near_rows;
        wrong |= read_block(bytes + 8 * (width - 1) * i, lengths + i, width, utf8, counts + i, out + i * width, some);
        for (std::size_t r = i; r < i + some; ++r) {
            const u64 length = lengths[r];
            out[r * width + width - 1] = length;
            wrong |= ((most - length) >> 63) & counts[r];
        }
    }
    raised.raise(Flag::out_of_domain, Secret<u64>(wrong) != Secret<u64>(0));
    raised.raise_in(flags);
}

void write_texts(const u64* in, std::size_t width, u8* bytes, u32* lengths, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = in + i * width;
        for (std::size_t j = 0; j + 1 < width; ++j) {
            const u64 word = __builtin_bswap64(row[j]);
            std::memcpy(bytes + 8 * (i * (width - 1) + j), &word, sizeof word);
        }
        lengths[i] = static_cast<u32>(row[width - 1]);
    }
}

}  // namespace

extern const ChunksKernels chunks_table;
const ChunksKernels chunks_table = {filled,       bits_to_marks, marks_to_bits, widen_bytes, narrow_bytes,
                                    widen_floats, narrow_floats, read_texts,    write_texts};

}  // namespace mc2::oblivious::MC2_ISA
