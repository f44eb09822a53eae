#include "mc2/digests.hpp"

#include <cstring>

#include "mc2/digest_constants.hpp"
#include "mc2/shares.hpp"
#include "mc2/side_by_side.hpp"
#include "mc2/spread_bytes.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t block_words = 16;
constexpr std::size_t most_state = 8;

// Words of 64 bits of a row with what a digest puts behind it: a bit, and in the last block, at its
// end, the length in bits.
class Message {
public:
    MC2_INLINE void read(const u64* row, std::size_t words, unsigned log_block, bool low_first) noexcept {
        row_ = row, words_ = words, log_block_ = log_block;
        const u64 length = row[words];
        ends_in_ = length >> 3;
        last_block_ = (length + (std::size_t{1} << (log_block - 3))) >> log_block;
        end_mark_ = 0;
        for (unsigned k = 0; k < 8; ++k) end_mark_ |= detail::equal_mask(length & 7, k) & (u64{0x80} << (56 - 8 * k));
        bits_ = low_first ? __builtin_bswap64(length << 3) : length << 3;
    }
    MC2_INLINE u64 word(std::size_t j) const noexcept {
        const std::size_t in_block = std::size_t{1} << (log_block_ - 3);
        u64 found = (j < words_ ? row_[j] : 0) | (detail::equal_mask(ends_in_, j) & end_mark_);
        if ((j & (in_block - 1)) == in_block - 1) found |= ends_at(j >> (log_block_ - 3)) & bits_;
        return found;
    }
    MC2_INLINE u64 ends_at(std::size_t block) const noexcept { return detail::equal_mask(last_block_, block); }

private:
    const u64* row_;
    std::size_t words_;
    unsigned log_block_;
    u64 ends_in_, last_block_, end_mark_, bits_;
};

// --- the step of each digest over one block: `w` are its words, which it may change

