#include "mc2/histograms.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/compact.hpp"
#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/secret.hpp"
#include "mc2/tables.hpp"

#if defined(MC2_ISA_avx2)
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t chunk_rows = 4096;  // digits and one column of so many rows stay in the L1 cache
constexpr std::size_t most_slots = 128;

MC2_INLINE std::size_t round_up(std::size_t n, std::size_t step) noexcept { return (n + step - 1) / step * step; }

MC2_INLINE std::size_t all_bins(const BinnedColumns& columns) noexcept {
    std::size_t all = 0;
    for (std::size_t f = 0; f < columns.features; ++f) all += columns.counts[f];
    return all;
}

// sums[2 * bin + (0 or 1)] = sum of g or h over the rows with that bin. At most 4096 rows, in steps
// of 32: a sum of so many bytes of -64 .. 63 in each lane of 16 bits fits it, with 8 lanes or more.
#if defined(MC2_ISA_avx2)

MC2_INLINE __m256i loaded(const void* at) noexcept { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }

// In place: else the compiler copies accumulators to and fro.
MC2_INLINE void accumulate(__m256i& sum, __m256i addend) noexcept {
    __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(addend));
}

// The mask of equal bytes is 255 as an unsigned byte, so each product is 255 g. Multiplying by the
// inverse of 255 modulo 2^16 gives the sum itself.
MC2_INLINE __m256i widened(__m256i sum) noexcept {
    return _mm256_madd_epi16(_mm256_mullo_epi16(sum, _mm256_set1_epi16(static_cast<short>(0xFEFF))), _mm256_set1_epi16(1));
}

// Sums of four bins, g and h alternating: 8 words.
MC2_INLINE void four_bins(const u8* bins, const i8* g, const i8* h, std::size_t rows, std::size_t first, i32* sums) noexcept {
    const __m256i b0 = _mm256_set1_epi8(static_cast<char>(first)), b1 = _mm256_set1_epi8(static_cast<char>(first + 1));
    const __m256i b2 = _mm256_set1_epi8(static_cast<char>(first + 2)), b3 = _mm256_set1_epi8(static_cast<char>(first + 3));
    __m256i g0 = _mm256_setzero_si256(), g1 = g0, g2 = g0, g3 = g0, h0 = g0, h1 = g0, h2 = g0, h3 = g0;
    for (std::size_t i = 0; i < rows; i += 32) {
        const __m256i v = loaded(bins + i), x = loaded(g + i), y = loaded(h + i);
        __m256i is = _mm256_cmpeq_epi8(v, b0);
        accumulate(g0, _mm256_maddubs_epi16(is, x));
        accumulate(h0, _mm256_maddubs_epi16(is, y));
        is = _mm256_cmpeq_epi8(v, b1);
        accumulate(g1, _mm256_maddubs_epi16(is, x));
        accumulate(h1, _mm256_maddubs_epi16(is, y));
        is = _mm256_cmpeq_epi8(v, b2);
        accumulate(g2, _mm256_maddubs_epi16(is, x));
        accumulate(h2, _mm256_maddubs_epi16(is, y));
        is = _mm256_cmpeq_epi8(v, b3);
        accumulate(g3, _mm256_maddubs_epi16(is, x));
        accumulate(h3, _mm256_maddubs_epi16(is, y));
    }
    const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(widened(g0), widened(h0)), _mm256_hadd_epi32(widened(g1), widened(h1)));
    const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(widened(g2), widened(h2)), _mm256_hadd_epi32(widened(g3), widened(h3)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums), _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + 4), _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1)));
}

MC2_INLINE void one_bin(const u8* bins, const i8* g, const i8* h, std::size_t rows, std::size_t wanted, i32* sums) noexcept {
    const __m256i b = _mm256_set1_epi8(static_cast<char>(wanted));
    __m256i of_g = _mm256_setzero_si256(), of_h = of_g;
    for (std::size_t i = 0; i < rows; i += 32) {
        const __m256i is = _mm256_cmpeq_epi8(loaded(bins + i), b);
        accumulate(of_g, _mm256_maddubs_epi16(is, loaded(g + i)));
        accumulate(of_h, _mm256_maddubs_epi16(is, loaded(h + i)));
    }
    const __m256i both = _mm256_hadd_epi32(widened(of_g), widened(of_h)), pairs = _mm256_hadd_epi32(both, both);
    const __m128i all = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(sums), all);
}

