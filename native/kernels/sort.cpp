// Bitonic sorting networks over vectors of four words.
//
// Only the ascending, mirrored form is used: every comparator puts the smaller row at the lower
// place, and swaps only what is strictly out of order. So rows that stand at the end and are not
// smaller than any other never move: any number of rows is sorted by a network for the next power
// of two of which the comparators beyond the end are left out, and padding is never mistaken for a
// row, whatever its key.
//
// 1. Blocks of 2^b rows are sorted as four independent columns, one in each lane, so that almost no
//    comparator works inside of a vector:
//        place      0   1   2  ...          lane 0 holds places 0 .. m-1, lane 1 m .. 2m-1, ...
//        vector j   x.l0 x.l1 x.l2 x.l3     element j of each lane
//    then lanes 0|1 and 2|3 are merged, then 01|23, and the block is transposed to plain order.
// 2. Blocks are merged in plain order (four neighbours in a vector); only the last two of log2 n
//    stages of a merge work inside of vectors, and those after a 4x4 transposition.
//
// A step does up to three stages on 2^R vectors at once, to save loads and stores: all masks come
// from the key words, and then each payload word passes through them.
#include "mc2/sort.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/lanes.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t lanes = 4;
constexpr std::size_t smallest_block = 32;            // rows
constexpr std::size_t near_bytes = std::size_t{32} << 10;   // done stage by stage below this
constexpr std::size_t block_bytes = std::size_t{256} << 10; // half of a usual second-level cache
constexpr u64 greatest = ~u64{0} >> 1;

constexpr std::size_t power_at_least(std::size_t n) noexcept {
    std::size_t power = 1;
    while (power < n) power *= 2;
    return power;
}
constexpr std::size_t power_at_most(std::size_t n) noexcept {
    std::size_t power = 1;
    while (power * 2 <= n) power *= 2;
    return power;
}
constexpr unsigned log2_of(std::size_t power) noexcept {
    return static_cast<unsigned>(__builtin_ctzll(power));
}

// How many blocks of a power of two of rows there are, the last one perhaps not full.
constexpr std::size_t whole_blocks(std::size_t rows, std::size_t block) noexcept {
    return (rows + block - 1) >> log2_of(block);
}

enum class Step { clean, mirror, mirror_reversed };

// Batcher's network for eight places: 19 comparators, where the bitonic one has 24.
constexpr unsigned char eight[19][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 2}, {1, 3}, {4, 6},
                                        {5, 7}, {1, 2}, {5, 6}, {0, 4}, {1, 5}, {2, 6}, {3, 7},
                                        {2, 4}, {3, 5}, {1, 2}, {3, 4}, {5, 6}};

// K key words, P payload words (-1: as many as asked for at run time).
template <int K, int P>
class Network {
public:
    static constexpr int max_radix = K <= 2 ? 3 : 2;

    explicit Network(std::size_t payload) noexcept : payload_(P >= 0 ? static_cast<std::size_t>(P) : payload) {}

    std::size_t words() const noexcept {
        if constexpr (P >= 0) return K + P;
        return K + payload_;
    }
    // How far apart the vectors of one word are, in words.
    std::size_t pitch() const noexcept { return lanes * words(); }
    std::size_t row_bytes() const noexcept { return 8 * words(); }

    // --- comparators ---------------------------------------------------------------------------

    MC2_INLINE static V greater(const V (&a)[K], const V (&b)[K]) noexcept {
        V mask = greater64(a[K - 1], b[K - 1]);
#pragma GCC unroll 8
        for (int w = K - 2; w >= 0; --w) {
            mask = either(greater64(a[w], b[w]), both(equal64(a[w], b[w]), mask));
        }
        return mask;
    }

    MC2_INLINE static void exchange(V& a, V& b, V mask) noexcept {
        const V low = choose(a, b, mask), high = choose(b, a, mask);
        a = low;
        b = high;
    }

    MC2_INLINE static V compare(V (&a)[K], V (&b)[K]) noexcept {
        const V mask = greater(a, b);
#pragma GCC unroll 8
        for (int w = 0; w < K; ++w) exchange(a[w], b[w], mask);
        return mask;
    }

