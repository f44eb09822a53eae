#include "mc2/shuffle.hpp"

#include <cstddef>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/secret.hpp"
#include "mc2/sort.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

// Eight ChaCha20 blocks side by side: lane l is block l.
constexpr std::size_t blocks = 8;
typedef u32 Lanes __attribute__((vector_size(4 * blocks)));

MC2_INLINE void rotate(Lanes& x, int count) noexcept { x = (x << count) | (x >> (32 - count)); }

MC2_INLINE void quarter_round(Lanes& a, Lanes& b, Lanes& c, Lanes& d) noexcept {
    a += b; d ^= a; rotate(d, 16);
    c += d; b ^= c; rotate(b, 12);
    a += b; d ^= a; rotate(d, 8);
    c += d; b ^= c; rotate(b, 7);
}

void eight_blocks(const u32 (&start)[16], u32 counter, u32 (&out)[blocks][16]) noexcept {
    Lanes first[16], x[16];
    for (int w = 0; w < 16; ++w) first[w] = Lanes{} + start[w];
    for (std::size_t l = 0; l < blocks; ++l) first[12][l] = counter + static_cast<u32>(l);
    for (int w = 0; w < 16; ++w) x[w] = first[w];
    for (int round = 0; round < 10; ++round) {
        quarter_round(x[0], x[4], x[8], x[12]);
        quarter_round(x[1], x[5], x[9], x[13]);
        quarter_round(x[2], x[6], x[10], x[14]);
        quarter_round(x[3], x[7], x[11], x[15]);
        quarter_round(x[0], x[5], x[10], x[15]);
        quarter_round(x[1], x[6], x[11], x[12]);
        quarter_round(x[2], x[7], x[8], x[13]);
        quarter_round(x[3], x[4], x[9], x[14]);
    }
    for (int w = 0; w < 16; ++w) {
        x[w] += first[w];
        for (std::size_t l = 0; l < blocks; ++l) out[l][w] = x[w][l];
    }
}

u32 word_of(const u8* bytes) noexcept {
    return static_cast<u32>(bytes[0]) | static_cast<u32>(bytes[1]) << 8 | static_cast<u32>(bytes[2]) << 16 |
           static_cast<u32>(bytes[3]) << 24;
}

void stream_words(const u8* key, u32 stream, u64 nonce, u64* out, std::size_t count) noexcept {
    u32 start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    for (int w = 0; w < 8; ++w) start[4 + w] = word_of(key + 4 * w);
    start[13] = stream;
    start[14] = static_cast<u32>(nonce);
    start[15] = static_cast<u32>(nonce >> 32);
    constexpr std::size_t words = blocks * 8;
    u32 made[blocks][16];
    u32 counter = 0;
    for (std::size_t at = 0; at < count; at += words, counter += blocks) {
        eight_blocks(start, counter, made);
        const std::size_t left = count - at < words ? count - at : words;
        for (std::size_t i = 0; i < left; ++i) {
            out[at + i] = static_cast<u64>(made[i / 8][i % 8 * 2]) | static_cast<u64>(made[i / 8][i % 8 * 2 + 1]) << 32;
        }
    }
}

void shuffle_rows(u64* rows, std::size_t width, std::size_t count, const u8* key, u64 nonce) {
    if (count <= 1 || width == 0) return;
    const Scratch tags(count * sizeof(u64)), words((width + 1) * sizeof(SortWord));
    u64* const tag = tags.as<u64>();
    SortWord* const word = words.as<SortWord>();
    word[0] = {tag, tag, 1, 1, 0};
    for (std::size_t w = 0; w < width; ++w) word[w + 1] = {rows + w, rows + w, width, width, 0};
    for (u32 stream = 0;; ++stream) {
        stream_words(key, stream, nonce, tag, count);
        kernels::sort().sort(word, width + 1, 1, count);
        Mask twice = Mask::constant(false);
        for (std::size_t i = 1; i < count; ++i) twice = twice | (Secret(tag[i]) == Secret(tag[i - 1]));
        if (!declassify(twice, "whether random tags were equal says nothing of the rows")) return;
    }
}

}  // namespace

extern const ShuffleKernels shuffle_table;
const ShuffleKernels shuffle_table = {stream_words, shuffle_rows};

}  // namespace mc2::oblivious::MC2_ISA