struct Md5 {
    using T = u32;
    static constexpr unsigned log_block = 6, words = 4;
    static constexpr bool low_first = true;
    static void start(Side<T>* h) noexcept {
        constexpr T from[words] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
        for (unsigned k = 0; k < words; ++k) h[k] = Side<T>{} + from[k];
    }
    MC2_INLINE static void step(Side<T>* h, Side<T>* w) noexcept {
        constexpr unsigned turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
        Side<T> a = h[0], b = h[1], c = h[2], d = h[3];
        for (unsigned i = 0; i < 64; ++i) {
            const unsigned round = i >> 4;
            Side<T> f;
            unsigned at;
            if (round == 0) {
                f = (b & c) | (~b & d), at = i;
            } else if (round == 1) {
                f = (d & b) | (~d & c), at = 5 * i + 1;
            } else if (round == 2) {
                f = b ^ c ^ d, at = 3 * i + 5;
            } else {
                f = c ^ (b | ~d), at = 7 * i;
            }
            const Side<T> sum = a + f + w[at & 15] + md5_rounds[i];
            a = d, d = c, c = b;
            b = b + turned_left<T>(sum, turns[round][i & 3]);
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d;
    }
};

struct Sha1 {
    using T = u32;
    static constexpr unsigned log_block = 6, words = 5;
    static constexpr bool low_first = false;
    static void start(Side<T>* h) noexcept {
        constexpr T from[words] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
        for (unsigned k = 0; k < words; ++k) h[k] = Side<T>{} + from[k];
    }
    MC2_INLINE static void step(Side<T>* h, Side<T>* w) noexcept {
        constexpr T added[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        Side<T> a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (unsigned i = 0; i < 80; ++i) {
            const unsigned round = (i >= 20) + (i >= 40) + (i >= 60);
            if (i >= 16) w[i & 15] = turned_left<T>(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1);
            const Side<T> f = round == 0 ? (b & c) | (~b & d) : round == 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
            const Side<T> sum = turned_left<T>(a, 5) + f + e + added[round] + w[i & 15];
            e = d, d = c, c = turned_left<T>(b, 30), b = a, a = sum;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
};

// By how many bits words are turned in FIPS 180-4, 4.1.2 and 4.1.3; the last of a small one is a shift.
template <typename Word>
constexpr unsigned big_turns[2][3] = {{2, 13, 22}, {6, 11, 25}};
template <>
constexpr unsigned big_turns<u64>[2][3] = {{28, 34, 39}, {14, 18, 41}};
template <typename Word>
constexpr unsigned small_turns[2][3] = {{7, 18, 3}, {17, 19, 10}};
template <>
constexpr unsigned small_turns<u64>[2][3] = {{1, 8, 7}, {19, 61, 6}};

// `from`: the first of the eight numbers that it begins with; `shift`: which half of them.
template <typename Word, unsigned from, unsigned shift>
struct Sha2 {
    using T = Word;
    static constexpr unsigned log_block = sizeof(T) == 8 ? 7 : 6, words = 8, rounds = sizeof(T) == 8 ? 80 : 64;
    static constexpr bool low_first = false;
    static void start(Side<T>* h) noexcept {
        for (unsigned k = 0; k < words; ++k) h[k] = Side<T>{} + static_cast<T>(sha2_starts[from + k] >> shift);
    }
    MC2_INLINE static Side<T> big(Side<T> a, const unsigned* by) noexcept {
        return turned_right<T>(a, by[0]) ^ turned_right<T>(a, by[1]) ^ turned_right<T>(a, by[2]);
    }
    MC2_INLINE static Side<T> small(Side<T> a, const unsigned* by) noexcept {
        return turned_right<T>(a, by[0]) ^ turned_right<T>(a, by[1]) ^ (a >> static_cast<T>(by[2]));
    }
    MC2_INLINE static void step(Side<T>* h, Side<T>* w) noexcept {
        Side<T> v[words];
        for (unsigned k = 0; k < words; ++k) v[k] = h[k];
        for (unsigned i = 0; i < rounds; ++i) {
            if (i >= block_words) {
                w[i & 15] += small(w[(i + 14) & 15], small_turns<T>[1]) + w[(i + 9) & 15] + small(w[(i + 1) & 15], small_turns<T>[0]);
            }
            const T added = static_cast<T>(sizeof(T) == 8 ? sha2_rounds[i] : sha2_rounds[i] >> 32);
            const Side<T> chosen_bits = (v[4] & v[5]) ^ (~v[4] & v[6]), most = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            const Side<T> one = v[7] + big(v[4], big_turns<T>[1]) + chosen_bits + added + w[i & 15];
            const Side<T> two = big(v[0], big_turns<T>[0]) + most;
            for (unsigned k = words - 1; k > 0; --k) v[k] = v[k - 1];
            v[4] += one;
            v[0] = one + two;
        }
        for (unsigned k = 0; k < words; ++k) h[k] += v[k];
    }
};

// --- rows

// A word of the digest's own size: part of a word of the message.
template <typename D>
MC2_INLINE typename D::T block_word(const Message& message, std::size_t block, unsigned t) noexcept {
    if constexpr (sizeof(typename D::T) == 8) {
        return message.word(block_words * block + t);
    } else {
        const u64 pair = message.word(block_words / 2 * block + t / 2);
        const u32 half = static_cast<u32>(t % 2 == 0 ? pair >> 32 : pair);
        return D::low_first ? __builtin_bswap32(half) : half;
    }
}

template <std::size_t digits, typename T>
MC2_INLINE void put_digits(const T* state, std::size_t lanes, std::size_t lane, bool low_first, u64* out) noexcept {
    for (std::size_t j = 0; j < digits / 8; ++j) {
        u32 part;
        if constexpr (sizeof(T) == 8) {
            part = static_cast<u32>(state[lanes * (j / 2) + lane] >> (j % 2 == 0 ? 32 : 0));
        } else {
            part = state[lanes * j + lane];
        }
        out[j] = hex_digits(low_first ? __builtin_bswap32(part) : part, 'a');
    }
    out[digits / 8] = digits;
}

template <typename D, Digest which>
MC2_INLINE void digest_rows(const u64* a, std::size_t width, u64* out, std::size_t rows) {
    using T = typename D::T;
    constexpr std::size_t lanes = sides<T>, digits = digest_digits(which), out_width = digits / 8 + 1;
    const std::size_t words = width - 1;
    const std::size_t blocks = ((8 * words + (std::size_t{1} << (D::log_block - 3))) >> D::log_block) + 1;
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        in_lanes<lanes>(from, to, [=](const std::size_t* at) {
            alignas(side_bytes) T now[block_words][lanes], ends[lanes];
            Side<T> state[D::words], kept[D::words] = {}, block[block_words], mask;
            Message messages[lanes];
            for (std::size_t lane = 0; lane < lanes; ++lane) messages[lane].read(a + at[lane] * width, words, D::log_block, D::low_first);
            D::start(state);
            for (std::size_t b = 0; b < blocks; ++b) {
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    for (unsigned t = 0; t < block_words; ++t) now[t][lane] = block_word<D>(messages[lane], b, t);
                    ends[lane] = static_cast<T>(messages[lane].ends_at(b));
                }
                std::memcpy(block, now, sizeof block);
                std::memcpy(&mask, ends, sizeof mask);
                D::step(state, block);
                for (unsigned k = 0; k < D::words; ++k) kept[k] = chosen(kept[k], state[k], mask);
            }
            T found[most_state * lanes];
            std::memcpy(found, kept, sizeof kept);
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                put_digits<digits>(found, lanes, lane, D::low_first, out + at[lane] * out_width);
            }
        });
    });
}

