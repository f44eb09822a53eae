#include "mc2/hashes.hpp"

#include <bit>

#include "mc2/arithmetic.hpp"
#include "mc2/bytes.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;

template <typename T>
MC2_INLINE T turned(T value, unsigned by) noexcept { return static_cast<T>((value << by) | (value >> (8 * sizeof(T) - by))); }

// --- MurmurHash3, of 32 bits

MC2_INLINE u32 mixed(u32 hash, u32 word) noexcept {
    return turned(hash ^ (turned(word * 0xcc9e2d51, 15) * 0x1b873593), 13) * 5 + 0xe6546b64;
}
MC2_INLINE u32 ended(u32 hash, u32 length) noexcept {
    hash ^= length;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
    return hash ^ (hash >> 16);
}
MC2_INLINE u32 picked(Mask when, u32 a, u32 b) noexcept { return b ^ (static_cast<u32>(when.word()) & (a ^ b)); }

struct Murmur {
    MC2_INLINE static u64 four(u64 value, u64 seed) noexcept { return ended(mixed(static_cast<u32>(seed), static_cast<u32>(value)), 4); }
    MC2_INLINE static u64 eight(u64 value, u64 seed) noexcept {
        return ended(mixed(mixed(static_cast<u32>(seed), static_cast<u32>(value)), static_cast<u32>(value >> 32)), 8);
    }
    MC2_INLINE static u64 many(const u64* row, std::size_t words, u64 seed) noexcept {
        const Word length(row[words]), whole = length >> 2;
        u32 hash = static_cast<u32>(seed), rest = 0;
        for (std::size_t j = 0; j < 2 * words; ++j) {
            const u32 part = static_cast<u32>(row[j / 2] >> (j % 2 == 0 ? 32 : 0));
            hash = picked(Word(j) < whole, mixed(hash, __builtin_bswap32(part)), hash);
            rest = picked(Word(j) == whole, part, rest);
        }
        const Word left = length & Word(3);
        for (unsigned k = 0; k < 3; ++k) {
            const i32 byte = static_cast<i8>(rest >> (24 - 8 * k));
            hash = picked(Word(k) < left, mixed(hash, static_cast<u32>(byte)), hash);
        }
        return ended(hash, static_cast<u32>(length.bits()));
    }
    // As a signed number.
    MC2_INLINE static u64 given(u64 hash) noexcept { return static_cast<u64>(i64{static_cast<i32>(hash)}); }
};

// --- XXH64

constexpr u64 p1 = 0x9e3779b185ebca87, p2 = 0xc2b2ae3d27d4eb4f, p3 = 0x165667b19e3779f9, p4 = 0x85ebca77c2b2ae63, p5 = 0x27d4eb2f165667c5;

MC2_INLINE u64 picked(Mask when, u64 a, u64 b) noexcept { return b ^ (when.word() & (a ^ b)); }
MC2_INLINE u64 round_of(u64 lane, u64 word) noexcept { return turned(lane + word * p2, 31) * p1; }
MC2_INLINE u64 with_eight(u64 hash, u64 word) noexcept { return turned(hash ^ round_of(0, word), 27) * p1 + p4; }
MC2_INLINE u64 with_four(u64 hash, u64 word) noexcept { return turned(hash ^ (word * p1), 23) * p2 + p3; }
MC2_INLINE u64 with_byte(u64 hash, u64 byte) noexcept { return turned(hash ^ (byte * p5), 11) * p1; }
MC2_INLINE u64 finished(u64 hash) noexcept {
    hash = (hash ^ (hash >> 33)) * p2;
    hash = (hash ^ (hash >> 29)) * p3;
    return hash ^ (hash >> 32);
}

