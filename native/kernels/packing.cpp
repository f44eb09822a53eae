#include "mc2/packing.hpp"

#include "mc2/lanes.hpp"
#include "mc2/secret.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t block = 512;  // rows whose packed words stay near
constexpr std::size_t lanes = words_in_vector;
constexpr std::size_t together = 4;  // words that are picked in one pass over the few rows

MC2_INLINE std::size_t least(std::size_t a, std::size_t b) noexcept { return a < b ? a : b; }

MC2_INLINE void add_value(const PackedValue& value, std::size_t from, std::size_t to, u64* out) noexcept {
    const u64 low = value.low, flip = value.flip, mask = value.mask;
    const unsigned right = value.right, left = value.left;
    const u64* const in = value.in;
    if (value.stride == 1) {
        for (std::size_t i = from; i < to; ++i) out[i] |= ((((in[i] - low) ^ flip) >> right) & mask) << left;
        return;
    }
    for (std::size_t i = from; i < to; ++i) out[i] |= ((((in[i * value.stride] - low) ^ flip) >> right) & mask) << left;
}

// f(from, to) for each block of all rows.
template <typename F>
void each_block(std::size_t rows, F f) noexcept {
    cut_over_threads((rows + block - 1) / block, rows, [=](std::size_t first, std::size_t last) {
        for (std::size_t b = first; b < last; ++b) f(b * block, least(b * block + block, rows));
    });
}

void pack_bits(const PackedValue* values, std::size_t value_count, const PackedMark* marks, std::size_t mark_count,
               u64* out, std::size_t rows) noexcept {
    each_block(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) out[i] = 0;
        for (std::size_t v = 0; v < value_count; ++v) add_value(values[v], from, to, out);
        for (std::size_t m = 0; m < mark_count; ++m) {
            const u8* const in = marks[m].in;
            const unsigned left = marks[m].left;
            for (std::size_t i = from; i < to; ++i) out[i] |= static_cast<u64>(in[i] & 1) << left;
        }
    });
}

MC2_INLINE void add_part(const PackedPart& part, std::size_t from, std::size_t to, u64* out) noexcept {
    const u64 mask = part.mask;
    const unsigned left = part.left, right = part.right;
    const u64* const in = part.in;
    if (part.stride == 1) {
        for (std::size_t i = from; i < to; ++i) out[i - from] |= ((in[i] >> left) & mask) << right;
        return;
    }
    for (std::size_t i = from; i < to; ++i) out[i - from] |= ((in[i * part.stride] >> left) & mask) << right;
}

void unpack_bits(const PackedPart* parts, std::size_t count, u64 flip, u64 low, const u8* keep, u64* out,
                 std::size_t out_stride, std::size_t rows) noexcept {
    each_block(rows, [=](std::size_t from, std::size_t to) {
        u64 near[block];
        for (std::size_t i = 0; i < to - from; ++i) near[i] = 0;
        for (std::size_t p = 0; p < count; ++p) add_part(parts[p], from, to, near);
        if (out_stride == 1) {
            for (std::size_t i = from; i < to; ++i) out[i] = ((near[i - from] ^ flip) + low) & (0 - static_cast<u64>(keep[i] & 1));
        } else {
            for (std::size_t i = from; i < to; ++i) {
                out[i * out_stride] = ((near[i - from] ^ flip) + low) & (0 - static_cast<u64>(keep[i] & 1));
            }
        }
    });
}

// --- a row among few

struct Few {
    const u64* keys;
    const u8* keep;
    const u64* words;
    std::size_t count, width;
};

// `count` words, from `first` on, of the row with the key of each lane; which lanes have one.
template <std::size_t count>
MC2_INLINE V pick(const Few& few, V key, std::size_t first, V (&found)[together]) noexcept {
    V any = all64(0);
#pragma GCC unroll 4
    for (std::size_t w = 0; w < count; ++w) found[w] = any;
    for (std::size_t j = 0; j < few.count; ++j) {
        const V there = all64(Mask::from_bit(few.keep[j]).word());
        const V mask = both(equal64(key, all64(few.keys[j])), there);
        any = either(any, mask);
#pragma GCC unroll 4
        for (std::size_t w = 0; w < count; ++w) {
            found[w] = either(found[w], both(mask, all64(few.words[j * few.width + first + w])));
        }
    }
    return any;
}