    // The comparators of a step on 2^R vectors in ascending order of place: call f(low, high).
    template <int R, bool mirrored, typename F>
    MC2_INLINE static void stages(F f) noexcept {
        constexpr int n = 1 << R;
#pragma GCC unroll 8
        for (int t = 0; t < n / 2; ++t) f(t, mirrored ? n - 1 - t : t + n / 2);
#pragma GCC unroll 4
        for (int apart = n / 4; apart >= 1; apart /= 2) {
#pragma GCC unroll 8
            for (int t = 0; t < n / 2; ++t) {
                const int low = (t & ~(apart - 1)) * 2 | (t & (apart - 1));
                f(low, low + apart);
            }
        }
    }

    template <bool reversed>
    MC2_INLINE static V take(const u64* at, bool upper) noexcept {
        const V v = load(at);
        return reversed && upper ? reverse(v) : v;
    }
    template <bool reversed>
    MC2_INLINE static void put(u64* at, V v, bool upper) noexcept {
        store(at, reversed && upper ? reverse(v) : v);
    }

    template <int R, Step kind>
    MC2_INLINE void step(u64* const (&at)[1 << R]) const noexcept {
        constexpr int n = 1 << R;
        constexpr bool mirrored = kind != Step::clean, reversed = kind == Step::mirror_reversed;
        V key[n][K];
        V mask[R * n / 2];
#pragma GCC unroll 8
        for (int t = 0; t < n; ++t) {
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) key[t][w] = take<reversed>(at[t] + lanes * w, t >= n / 2);
        }
        int used = 0;
        stages<R, mirrored>([&](int low, int high) { mask[used++] = compare(key[low], key[high]); });
#pragma GCC unroll 8
        for (int t = 0; t < n; ++t) {
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) put<reversed>(at[t] + lanes * w, key[t][w], t >= n / 2);
        }
        for (std::size_t w = K; w < words(); ++w) {
            V value[n];
#pragma GCC unroll 8
            for (int t = 0; t < n; ++t) value[t] = take<reversed>(at[t] + lanes * w, t >= n / 2);
            int next = 0;
            stages<R, mirrored>([&](int low, int high) { exchange(value[low], value[high], mask[next++]); });
#pragma GCC unroll 8
            for (int t = 0; t < n; ++t) put<reversed>(at[t] + lanes * w, value[t], t >= n / 2);
        }
    }

    // One step over the block of `size` vectors at `data`, for i in [from, to) of size / 2^R.
    template <int R, Step kind>
    void sweep(u64* data, std::size_t size, std::size_t from, std::size_t to) const noexcept {
        constexpr int n = 1 << R;
        const std::size_t hop = size >> R, wide = pitch();
        for (std::size_t i = from; i < to; ++i) {
            u64* at[n];
#pragma GCC unroll 8
            for (int t = 0; t < n; ++t) {
                const std::size_t place = kind == Step::clean || t < n / 2
                                              ? i + static_cast<std::size_t>(t) * hop
                                              : size - 1 - i - static_cast<std::size_t>(n - 1 - t) * hop;
                at[t] = data + place * wide;
            }
            step<R, kind>(at);
        }
    }

    template <Step kind>
    void sweep(unsigned radix, u64* data, std::size_t size, std::size_t from, std::size_t to) const noexcept {
        if (radix == 1) return sweep<1, kind>(data, size, from, to);
        if (radix == 2) return sweep<2, kind>(data, size, from, to);
        if constexpr (max_radix >= 3) return sweep<3, kind>(data, size, from, to);
    }

    // How many stages the first step does, so that all later ones can do max_radix.
    static unsigned first_radix(unsigned stages) noexcept {
        return stages == 0 ? 0 : (stages - 1) % static_cast<unsigned>(max_radix) + 1;
    }

    // --- lanes: `size` is in vectors, and each lane is a column of its own ---------------------

    // Bitonic columns of `size` (a power of two) become sorted columns.
    MC2_APART void clean(u64* data, std::size_t size) const noexcept {
        if (size <= 1) return;
        const unsigned radix = first_radix(log2_of(size));
        if (size * pitch() * 8 > near_bytes) {
            sweep<Step::clean>(radix, data, size, 0, size >> radix);
            for (std::size_t part = 0; part < (std::size_t{1} << radix); ++part) {
                clean(data + part * (size >> radix) * pitch(), size >> radix);
            }
            return;
        }
        clean_near(data, size, size);
    }

    // The same for many neighbouring blocks that fit into the first-level cache together.
    void clean_near(u64* data, std::size_t size, std::size_t all) const noexcept {
        std::size_t block = size;
        for (unsigned radix = first_radix(log2_of(size)); block > 1; radix = max_radix) {
            for (std::size_t at = 0; at < all; at += block) {
                sweep<Step::clean>(radix, data + at * pitch(), block, 0, block >> radix);
            }
            block >>= radix;
        }
    }

    void base(u64* data) const noexcept {
        V key[8][K];
        V mask[19];
#pragma GCC unroll 8
        for (int t = 0; t < 8; ++t) {
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) key[t][w] = load(data + t * pitch() + lanes * w);
        }