void bin_sums(const u8* bins, const i8* g, const i8* h, std::size_t rows, std::size_t count, i32* sums) noexcept {
    std::size_t b = 0;
    for (; b + 4 <= count; b += 4) four_bins(bins, g, h, rows, b, sums + 2 * b);
    for (; b < count; ++b) one_bin(bins, g, h, rows, b, sums + 2 * b);
}

#else

void bin_sums(const u8* bins, const i8* g, const i8* h, std::size_t rows, std::size_t count, i32* sums) noexcept {
    typedef i16 Lanes __attribute__((vector_size(16)));
    for (std::size_t b = 0; b < count; ++b) {
        const i16 wanted = static_cast<i16>(b);
        Lanes of_g{}, of_h{};
        for (std::size_t i = 0; i < rows; i += 8) {
            Lanes v, x, y;
            for (int l = 0; l < 8; ++l) {
                v[l] = bins[i + static_cast<std::size_t>(l)];
                x[l] = g[i + static_cast<std::size_t>(l)];
                y[l] = h[i + static_cast<std::size_t>(l)];
            }
            const Lanes is = v == wanted;
            of_g += x & is;
            of_h += y & is;
        }
        i32 sum_g = 0, sum_h = 0;
        for (int l = 0; l < 8; ++l) {
            sum_g += of_g[l];
            sum_h += of_h[l];
        }
        sums[2 * b] = sum_g;
        sums[2 * b + 1] = sum_h;
    }
}

#endif

// out = values where slots[i] is `slot`, else 0.
MC2_INLINE void keep_slot(const i8* values, const u8* slots, u8 slot, std::size_t rows, i8* out) noexcept {
    typedef u8 Lanes __attribute__((vector_size(32)));
    for (std::size_t i = 0; i < rows; i += 32) {
        Lanes v, s;
        std::memcpy(&v, values + i, sizeof v);
        std::memcpy(&s, slots + i, sizeof s);
        v &= reinterpret_cast<Lanes>(s == slot);
        std::memcpy(out + i, &v, sizeof v);
    }
}

// --- parts of the rows on threads, each with sums of its own; integers add up to the same in any order

template <typename Work>
struct Parted {
    const Work* work;
    std::size_t units;
    unsigned parts;
    std::size_t words;
    i64* sums;

    static void run(void* context, unsigned part) {
        const Parted& self = *static_cast<const Parted*>(context);
        const std::size_t first = self.units * part / self.parts, last = self.units * (part + 1) / self.parts;
        (*self.work)(first, last, self.sums + part * self.words, part);
    }
};

template <typename Work>
void sum_parts(std::size_t units, unsigned parts, std::size_t words, i64* out, const Work& work) {
    const Scratch sums(parts * words * sizeof(i64));
    std::memset(sums.as<i64>(), 0, parts * words * sizeof(i64));
    Parted<Work> parted{&work, units, parts, words, sums.as<i64>()};
    run_parts(parts, &Parted<Work>::run, &parted);
    for (unsigned p = 0; p < parts; ++p) {
        for (std::size_t i = 0; i < words; ++i) out[i] += sums.as<i64>()[p * words + i];
    }
}

void direct(const BinnedColumns& columns, const Planes& planes, const u8* slots, std::size_t slot_count, std::size_t rows,
            i64* out) {
    const std::size_t all = all_bins(columns), chunks = round_up(rows, chunk_rows) / chunk_rows;
    if (rows == 0 || all == 0) return;
    const auto work = [&](std::size_t first, std::size_t last, i64* sums, unsigned) {
        alignas(64) i8 g[chunk_rows], h[chunk_rows];
        alignas(64) i32 found[2 * 256];
        for (std::size_t c = first; c < last; ++c) {
            const std::size_t at = c * chunk_rows, here = rows - at < chunk_rows ? rows - at : chunk_rows;
            for (std::size_t slot = 0; slot < slot_count; ++slot) {
                for (std::size_t k = 0; k < planes.pairs; ++k) {
                    keep_slot(planes.bytes + 2 * k * planes.stride + at, slots + at, static_cast<u8>(slot), here, g);
                    keep_slot(planes.bytes + (2 * k + 1) * planes.stride + at, slots + at, static_cast<u8>(slot), here, h);
                    i64* to = sums + slot * all * 2;
                    for (std::size_t f = 0; f < columns.features; ++f) {
                        const std::size_t words = 2 * columns.counts[f];
                        bin_sums(columns.bins + f * columns.stride + at, g, h, here, columns.counts[f], found);
                        for (std::size_t i = 0; i < words; ++i) to[i] += found[i] * planes.worth[k];
                        to += words;
                    }
                }
            }
        }
    };
    const unsigned parts = parts_for(rows);
    sum_parts(chunks, parts, slot_count * all * 2, out, work);
}