struct Xx {
    static constexpr std::size_t stripe = 4;  // words
    MC2_INLINE static u64 four(u64 value, u64 seed) noexcept { return finished(with_four(seed + p5 + 4, value & 0xffffffff)); }
    MC2_INLINE static u64 eight(u64 value, u64 seed) noexcept { return finished(with_eight(seed + p5 + 8, value)); }
    MC2_INLINE static u64 many(const u64* row, std::size_t words, u64 seed) noexcept {
        const Word length(row[words]), whole = length >> 5;
        u64 lanes[stripe] = {seed + p1 + p2, seed + p2, seed, seed - p1}, rest[stripe] = {};
        for (std::size_t s = 0; s * stripe <= words; ++s) {
            const Mask inside = Word(s) < whole, last = Word(s) == whole;
            for (std::size_t k = 0; k < stripe; ++k) {
                const u64 word = s * stripe + k < words ? __builtin_bswap64(row[s * stripe + k]) : 0;
                lanes[k] = picked(inside, round_of(lanes[k], word), lanes[k]);
                rest[k] = picked(last, word, rest[k]);
            }
        }
        u64 hash = turned(lanes[0], 1) + turned(lanes[1], 7) + turned(lanes[2], 12) + turned(lanes[3], 18);
        for (const u64 lane : lanes) hash = (hash ^ round_of(0, lane)) * p1 + p4;
        hash = picked(Word(0) < whole, hash, seed + p5) + length.bits();
        return finished(with_rest(hash, rest, length & Word(31)));
    }
    MC2_INLINE static u64 with_rest(u64 hash, const u64* rest, Word left) noexcept {
        const Word eights = left >> 3;
        u64 tail = 0;
        for (unsigned k = 0; k < stripe; ++k) {
            hash = picked(Word(k) < eights, with_eight(hash, rest[k]), hash);
            tail = picked(Word(k) == eights, rest[k], tail);
        }
        const Mask half = Mask::from_bit(left.bits() >> 2);
        hash = picked(half, with_four(hash, tail & 0xffffffff), hash);
        tail = picked(half, tail >> 32, tail);
        for (unsigned k = 0; k < 3; ++k) {
            hash = picked(Word(k) < (left & Word(3)), with_byte(hash, (tail >> (8 * k)) & 0xff), hash);
        }
        return hash;
    }
    MC2_INLINE static u64 given(u64 hash) noexcept { return hash; }
};

// --- columns

template <typename H>
MC2_INLINE void keep_known(u64 found, u8 known, u64* hash) noexcept {
    *hash = picked(Mask::from_bit(known), H::given(found), *hash);
}

template <typename H>
MC2_INLINE void hash_words_by(unsigned bytes, const u64* a, const u8* known, u64* hashes, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        keep_known<H>(bytes == 4 ? H::four(a[i], hashes[i]) : H::eight(a[i], hashes[i]), known[i], hashes + i);
    }
}

void hash_words(Hash which, unsigned bytes, const u64* a, const u8* known, u64* hashes, std::size_t rows) noexcept {
    if (which == Hash::murmur3) {
        hash_words_by<Murmur>(bytes, a, known, hashes, rows);
    } else {
        hash_words_by<Xx>(bytes, a, known, hashes, rows);
    }
}

template <typename H>
MC2_INLINE void hash_texts_by(const u64* a, std::size_t width, const u8* known, u64* hashes, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) keep_known<H>(H::many(a + i * width, width - 1, hashes[i]), known[i], hashes + i);
}

void hash_texts(Hash which, const u64* a, std::size_t width, const u8* known, u64* hashes, std::size_t rows) noexcept {
    if (which == Hash::murmur3) {
        hash_texts_by<Murmur>(a, width, known, hashes, rows);
    } else {
        hash_texts_by<Xx>(a, width, known, hashes, rows);
    }
}

void real_bits(bool half, const double* a, u64* out, std::size_t rows) noexcept {
    constexpr u64 infinite = 0x7ff0000000000000, nan = 0x7ff8000000000000, half_nan = 0x7fc00000;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 bits = std::bit_cast<u64>(a[i]), size = bits & ~detail::sign_bit;
        const Mask is_nan = Word(infinite) < Word(size), is_zero = Word(size) == Word(0);
        const u64 found = half ? std::bit_cast<u32>(static_cast<float>(a[i])) : bits;
        out[i] = picked(is_nan, half ? half_nan : nan, picked(is_zero, u64{0}, found));
    }
}

void number_bytes(const i128* a, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const Secret<i128> value(a[i]);
        const u128 sign = static_cast<u128>(static_cast<i128>(static_cast<i64>(is_negative(value).word())));
        const u128 size = value.bits() ^ sign;  // has as many bits as the number, without its sign
        Word count(1);
        for (unsigned k = 1; k < 16; ++k) {
            count = count + Word((Secret<u128>(size >> (8 * k - 1)) != Secret<u128>(0)).word() & 1);
        }
        const u64 all[3] = {static_cast<u64>(value.bits() >> 64), static_cast<u64>(value.bits()), 16};
        cut_out(all, 3, Word(16) - count, Word(16), out + 3 * i);
    }
}

}  // namespace

extern const HashesKernels hashes_table;
const HashesKernels hashes_table = {hash_words, hash_texts, real_bits, number_bytes};

}  // namespace mc2::oblivious::MC2_ISA