#pragma GCC unroll 19
        for (int c = 0; c < 19; ++c) mask[c] = compare(key[eight[c][0]], key[eight[c][1]]);
#pragma GCC unroll 8
        for (int t = 0; t < 8; ++t) {
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) store(data + t * pitch() + lanes * w, key[t][w]);
        }
        for (std::size_t w = K; w < words(); ++w) {
            V value[8];
#pragma GCC unroll 8
            for (int t = 0; t < 8; ++t) value[t] = load(data + t * pitch() + lanes * w);
#pragma GCC unroll 19
            for (int c = 0; c < 19; ++c) exchange(value[eight[c][0]], value[eight[c][1]], mask[c]);
#pragma GCC unroll 8
            for (int t = 0; t < 8; ++t) store(data + t * pitch() + lanes * w, value[t]);
        }
    }

    void merge_columns(u64* data, std::size_t size) const noexcept {
        const unsigned radix = first_radix(log2_of(size));
        sweep<Step::mirror>(radix, data, size, 0, size >> radix);
        const std::size_t rest = size >> radix;
        if (rest <= 1) return;
        if (size * pitch() * 8 <= near_bytes) return clean_near(data, rest, size);
        for (std::size_t at = 0; at < size; at += rest) clean(data + at * pitch(), rest);
    }

    MC2_APART void sort_columns(u64* data, std::size_t size) const noexcept {
        if (size == 8) return base(data);
        sort_columns(data, size / 2);
        sort_columns(data + size / 2 * pitch(), size / 2);
        merge_columns(data, size);
    }

    // Lanes become one sequence of 4 * size: lanes 0|1 and 2|3, then 01|23.
    void merge_lanes(u64* data, std::size_t size) const noexcept {
        mirror_lanes<false>(data, size);
        clean(data, size);
        mirror_lanes<true>(data, size);
        for (std::size_t j = 0; j < size; ++j) compare_neighbour_lanes(data + j * pitch());
        clean(data, size);
    }

    // Place j of a lane against place size-1-j of its partner: the neighbour, or the lane opposite.
    template <bool opposite>
    void mirror_lanes(u64* data, std::size_t size) const noexcept {
        const u64 yes = ~u64{0};
        // In these lanes the partner is the one with the lower place.
        const V upper = opposite ? mc2::oblivious::MC2_ISA::words(0, 0, yes, yes) : mc2::oblivious::MC2_ISA::words(0, yes, 0, yes);
        for (std::size_t j = 0; j < size / 2; ++j) {
            u64* const a = data + j * pitch();
            u64* const b = data + (size - 1 - j) * pitch();
            V x[K], y[K], low[K], high[K];
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) {
                x[w] = load(a + lanes * w);
                y[w] = partner<opposite>(load(b + lanes * w));
                low[w] = choose(x[w], y[w], upper);
                high[w] = choose(y[w], x[w], upper);
            }
            const V mask = greater(low, high);
#pragma GCC unroll 8
            for (int w = 0; w < K; ++w) {
                exchange(x[w], y[w], mask);
                store(a + lanes * w, x[w]);
                store(b + lanes * w, partner<opposite>(y[w]));
            }
            for (std::size_t w = K; w < words(); ++w) {
                V p = load(a + lanes * w), q = partner<opposite>(load(b + lanes * w));
                exchange(p, q, mask);
                store(a + lanes * w, p);
                store(b + lanes * w, partner<opposite>(q));
            }
        }
    }

    template <bool opposite>
    MC2_INLINE static V partner(V v) noexcept { return opposite ? reverse(v) : swap_neighbours(v); }

    // Lane 0 against 1, and 2 against 3, of one vector. One lane's verdict holds for both: if each
    // lane compared for itself, equal keys would double one row and lose the other.
    void compare_neighbour_lanes(u64* at) const noexcept {
        V x[K], y[K];
#pragma GCC unroll 8
        for (int w = 0; w < K; ++w) {
            x[w] = load(at + lanes * w);
            y[w] = swap_neighbours(x[w]);
        }
        const V mask = copy_even(greater(x, y));
#pragma GCC unroll 8
        for (int w = 0; w < K; ++w) store(at + lanes * w, choose(x[w], y[w], mask));
        for (std::size_t w = K; w < words(); ++w) {
            const V v = load(at + lanes * w);
            store(at + lanes * w, choose(v, swap_neighbours(v), mask));
        }
    }

    // Lanes of the block at `from` (`size` vectors) to plain order at `to`.
    void transpose_out(const u64* from, u64* to, std::size_t size) const noexcept {
        const std::size_t quarter = size / 4;
        for (std::size_t j = 0; j < quarter; ++j) {
            for (std::size_t w = 0; w < words(); ++w) {
                const u64* const at = from + 4 * j * pitch() + lanes * w;
                V a = load(at), b = load(at + pitch()), c = load(at + 2 * pitch()), d = load(at + 3 * pitch());
                transpose(a, b, c, d);
                u64* const out = to + j * pitch() + lanes * w;
                store(out, a);
                store(out + quarter * pitch(), b);
                store(out + 2 * quarter * pitch(), c);
                store(out + 3 * quarter * pitch(), d);
            }
        }
    }

    // --- plain order: four neighbours in a vector ----------------------------------------------

    // The last two stages of a merge, on 16 rows: places 2 and 1 apart.
    MC2_INLINE void finish(u64* data) const noexcept {
        V key[4][K];
        V mask[4];
#pragma GCC unroll 8
        for (int w = 0; w < K; ++w) {
#pragma GCC unroll 4
            for (int t = 0; t < 4; ++t) key[t][w] = load(data + static_cast<std::size_t>(t) * pitch() + lanes * w);
            transpose(key[0][w], key[1][w], key[2][w], key[3][w]);
        }
        int used = 0;
        stages<2, false>([&](int low, int high) { mask[used++] = compare(key[low], key[high]); });
#pragma GCC unroll 8
        for (int w = 0; w < K; ++w) {
            transpose(key[0][w], key[1][w], key[2][w], key[3][w]);
#pragma GCC unroll 4
            for (int t = 0; t < 4; ++t) store(data + static_cast<std::size_t>(t) * pitch() + lanes * w, key[t][w]);
        }
        for (std::size_t w = K; w < words(); ++w) {
            V value[4];
#pragma GCC unroll 4
            for (int t = 0; t < 4; ++t) value[t] = load(data + static_cast<std::size_t>(t) * pitch() + lanes * w);
            transpose(value[0], value[1], value[2], value[3]);
            int next = 0;
            stages<2, false>([&](int low, int high) { exchange(value[low], value[high], mask[next++]); });
            transpose(value[0], value[1], value[2], value[3]);
#pragma GCC unroll 4
            for (int t = 0; t < 4; ++t) store(data + static_cast<std::size_t>(t) * pitch() + lanes * w, value[t]);
        }
    }

    // A bitonic block of `size` vectors (a power of two, at least 4) becomes sorted.
    MC2_APART void clean_plain(u64* data, std::size_t size) const noexcept {
        if (size * pitch() * 8 > near_bytes && size > 8) {
            const unsigned radix = first_radix(log2_of(size));
            sweep<Step::clean>(radix, data, size, 0, size >> radix);
            const std::size_t rest = size >> radix;
            if (rest >= 4) {
                for (std::size_t at = 0; at < size; at += rest) clean_plain(data + at * pitch(), rest);
                return;
            }
            clean_near(data, rest, size);
        } else {
            clean_near(data, size, size);
        }
        for (std::size_t at = 0; at < size; at += 4) finish(data + at * pitch());
    }

    // The same when only the first `there` vectors (a multiple of 4) exist.
    MC2_APART void clean_cut(u64* data, std::size_t size, std::size_t there) const noexcept {
        if (there == 0) return;
        if (there == size) return clean_all(data, size);
        const std::size_t half = size / 2;
        if (there > half) {
            cut_over_threads(there - half, (there - half) * lanes, [&](std::size_t from, std::size_t to) { sweep<1, Step::clean>(data, size, from, to); });
            clean_all(data, half);
            return clean_cut(data + half * pitch(), half, there - half);
        }
        clean_cut(data, half, there);
    }

    // Sorted halves of a block, of which only the first `there` vectors exist, become one.
    void merge_cut(u64* data, std::size_t size, std::size_t there) const noexcept {
        const std::size_t half = size / 2;
        if (there <= half) return;
        if (there < size) {
            // Place i meets size-1-i, which exists for i >= size - there only.
            const std::size_t from = size - there;
            cut_over_threads(half - from, (half - from) * lanes, [&](std::size_t a, std::size_t b) {
                sweep<1, Step::mirror_reversed>(data, size, from + a, from + b);
            });
            clean_all(data, half);
            return clean_cut(data + half * pitch(), half, there - half);
        }
        const unsigned radix = first_radix(log2_of(size));
        const std::size_t rest = size >> radix;
        cut_over_threads(rest, rest * lanes, [&](std::size_t a, std::size_t b) { sweep<Step::mirror_reversed>(radix, data, size, a, b); });
        if (rest < 4) {
            clean_near(data, rest, size);
            for (std::size_t at = 0; at < size; at += 4) finish(data + at * pitch());
            return;
        }
        clean_parts(data, rest, std::size_t{1} << radix);
    }

    // --- threads -------------------------------------------------------------------------------

    // A block that is cut over threads when it is big: one step together, then parts apart.
    MC2_APART void clean_all(u64* data, std::size_t size) const noexcept {
        if (size < 64 || parts_for(size * lanes) == 1) return clean_plain(data, size);
        const unsigned radix = max_radix;
        cut_over_threads(size >> radix, (size >> radix) * lanes, [&](std::size_t from, std::size_t to) { sweep<Step::clean>(radix, data, size, from, to); });
        clean_parts(data, size >> radix, std::size_t{1} << radix);
    }

    void clean_parts(u64* data, std::size_t size, std::size_t count) const noexcept {
        if (count < threads() && size >= 64) {
            for (std::size_t part = 0; part < count; ++part) clean_all(data + part * size * pitch(), size);
            return;
        }
        cut_over_threads(count, size * lanes * count, [&](std::size_t from, std::size_t to) {
            for (std::size_t part = from; part < to; ++part) clean_plain(data + part * size * pitch(), size);
        });
    }

    // --- rows in and out -----------------------------------------------------------------------

    // Four rows of one word, from row `row`.
    MC2_INLINE static V fetch(const SortWord& word, std::size_t row) noexcept {
        const u64* const at = word.in + row * word.in_stride;
        const V v = word.in_stride == 1 ? load(at)
                                        : gathered(at, at + word.in_stride, at + 2 * word.in_stride, at + 3 * word.in_stride);
        return differ(v, all64(word.flip));
    }

    MC2_INLINE static u64 fetch_or_pad(const SortWord& word, bool key, std::size_t row, std::size_t rows) noexcept {
        return row < rows ? word.in[row * word.in_stride] ^ word.flip : (key ? greatest : 0);
    }

    // Rows [first, first + 4 * size) as lanes; rows beyond the end become padding at the last places.
    void take_block(const SortWord* word, u64* to, std::size_t size, std::size_t first, std::size_t rows) const noexcept {
        if (first + lanes * size <= rows) {
            for (std::size_t j = 0; j < size; ++j) {
                for (std::size_t w = 0; w < words(); ++w) store(to + j * pitch() + lanes * w, fetch(word[w], first + lanes * j));
            }
            return;
        }
        for (std::size_t j = 0; j < size; ++j) {
            for (std::size_t w = 0; w < words(); ++w) {
                for (std::size_t lane = 0; lane < lanes; ++lane) {
                    to[j * pitch() + lanes * w + lane] = fetch_or_pad(word[w], w < K, first + lane * size + j, rows);
                }
            }
        }
    }

    void give(const SortWord* word, const u64* from, std::size_t first, std::size_t last) const noexcept {
        for (std::size_t j = first / lanes; j * lanes < last; ++j) {
            const std::size_t row = j * lanes;
            for (std::size_t w = 0; w < words(); ++w) {
                const V v = differ(load(from + j * pitch() + lanes * w), all64(word[w].flip));
                u64* const out = word[w].out + row * word[w].out_stride;
                if (row + lanes <= last && word[w].out_stride == 1) {
                    store(out, v);
                } else {
                    u64 four[lanes];
                    store(four, v);
                    const std::size_t count = last - row < lanes ? last - row : lanes;
                    for (std::size_t i = 0; i < count; ++i) out[i * word[w].out_stride] = four[i];
                }
            }
        }
    }

    void sort_block(const SortWord* word, u64* near, u64* to, std::size_t size, std::size_t first, std::size_t rows) const noexcept {
        take_block(word, near, size, first, rows);
        sort_columns(near, size);
        merge_lanes(near, size);
        transpose_out(near, to, size);
    }

    std::size_t block_rows(std::size_t rows) const noexcept {
        std::size_t most = 256;
        while (2 * most * row_bytes() <= block_bytes) most *= 2;
        const std::size_t whole = power_at_least(rows);
        if (rows == whole && whole <= most) return rows < smallest_block ? smallest_block : rows;
        std::size_t block = power_at_most(rows / 8 + 1);
        if (block < smallest_block) block = smallest_block;
        return block < most ? block : most;
    }

    // --- the whole -----------------------------------------------------------------------------

    // Blocks [first, last) of the sequence, sorted depth first: what was just written is still near.
    MC2_APART void sort_range(const SortWord* word, u64* near, u64* data, std::size_t block, std::size_t size,
                    std::size_t first, std::size_t rows) const noexcept {
        if (first >= rows) return;
        if (size == block) return sort_block(word, near, data + first / lanes * pitch(), block / lanes, first, rows);
        sort_range(word, near, data, block, size / 2, first, rows);
        sort_range(word, near, data, block, size / 2, first + size / 2, rows);
        const std::size_t padded = whole_blocks(rows, block) * block;
        const std::size_t there = padded - first < size ? padded - first : size;
        merge_cut(data + first / lanes * pitch(), size / lanes, there / lanes);
    }

    void sort(const SortWord* word, std::size_t rows) const {
        if (rows == 0) return;
        const std::size_t block = block_rows(rows);
        const std::size_t padded = whole_blocks(rows, block) * block;
        const std::size_t whole = block * power_at_least(whole_blocks(rows, block));
        const unsigned parts = parts_for(rows);
        const Scratch main(padded * row_bytes());
        const Scratch side(parts * block * row_bytes());
        u64* const data = main.as<u64>();
        u64* const near = side.as<u64>();
        // Ranges that one thread sorts alone: at least four for each thread, where there are so many.
        std::size_t range = whole;
        while (parts > 1 && range > block && whole_blocks(padded, range) < 4 * std::size_t{parts}) range /= 2;
        const std::size_t ranges = whole_blocks(padded, range);
        if (parts == 1) {
            sort_range(word, near, data, block, whole, 0, rows);
        } else {
            struct Share {
                const Network& network;
                const SortWord* word;
                u64 *near, *data;
                std::size_t block, range, ranges, rows;
                unsigned parts;
            } share{*this, word, near, data, block, range, ranges, rows, parts};
            run_parts(parts, [](void* context, unsigned part) {
                const Share& s = *static_cast<Share*>(context);
                u64* const mine = s.near + part * s.block * s.network.words();
                for (std::size_t r = share_of(s.ranges, part, s.parts); r < share_of(s.ranges, part + 1, s.parts); ++r) {
                    s.network.sort_range(s.word, mine, s.data, s.block, s.range, r * s.range, s.rows);
                }
            }, &share);
            for (std::size_t size = 2 * range; size <= whole; size *= 2) {
                for (std::size_t first = 0; first < padded; first += size) {
                    const std::size_t there = padded - first < size ? padded - first : size;
                    merge_cut(data + first / lanes * pitch(), size / lanes, there / lanes);
                }
            }
        }
        give_all(word, data, rows);
    }

    void give_all(const SortWord* word, const u64* data, std::size_t rows) const {
        cut_over_threads((rows + lanes - 1) / lanes, rows, [&](std::size_t from, std::size_t to) {
            give(word, data, from * lanes, to * lanes < rows ? to * lanes : rows);
        });
    }

    // Four rows, from `row` on, of the first run backwards and the second one behind it.
    MC2_INLINE void take_valley(const SortWord* word, u64* to, std::size_t row, std::size_t rows, std::size_t first) const noexcept {
        for (std::size_t w = 0; w < words(); ++w) {
            if (row + lanes <= first) {
                store(to + lanes * w, reverse(fetch(word[w], first - lanes - row)));
            } else if (row >= first && row + lanes <= rows) {
                store(to + lanes * w, fetch(word[w], row));
            } else {
                for (std::size_t i = row; i < row + lanes; ++i) {
                    to[lanes * w + i - row] = fetch_or_pad(word[w], w < K, i < first ? first - 1 - i : i, rows);
                }
            }
        }
    }

    // The first run backwards, then the second: one valley, which is bitonic, also with what is
    // missing up to the next power of two.
    void merge(const SortWord* word, std::size_t rows, std::size_t first) const {
        if (rows == 0) return;
        const std::size_t vectors = (rows + 15) / 16 * 4;
        const Scratch main(vectors * pitch() * 8);
        u64* const data = main.as<u64>();
        cut_over_threads(vectors, rows, [&](std::size_t from, std::size_t to) {
            for (std::size_t j = from; j < to; ++j) take_valley(word, data + j * pitch(), j * lanes, rows, first);
        });
        clean_cut(data, power_at_least(vectors), vectors);
        give_all(word, data, rows);
    }

    // The rows are cut into streams, as many whatever number of threads there is; the first rows of
    // each stream are found, and of those the first of all.
    void top(const SortWord* word, std::size_t rows, std::size_t kept) const {
        if (rows == 0 || kept == 0) return;
        const std::size_t size = power_at_least(kept < smallest_block ? smallest_block : kept);
        const std::size_t blocks = whole_blocks(rows, size);
        const std::size_t streams = blocks < most_streams ? 1 : most_streams;
        const Scratch main(streams * 3 * size * row_bytes());
        u64* const data = main.as<u64>();
        const std::size_t apart = 3 * size * words();
        cut_over_threads(streams, rows, [&](std::size_t from, std::size_t to) {
            for (std::size_t s = from; s < to; ++s) {
                const auto begin = [=](std::size_t stream) { return share_of(blocks, static_cast<unsigned>(stream), static_cast<unsigned>(streams)); };
                first_of(word, data + s * apart, size, begin(s), begin(s + 1), rows);
            }
        });
        for (std::size_t s = 1; s < streams; ++s) {
            std::memcpy(data + size * words(), data + s * apart, size * row_bytes());
            keep_first(data, size);
        }
        give(word, data, 0, kept);
    }