// --- rows grouped by slot

// Bytes of rows, to[column * stride + row] = from[row * width + column]; rows in steps of 16.
#if defined(MC2_ISA_avx2)

MC2_INLINE void transpose_16(const u8* from, std::size_t width, u8* to, std::size_t stride, std::size_t columns) noexcept {
    __m128i a[16], b[16];
    for (int i = 0; i < 16; ++i) a[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + static_cast<std::size_t>(i) * width));
    for (int i = 0; i < 8; ++i) {
        b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
        b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
        a[2 * i] = _mm_unpacklo_epi8(b[i], b[i + 8]);
        a[2 * i + 1] = _mm_unpackhi_epi8(b[i], b[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
        b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
        b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
        a[2 * i] = _mm_unpacklo_epi8(b[i], b[i + 8]);
        a[2 * i + 1] = _mm_unpackhi_epi8(b[i], b[i + 8]);
    }
    for (std::size_t c = 0; c < columns; ++c) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + c * stride), a[c]);
}

#else

MC2_INLINE void transpose_16(const u8* from, std::size_t width, u8* to, std::size_t stride, std::size_t columns) noexcept {
    for (std::size_t r = 0; r < 16; ++r) {
        for (std::size_t c = 0; c < columns; ++c) to[c * stride + r] = from[r * width + c];
    }
}

#endif

// Room for reading 16 bytes at any column must follow the last row.
void transpose(const u8* from, std::size_t width, std::size_t rows, std::size_t columns, u8* to, std::size_t stride) noexcept {
    for (std::size_t r = 0; r < rows; r += 16) {
        for (std::size_t c = 0; c < columns; c += 16) {
            transpose_16(from + r * width + c, width, to + c * stride + r, stride, columns - c < 16 ? columns - c : 16);
        }
    }
}

// What one thread needs for a tile.
struct Tile {
    u8* rows;     // records
    u32* before;  // how many marked rows stand before each place
    u8* slots;    // of dummies
    u8* columns;  // of one block
    i32* local;   // sums of a few blocks, all pairs of digits
    i32* sums;    // sums of the tile, by slot
};

constexpr std::size_t blocks_at_once = 4;

class Grouper {
public:
    Grouper(std::size_t width, const BinnedColumns& columns, const Planes& planes, std::size_t slot_count, const Grouping& grouping) noexcept
        : width_(width), columns_(columns), planes_(planes), slots_(slot_count), grouping_(grouping), all_(all_bins(columns)),
          digits_(columns.features), slot_at_(columns.features + 2 * planes.pairs),
          places_(round_up(grouping.capacity + (slot_count > 1 ? slot_count * (grouping.block - 1) : 0), grouping.block)) {}

    std::size_t most_rows() const noexcept { return places_ < grouping_.tile ? grouping_.tile : places_; }
    std::size_t words() const noexcept { return 2 * all_ * planes_.pairs; }
    std::size_t room() const noexcept {
        return round_up(most_rows() * width_ + 64, 64) + round_up((most_rows() + 1) * sizeof(u32), 64) + round_up(places_ + 64, 64) +
               round_up(round_up(slot_at_ + 1, 16) * column_stride(), 64) + step() * sizeof(i32) * (slots_ + blocks_at_once);
    }
    Tile tile(u8* memory) const noexcept {
        Tile t;
        t.rows = memory;
        t.before = reinterpret_cast<u32*>(t.rows + round_up(most_rows() * width_ + 64, 64));
        t.slots = reinterpret_cast<u8*>(t.before) + round_up((most_rows() + 1) * sizeof(u32), 64);
        t.columns = t.slots + round_up(places_ + 64, 64);
        t.local = reinterpret_cast<i32*>(t.columns + round_up(round_up(slot_at_ + 1, 16) * column_stride(), 64));
        t.sums = t.local + step() * blocks_at_once;
        return t;
    }

