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

MC2_INLINE Mask within(Secret<u64> byte, u64 low, u64 high) noexcept {
    return (byte >= Secret<u64>(low)) & (byte <= Secret<u64>(high));
}

// UTF-8 byte by byte (RFC 3629, section 4): how many bytes must follow, and between which bounds the
// next one is.
class Utf8 {
public:
    MC2_INLINE void take(Secret<u64> byte) noexcept {
        const Secret<u64> zero(0), one(1);
        const Mask starts = left_ == zero;
        const Mask ascii = byte < Secret<u64>(0x80);
        const Mask two = within(byte, 0xc2, 0xdf), three = within(byte, 0xe0, 0xef), four = within(byte, 0xf0, 0xf4);
        wrong_ = wrong_ | (starts & ~(ascii | two | three | four)) | (~starts & ((byte < low_) | (byte > high_)));
        Secret<u64> after = keep_if(two, one);
        after = select(three, Secret<u64>(2), after);
        after = select(four, Secret<u64>(3), after);
        left_ = select(starts, after, left_ - one);
        // No spelling that is too long, no half of a surrogate pair, nothing beyond U+10FFFF.
        low_ = select(starts & (byte == Secret<u64>(0xe0)), Secret<u64>(0xa0), Secret<u64>(0x80));
        low_ = select(starts & (byte == Secret<u64>(0xf0)), Secret<u64>(0x90), low_);
        high_ = select(starts & (byte == Secret<u64>(0xed)), Secret<u64>(0x9f), Secret<u64>(0xbf));
        high_ = select(starts & (byte == Secret<u64>(0xf4)), Secret<u64>(0x8f), high_);
    }
    MC2_INLINE Mask wrong() const noexcept { return wrong_ | (left_ != Secret<u64>(0)); }

private:
    Secret<u64> left_{0}, low_{0x80}, high_{0xbf};
    Mask wrong_ = Mask::constant(false);
};

void read_texts(const u8* bytes, const u32* lengths, std::size_t width, std::size_t most, bool utf8, const u8* counts,
                u64* out, std::size_t rows, u64* flags) noexcept {
    Flags raised;
    const std::size_t room = 8 * (width - 1);
    for (std::size_t i = 0; i < rows; ++i) {
        const u8* text = bytes + i * room;
        u64* row = out + i * width;
        const Secret<u64> length(lengths[i]);
        u64 beyond = 0;
        for (std::size_t j = 0; j + 1 < width; ++j) {
            u64 word = 0;
            for (std::size_t k = 0; k < 8; ++k) {
                const u64 byte = text[8 * j + k];
                beyond |= byte & ~(Secret<u64>(8 * j + k) < length).word();
                word = (word << 8) | byte;
            }
            row[j] = word;
        }
        row[width - 1] = length.bits();
        Mask wrong = (length > Secret<u64>(most)) | (Secret<u64>(beyond) != Secret<u64>(0));
        if (utf8) {
            // What is behind the end are zeros, which are ASCII: a text that breaks off is found there,
            // or by what is left to come after the last place.
            Utf8 state;
            for (std::size_t k = 0; k < room; ++k) state.take(Secret<u64>(text[k]));
            wrong = wrong | state.wrong();
        }
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & wrong);
    }
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