private:
    static constexpr std::size_t most_streams = 16;

    // The first `size` rows of blocks [from, to) come to `data`, which has room for three blocks: the
    // first rows so far, the next sorted ones, and what these are sorted in.
    void first_of(const SortWord* word, u64* data, std::size_t size, std::size_t from, std::size_t to, std::size_t rows) const noexcept {
        u64 *const next = data + size * words(), *const near = next + size * words();
        sort_block(word, near, data, size / lanes, from * size, rows);
        for (std::size_t block = from + 1; block < to; ++block) {
            sort_block(word, near, next, size / lanes, block * size, rows);
            keep_first(data, size);
        }
    }

    // Of two sorted blocks, one behind the other, the lower half of their merge comes to the first.
    void keep_first(u64* data, std::size_t size) const noexcept {
        sweep<1, Step::mirror_reversed>(data, 2 * size / lanes, 0, size / lanes);
        clean_plain(data, size / lanes);
    }

    std::size_t payload_;
};

// Calls f with the network for these shapes.
template <typename F>
void with_network(std::size_t count, std::size_t keys, F f) {
    const std::size_t payload = count - keys;
    switch (keys) {
        case 1:
            if (payload == 0) return f(Network<1, 0>(0));
            if (payload == 1) return f(Network<1, 1>(1));
            return f(Network<1, -1>(payload));
        case 2:
            if (payload == 0) return f(Network<2, 0>(0));
            return f(Network<2, -1>(payload));
        case 3: return f(Network<3, -1>(payload));
        case 4: return f(Network<4, -1>(payload));
        case 5: return f(Network<5, -1>(payload));
        case 6: return f(Network<6, -1>(payload));
        case 7: return f(Network<7, -1>(payload));
        default: return f(Network<8, -1>(payload));
    }
}

void sort_rows(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows) {
    with_network(count, keys, [&](const auto& network) { network.sort(words, rows); });
}

void merge_rows(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows, std::size_t first) {
    with_network(count, keys, [&](const auto& network) { network.merge(words, rows, first); });
}

void top_rows(const SortWord* words, std::size_t count, std::size_t keys, std::size_t rows, std::size_t kept) {
    with_network(count, keys, [&](const auto& network) { network.top(words, rows, kept); });
}

}  // namespace

extern const SortKernels sort_table;
const SortKernels sort_table = {sort_rows, merge_rows, top_rows};

}  // namespace mc2::oblivious::MC2_ISA