    void run(Tile t, const u8* records, const u8* slots, std::size_t count, i64* out, Flags& flags) const {
        const u32 kept = take(t, records, slots, count);
        flags.raise(Flag::bound_exceeded, Secret<u64>(kept) > Secret<u64>(grouping_.capacity));
        kernels::compact().compact_counted(reinterpret_cast<u64*>(t.rows), width_ / 8, count, t.before);
        if (count < places_) std::memset(t.rows + count * width_, 0, (places_ - count) * width_);
        align(t, slots, count, kept);
        for (std::size_t bit = 0; (std::size_t{1} << bit) < slots_; ++bit) {
            count_zeros(t, bit);
            kernels::compact().compact_counted(reinterpret_cast<u64*>(t.rows), width_ / 8, places_, t.before);
        }
        std::memset(t.sums, 0, step() * sizeof(i32) * slots_);
        for (std::size_t at = 0; at < places_; at += blocks_at_once * grouping_.block) sum_blocks(t, at);
        flush(t, out);
    }

private:
    // Not a multiple of 4096: columns would share their lines in the cache.
    std::size_t column_stride() const noexcept { return grouping_.block + 64; }
    // From the sums of one slot or block to those of the next.
    std::size_t step() const noexcept { return round_up(words() * sizeof(i32), 64) / sizeof(i32); }

    // Rows of the tile with their slots; how many have one.
    u32 take(const Tile& t, const u8* records, const u8* slots, std::size_t count) const noexcept {
        const u32 end = static_cast<u32>(slots_);
        u32 kept = 0;
        for (std::size_t i = 0; i < count; ++i) {
            std::memcpy(t.rows + i * width_, records + i * width_, width_);
            t.rows[i * width_ + slot_at_] = slots[i];
            t.before[i] = kept;
            kept += (slots[i] - end) >> 31;  // the sign: slot < end
        }
        t.before[count] = kept;
        return kept;
    }

    // Rows behind the kept ones become dummies without gradients. Their slots fill each group up to
    // whole blocks; what is left over then is whole blocks too, and goes to the last slot.
    void align(const Tile& t, const u8* slots, std::size_t count, u32 kept) const noexcept {
        u32 until[most_slots];  // so many dummies go to the slots up to this one
        u32 sum = 0;
        for (std::size_t s = 0; s < slots_; ++s) {
            sum += remainder_to_block(rows_of(slots, count, static_cast<u8>(s)));
            until[s] = sum;
        }
        slots_of_dummies(t.slots, kept, until);
        for (std::size_t i = 0; i < places_; ++i) dummy(t, i, kept);
    }

    // How many rows have the slot: marks of equal bytes are -1, and a byte holds 255 of them.
    static u32 rows_of(const u8* slots, std::size_t count, u8 slot) noexcept {
        constexpr std::size_t lanes = sizeof(Bytes), most = 128 * lanes;
        u32 found = 0;
        std::size_t at = 0;
        while (at + lanes <= count) {
            const std::size_t until = count - at < most ? at + (count - at) / lanes * lanes : at + most;
            Bytes here{};
            for (; at < until; at += lanes) here -= reinterpret_cast<Bytes>(load_bytes(slots + at) == slot);
            for (std::size_t l = 0; l < lanes; ++l) found += here[l];
        }
        for (; at < count; ++at) found += static_cast<u32>(slots[at] == slot);
        return found;
    }

    // How many rows are missing up to a multiple of `block`: by subtractions of public amounts.
    u32 remainder_to_block(u32 rows) const noexcept {
        const u32 block = static_cast<u32>(grouping_.block);
        u32 most = block;
        while (most < places_ + block) most *= 2;
        for (u32 step = most; step >= block; step /= 2) {
            const Mask fits = Secret<u32>(rows) >= Secret<u32>(step);
            rows -= step & static_cast<u32>(fits.word());
        }
        return (block - rows) & static_cast<u32>((Secret<u32>(rows) != Secret<u32>(0)).word());
    }

    // The slot that each place would have as a dummy.
    void slots_of_dummies(u8* out, u32 kept, const u32 (&until)[most_slots]) const noexcept {
        typedef i32 Words __attribute__((vector_size(32)));
        Words behind{0, 1, 2, 3, 4, 5, 6, 7};
        behind -= static_cast<i32>(kept);
        for (std::size_t i = 0; i < places_; i += 8) {
            Words slot{};
            for (std::size_t s = 0; s + 1 < slots_; ++s) slot += behind < static_cast<i32>(until[s]);  // a mask is -1
            slot += static_cast<i32>(slots_ - 1);
            for (std::size_t l = 0; l < 8; ++l) out[i + l] = static_cast<u8>(slot[l]);
            behind += 8;
        }
    }

