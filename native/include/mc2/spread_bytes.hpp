// Texts with their bytes apart, sixteen bits for each: room for sums and differences of bytes, so that
// tests of bytes are plain arithmetic, which compilers do for many bytes at once.
#pragma once

#include "mc2/bytes.hpp"

namespace mc2::oblivious {

// 1 where a byte is at least a public bound, else 0.
MC2_INLINE u16 at_least(u16 byte, unsigned bound) noexcept { return static_cast<u16>((byte + 256 - bound) >> 8); }
// 1 where a byte is in a public range, both ends included.
MC2_INLINE u16 in_range(u16 byte, unsigned first, unsigned last) noexcept {
    return static_cast<u16>(at_least(byte, first) - at_least(byte, last + 1));
}
MC2_INLINE u16 is_same(u16 byte, unsigned wanted) noexcept { return in_range(byte, wanted, wanted); }
// 1 where a place is before another, both below 2^15.
MC2_INLINE u16 is_before(u16 place, u16 other) noexcept { return static_cast<u16>(static_cast<u16>(place - other) >> 15); }

// The bytes of a row of so many words, the first one first.
MC2_INLINE void spread_row(const u64* row, std::size_t words, u16* bytes) noexcept {
    for (std::size_t j = 0; j < words; ++j) {
        for (unsigned k = 0; k < 8; ++k) bytes[8 * j + k] = static_cast<u16>((row[j] >> (56 - 8 * k)) & 0xff);
    }
}
// Such bytes as words, those before `length` (secret); zeros after it.
MC2_INLINE void close_row(const u16* bytes, Secret<u64> length, std::size_t words, u64* row) noexcept {
    for (std::size_t j = 0; j < words; ++j) {
        u64 word = 0;
        for (unsigned k = 0; k < 8; ++k) word = (word << 8) | bytes[8 * j + k];
        row[j] = word & bytes_before(length, 8 * j);
    }
    row[words] = length.bits();
}

// Items that are kept or not, each a number below 2^16: those that are kept, without gaps, at the start.
// They move by one bit of their distance after the other, the lowest first, so that none meets another.
class Gaps {
public:
    // Of a text's bytes there are up to three items each, of which the answer has as many as a text has.
    static constexpr std::size_t most = 2048;

    MC2_INLINE void put(std::size_t place, u16 item, u16 kept) noexcept {
        // What is dropped does not move: something else comes to stand there, or it is behind the end.
        const u32 moves = value_barrier(0 - u32{kept});
        items_[place] = item | ((dropped_ & moves) << 16);
        dropped_ += 1 - kept;
        kept_ += kept;
    }
    // How many are kept: secret.
    MC2_INLINE Secret<u64> kept() const noexcept { return Secret<u64>(kept_); }
    MC2_INLINE void close(std::size_t count, u16* out) noexcept {
        u32 *from = items_, *to = other_;
        for (unsigned bit = 0; (std::size_t{1} << bit) < count; ++bit) {
            const std::size_t step = std::size_t{1} << bit;
            for (std::size_t i = 0; i < count - step; ++i) to[i] = after(from[i], from[i + step], bit);
            for (std::size_t i = count - step; i < count; ++i) to[i] = after(from[i], 0, bit);
            u32* const other = from;
            from = to;
            to = other;
        }
        for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<u16>(from[i]);
    }

private:
    // What stands at a place after a step, by what stood there and one step further on.
    MC2_INLINE static u32 after(u32 here, u32 next, unsigned bit) noexcept {
        const u32 comes = 0 - ((next >> (16 + bit)) & 1), leaves = 0 - ((here >> (16 + bit)) & 1);
        return (next & comes) | (here & ~comes & ~(leaves << 16));
    }

    u32 items_[most], other_[most];
    u32 dropped_ = 0, kept_ = 0;
};

// Eight hexadecimal digits, in ASCII, of a number's 32 bits; `letter` is 'a' or 'A'.
MC2_INLINE u64 hex_digits(u32 value, char letter) noexcept {
    u64 nibbles = value;
    nibbles = (nibbles | (nibbles << 16)) & 0x0000ffff0000ffff;
    nibbles = (nibbles | (nibbles << 8)) & 0x00ff00ff00ff00ff;
    nibbles = (nibbles | (nibbles << 4)) & 0x0f0f0f0f0f0f0f0f;
    const u64 letters = ((nibbles + 6 * every_byte) >> 4) & every_byte;  // 1 where a digit is beyond 9
    return nibbles + '0' * every_byte + letters * static_cast<u64>(letter - '9' - 1);
}

}  // namespace mc2::oblivious