void digest(Digest which, const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    switch (which) {
        case Digest::md5: return digest_rows<Md5, Digest::md5>(a, width, out, rows);
        case Digest::sha1: return digest_rows<Sha1, Digest::sha1>(a, width, out, rows);
        case Digest::sha224: return digest_rows<Sha2<u32, 8, 0>, Digest::sha224>(a, width, out, rows);
        case Digest::sha256: return digest_rows<Sha2<u32, 0, 32>, Digest::sha256>(a, width, out, rows);
        case Digest::sha384: return digest_rows<Sha2<u64, 8, 0>, Digest::sha384>(a, width, out, rows);
        case Digest::sha512: return digest_rows<Sha2<u64, 0, 0>, Digest::sha512>(a, width, out, rows);
    }
}

// A bit after the other, without the usual table, which would be read at secret places.
void crc32(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    constexpr std::size_t lanes = sides<u32>;
    constexpr u32 polynomial = 0xedb88320;
    const std::size_t words = width - 1;
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        in_lanes<lanes>(from, to, [=](const std::size_t* at) {
            alignas(side_bytes) u32 now[lanes];
            Side<u32> sum = ~Side<u32>{}, length, bytes;
            for (std::size_t lane = 0; lane < lanes; ++lane) now[lane] = static_cast<u32>(a[at[lane] * width + words]);
            std::memcpy(&length, now, sizeof now);
            for (std::size_t half = 0; half < 2 * words; ++half) {
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    now[lane] = static_cast<u32>(a[at[lane] * width + half / 2] >> (half % 2 == 0 ? 32 : 0));
                }
                std::memcpy(&bytes, now, sizeof now);
                for (unsigned k = 0; k < 4; ++k) {
                    Side<u32> next = sum ^ ((bytes >> (24 - 8 * k)) & 0xff);
                    for (unsigned bit = 0; bit < 8; ++bit) next = (next >> 1) ^ ((0 - (next & 1)) & polynomial);
                    const u32 place = static_cast<u32>(4 * half + k);
                    // The sign of place - length: all ones before the end.
                    const Side<u32> inside = hidden_side(0 - ((place - length) >> 31));
                    sum = chosen(sum, next, inside);
                }
            }
            sum = ~sum;
            std::memcpy(now, &sum, sizeof now);
            for (std::size_t lane = 0; lane < lanes; ++lane) out[at[lane]] = now[lane];
        });
    });
}

}  // namespace

extern const DigestsKernels digests_table;
const DigestsKernels digests_table = {digest, crc32};

}  // namespace mc2::oblivious::MC2_ISA