    MC2_INLINE void dummy(const Tile& t, std::size_t i, u32 kept) const noexcept {
        u8* row = t.rows + i * width_;
        const u8 keep = static_cast<u8>(value_barrier((static_cast<u64>(i) - kept) >> 56));  // the sign: i < kept
        for (std::size_t k = 0; k < 2 * planes_.pairs; ++k) row[digits_ + k] &= keep;
        row[slot_at_] = static_cast<u8>((row[slot_at_] & keep) | (t.slots[i] & static_cast<u8>(~keep)));
    }

    void count_zeros(const Tile& t, std::size_t bit) const noexcept {
        const u8* slot = t.rows + slot_at_;
        u32 zeros = 0;
        for (std::size_t i = 0; i < places_; ++i) {
            t.before[i] = zeros;
            zeros += static_cast<u32>(~(slot[i * width_] >> bit)) & 1;
        }
        t.before[places_] = zeros;
    }

    void sum_block(const Tile& t, std::size_t at, i32* to) const noexcept {
        const std::size_t stride = column_stride();
        transpose(t.rows + at * width_, width_, grouping_.block, slot_at_, t.columns, stride);
        for (std::size_t k = 0; k < planes_.pairs; ++k) {
            const i8* g = reinterpret_cast<const i8*>(t.columns + (digits_ + 2 * k) * stride);
            for (std::size_t f = 0; f < columns_.features; ++f) {
                bin_sums(t.columns + f * stride, g, g + stride, grouping_.block, columns_.counts[f], to);
                to += 2 * columns_.counts[f];
            }
        }
    }

    // A few blocks at once, so that the sums of slots are read and written less often. Where there
    // are fewer blocks left, those behind them count in no slot.
    void sum_blocks(const Tile& t, std::size_t at) const noexcept {
        constexpr std::size_t near_words = 1024;
        const std::size_t words = this->words(), step = this->step();
        u8 slot[blocks_at_once];
        for (std::size_t b = 0; b < blocks_at_once; ++b) {
            const std::size_t row = at + b * grouping_.block;
            slot[b] = no_slot;
            if (row >= places_) continue;
            sum_block(t, row, t.local + b * step);
            slot[b] = t.rows[row * width_ + slot_at_];
        }
        for (std::size_t from = 0; from < words; from += near_words) {
            const std::size_t until = words - from < near_words ? words : from + near_words;
            for (std::size_t s = 0; s < slots_; ++s) {
                i32 is[blocks_at_once];
                for (std::size_t b = 0; b < blocks_at_once; ++b) {
                    is[b] = static_cast<i32>((Secret<u32>(slot[b]) == Secret<u32>(static_cast<u32>(s))).word());
                }
                add_masked(t.local, step, is, from, until, t.sums + s * step);
            }
        }
    }

    MC2_INLINE static void add_masked(const i32* local, std::size_t step, const i32 (&is)[blocks_at_once], std::size_t from, std::size_t until,
                                      i32* sums) noexcept {
        static_assert(blocks_at_once == 4);
        for (std::size_t i = from; i < until; ++i) {
            sums[i] += (local[i] & is[0]) + (local[step + i] & is[1]) + (local[2 * step + i] & is[2]) + (local[3 * step + i] & is[3]);
        }
    }

    void flush(const Tile& t, i64* out) const noexcept {
        const std::size_t step = this->step();
        for (std::size_t s = 0; s < slots_; ++s) {
            for (std::size_t k = 0; k < planes_.pairs; ++k) {
                const i32* sums = t.sums + s * step + 2 * all_ * k;
                for (std::size_t i = 0; i < 2 * all_; ++i) out[s * 2 * all_ + i] += sums[i] * planes_.worth[k];
            }
        }
    }

    std::size_t width_;
    const BinnedColumns& columns_;
    const Planes& planes_;
    std::size_t slots_;
    const Grouping& grouping_;
    std::size_t all_, digits_, slot_at_, places_;
};