MC2_INLINE V pick_some(const Few& few, V key, std::size_t first, std::size_t count, V (&found)[together]) noexcept {
    switch (count) {  // of words: public
        case 0: return pick<0>(few, key, first, found);
        case 1: return pick<1>(few, key, first, found);
        case 2: return pick<2>(few, key, first, found);
        case 3: return pick<3>(few, key, first, found);
        default: return pick<4>(few, key, first, found);
    }
}

// Rows [row, row + count) of at most `lanes`.
MC2_INLINE void match_lanes(const Few& few, const u64* keys, const u8* keep, std::size_t row, std::size_t count,
                            u64* const* out, u8* found) noexcept {
    u64 key[lanes] = {0, 0, 0, 0}, mine[lanes] = {0, 0, 0, 0}, words[lanes];
    for (std::size_t i = 0; i < count; ++i) {
        key[i] = keys[row + i];
        mine[i] = Mask::from_bit(keep[row + i]).word();
    }
    const V own = load(mine);
    V any = all64(0);
    std::size_t first = 0;
    do {
        const std::size_t here = least(together, few.width - first);
        V picked[together];
        any = both(pick_some(few, load(key), first, here, picked), own);
        for (std::size_t w = 0; w < here; ++w) {
            store(words, both(picked[w], own));
            for (std::size_t i = 0; i < count; ++i) out[first + w][row + i] = words[i];
        }
        first += here;
    } while (first < few.width);
    store(words, any);
    for (std::size_t i = 0; i < count; ++i) found[row + i] = static_cast<u8>(words[i] & 1);
}

void match_few(const u64* keys, const u8* keep, std::size_t rows, const u64* few_keys, const u8* few_keep,
               const u64* few_words, std::size_t few, std::size_t width, u64* const* out, u8* found) noexcept {
    const Few all{few_keys, few_keep, few_words, few, width};
    each_block(rows, [=](std::size_t from, std::size_t to) {
        std::size_t row = from;
        for (; row + lanes <= to; row += lanes) match_lanes(all, keys, keep, row, lanes, out, found);
        if (row < to) match_lanes(all, keys, keep, row, to - row, out, found);
    });
}

// The same of whole rows, whose words are put side by side, four rows in a vector.
constexpr std::size_t near_words = 8;

MC2_INLINE V same_words(const V* words, const u64* row, std::size_t width, V mask) noexcept {
    for (std::size_t w = 0; w < width; ++w) mask = both(mask, equal64(words[w], all64(row[w])));
    return mask;
}

MC2_INLINE void match_block(const u64* rows, std::size_t width, const u64* few_rows, std::size_t few, std::size_t count,
                            u64* out, u8* found) noexcept {
    V number = all64(0), any = number;
    u64 lane[lanes] = {0, 0, 0, 0};
    V near[near_words];
    const std::size_t first = least(width, near_words);
    for (std::size_t w = 0; w < first; ++w) {
        for (std::size_t i = 0; i < count; ++i) lane[i] = rows[i * width + w];
        near[w] = load(lane);
    }
    for (std::size_t j = 0; j < few; ++j) {
        V mask = same_words(near, few_rows + j * width, first, all64(~u64{0}));
        for (std::size_t w = first; w < width; ++w) {  // of long rows
            for (std::size_t i = 0; i < count; ++i) lane[i] = rows[i * width + w];
            mask = both(mask, equal64(load(lane), all64(few_rows[j * width + w])));
        }
        any = either(any, mask);
        number = either(number, both(mask, all64(j)));
    }
    store(lane, number);
    for (std::size_t i = 0; i < count; ++i) out[i] = lane[i];
    store(lane, any);
    for (std::size_t i = 0; i < count; ++i) found[i] = static_cast<u8>(lane[i] & 1);
}

void match_rows(const u64* rows, std::size_t width, std::size_t count, const u64* few_rows, std::size_t few, u64* out,
                u8* found) noexcept {
    each_block(count, [=](std::size_t from, std::size_t to) {
        std::size_t row = from;
        for (; row + lanes <= to; row += lanes) {
            match_block(rows + row * width, width, few_rows, few, lanes, out + row, found + row);
        }
        if (row < to) match_block(rows + row * width, width, few_rows, few, to - row, out + row, found + row);
    });
}

}  // namespace

extern const PackingKernels packing_table;
const PackingKernels packing_table = {pack_bits, unpack_bits, match_few, match_rows};

}  // namespace mc2::oblivious::MC2_ISA