void grouped(const u8* records, std::size_t width, const BinnedColumns& columns, const Planes& planes, const u8* slots,
             std::size_t slot_count, std::size_t rows, const Grouping& grouping, i64* out, u64* flags) {
    if (rows == 0 || all_bins(columns) == 0) return;
    const Grouper grouper(width, columns, planes, slot_count, grouping);
    const std::size_t tiles = round_up(rows, grouping.tile) / grouping.tile;
    const unsigned parts = parts_for(rows);
    const Scratch room(parts * round_up(grouper.room(), 64)), raised(parts * sizeof(u64));
    std::memset(raised.as<u64>(), 0, parts * sizeof(u64));
    const auto work = [&](std::size_t first, std::size_t last, i64* sums, unsigned part) {
        const Tile tile = grouper.tile(room.as<u8>() + part * round_up(grouper.room(), 64));
        Flags found;
        for (std::size_t t = first; t < last; ++t) {
            const std::size_t at = t * grouping.tile, here = rows - at < grouping.tile ? rows - at : grouping.tile;
            grouper.run(tile, records + at * width, slots + at, here, sums, found);
        }
        found.raise_in(raised.as<u64>() + part);
    };
    sum_parts(tiles, parts, slot_count * all_bins(columns) * 2, out, work);
    for (unsigned p = 0; p < parts; ++p) *flags |= raised.as<u64>()[p];
}

void fill_records(const BinnedColumns& columns, std::size_t rows, u8* records, std::size_t width) {
    for (std::size_t r = 0; r < rows; r += row_step) {
        for (std::size_t f = 0; f < columns.features; ++f) {
            const u8* column = columns.bins + f * columns.stride + r;
            for (std::size_t i = 0; i < row_step; ++i) records[(r + i) * width + f] = column[i];
        }
    }
}

void fill_digits(const Planes& planes, std::size_t features, std::size_t rows, u8* records, std::size_t width) {
    for (std::size_t r = 0; r < rows; r += row_step) {
        for (std::size_t k = 0; k < 2 * planes.pairs; ++k) {
            const i8* plane = planes.bytes + k * planes.stride + r;
            for (std::size_t i = 0; i < row_step; ++i) records[(r + i) * width + features + k] = static_cast<u8>(plane[i]);
        }
    }
}

// --- nodes

// Marks of equal bytes are -1: bytes hold 255 of them, which is 8160 rows in 32 lanes.
void count_nodes(const u8* nodes, std::size_t rows, std::size_t node_count, u64* out) {
    typedef u8 Lanes __attribute__((vector_size(32)));
    constexpr std::size_t most = 128 * row_step / 2;
    for (std::size_t at = 0; at < rows; at += most) {
        const std::size_t here = rows - at < most ? rows - at : most;
        for (std::size_t node = 0; node < node_count; ++node) {
            Lanes count{};
            for (std::size_t i = 0; i < here; i += 32) {
                Lanes v;
                std::memcpy(&v, nodes + at + i, sizeof v);
                count -= reinterpret_cast<Lanes>(v == static_cast<u8>(node));
            }
            for (int l = 0; l < 32; ++l) out[node] += count[l];
        }
    }
}

void choose_smaller(const u64* counts, std::size_t parents, u8* smaller) noexcept {
    for (std::size_t p = 0; p < parents; ++p) smaller[p] = (Secret(counts[2 * p + 1]) < Secret(counts[2 * p])).byte();
}

void slots_of_smaller(const u8* nodes, const u8* smaller, std::size_t parents, std::size_t rows, u8* slots) {
    Table table;
    std::memcpy(table.bytes, smaller, parents);
    for (std::size_t i = 0; i < rows; i += sizeof(Bytes)) {
        const Bytes node = load_bytes(nodes + i), parent = node >> 1;
        Bytes wanted;
        look_up(table, parents, parent, wanted);
        // All ones where the row is not at the smaller child: `no_slot`.
        Bytes other = Bytes{} - ((wanted ^ node) & 1);
        hide(other);
        store_bytes(slots + i, parent | other);
    }
}

void unfold(const i64* of_parents, const i64* of_smaller, const u8* smaller, std::size_t parents, std::size_t words, i64* out) noexcept {
    for (std::size_t p = 0; p < parents; ++p) {
        const i64 right = static_cast<i64>(Mask::from_bit(smaller[p]).word());
        for (std::size_t i = 0; i < words; ++i) {
            const i64 small = of_smaller[p * words + i], large = of_parents[p * words + i] - small;
            const i64 differ = (small ^ large) & right;
            out[2 * p * words + i] = small ^ differ;
            out[(2 * p + 1) * words + i] = large ^ differ;
        }
    }
}

void add(i64* sum, const i64* addend, std::size_t words) noexcept {
    for (std::size_t i = 0; i < words; ++i) sum[i] += addend[i];
}

}  // namespace

extern const HistogramsKernels histograms_table;
const HistogramsKernels histograms_table = {direct, grouped, fill_records, fill_digits, count_nodes, choose_smaller,
                                            slots_of_smaller, unfold, add};

}  // namespace mc2::oblivious::MC2_ISA
