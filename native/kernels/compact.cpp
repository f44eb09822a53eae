// Order-preserving compaction (Sasy, Johnson and Goldberg's network), with control bits from one
// formula. Let pre[p] be the number of marks before place p. A block of 2K rows at p, each half of
// which holds its marked rows cyclically from place pre % K on, swaps rows i and i + K exactly if
//
//     bit K of c  XOR  (i >= c mod K)          where c = pre[p + K]
//
// and so holds its own marked rows cyclically from pre[p] % 2K on: each marked row of rank r goes
// where r mod 2K is. Rows that are not marked get the same swaps, and end in reverse order.
// For a count that is no power of two, the last n1 = 2^k rows are such a block, turned by n1 - n2,
// and the first n2 are compacted on their own; one more layer of swaps joins them.
//
// i is compared with c mod K by counting: a vector that steps by +1 or -1 against a threshold, so a
// mask is one addition and one comparison, and no mask is stored.
#include "mc2/compact.hpp"

#include <cstddef>

#include "mc2/lanes.hpp"
#include "mc2/secret.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t near_bytes = std::size_t{24} << 10;

constexpr std::size_t power_at_most(std::size_t n) noexcept {
    std::size_t power = 1;
    while (power * 2 <= n) power *= 2;
    return power;
}

constexpr unsigned log2_of(std::size_t power) noexcept { return static_cast<unsigned>(__builtin_ctzll(power)); }

// (i >= t) XOR s as a mask, for i = from, from + 1, ...
struct Turn {
    V counter, step, threshold;

    // `first` is what the lanes start with, `rows` how many rows a vector holds. K is a power of two.
    MC2_INLINE Turn(u32 c, std::size_t k, V first, std::size_t from, std::size_t rows) noexcept {
        const u32 t = c & static_cast<u32>(k - 1);
        const u32 s = value_barrier((c >> log2_of(k)) & 1);
        set(t, s, first, from, rows);
    }
    // s as 0 or 1.
    MC2_INLINE Turn(u32 t, u32 s, V first, std::size_t from, std::size_t rows, int) noexcept { set(t, s, first, from, rows); }

    MC2_INLINE void set(u32 t, u32 s, V first, std::size_t from, std::size_t rows) noexcept {
        turned = 0 - s;
        // i >= t is i > t - 1; i < t is ~i > ~t.
        threshold = all32((t ^ turned) + s - 1);
        counter = differ(add32(first, all32(static_cast<u32>(from))), all32(turned));
        step = all32((turned | 1) * static_cast<u32>(rows));
    }
    // The threshold of the same comparison for i + k.
    MC2_INLINE V later(std::size_t k) const noexcept {
        const u32 back = 0 - static_cast<u32>(k);
        return add32(threshold, all32((back ^ turned) - turned));
    }
    MC2_INLINE V next() noexcept {
        const V mask = greater32(counter, threshold);
        counter = add32(counter, step);
        return mask;
    }

    u32 turned;
};

MC2_INLINE void swap_vectors(V& a, V& b, V mask) noexcept {
    const V change = both(differ(a, b), mask);
    a = differ(a, change);
    b = differ(b, change);
}
MC2_INLINE void swap_words(u64& a, u64& b, u64 mask) noexcept {
    const u64 change = value_barrier(a ^ b) & value_barrier(mask);
    a ^= change;
    b ^= change;
}
// The barrier stands inside of loops over i: known to stay as it is, t would let a compiler run them in
// two halves, one up to t and one from there.
MC2_INLINE u64 turn_word(std::size_t i, u32 t, u32 s) noexcept {
    const u64 below = 0 - ((static_cast<u64>(i) - value_barrier(static_cast<u64>(t))) >> 63);
    return value_barrier(~below ^ (0 - static_cast<u64>(s)));
}

// W words a row: 1 and 2 share vectors between rows, 3 is one vector with its middle word twice; 0
// means any width from 4 on, given at run time. A row that does not end with a vector has its last
// two overlap: both are loaded before either is stored, and the same swaps give the overlap the
// same words.
template <int W>
class Rows {
public:
    explicit Rows(std::size_t width) noexcept : width_(W > 0 ? static_cast<std::size_t>(W) : width) {}

    static constexpr std::size_t in_vector = W == 1 ? 4 : W == 2 ? 2 : 1;
    std::size_t width() const noexcept {
        if constexpr (W > 0) return W;
        return width_;
    }
    std::size_t bytes() const noexcept { return 8 * width(); }

    MC2_INLINE static V first_places() noexcept {
        constexpr u64 one = (u64{1} << 32) | 1;
        if constexpr (W == 1) return words(0, one, 2 * one, 3 * one);
        if constexpr (W == 2) return words(0, 0, one, one);
        return words(0, 0, 0, 0);
    }
    MC2_INLINE static Turn turn(u32 c, std::size_t k, std::size_t from) noexcept { return Turn(c, k, first_places(), from, in_vector); }

    // Rows a[i] and b[i] swap by (i >= t) XOR s, for i in [from, to). `to - from` may be anything.
    void layer(u64* a, u64* b, u32 t, u32 s, std::size_t from, std::size_t to) const noexcept {
        Turn turn(t, s, first_places(), from, in_vector, 0);
        std::size_t i = from;
        if constexpr (W == 1 || W == 2) {
            const std::size_t whole = to - (to - from) % in_vector;
            for (; i < whole; i += in_vector) {
                V x = load(a + i * width()), y = load(b + i * width());
                swap_vectors(x, y, turn.next());
                store(a + i * width(), x);
                store(b + i * width(), y);
            }
            for (; i < to; ++i) {
                const u64 mask = turn_word(i, t, s);
                for (std::size_t w = 0; w < width(); ++w) swap_words(a[i * width() + w], b[i * width() + w], mask);
            }
        } else {
            for (; i < to; ++i) swap_rows(a + i * width(), b + i * width(), turn.next());
        }
    }

    MC2_INLINE static V take(const u64* at) noexcept {
        if constexpr (W == 3) return load_three(at);
        return load(at);
    }
    MC2_INLINE static void put(u64* at, V v) noexcept {
        if constexpr (W == 3) return store_three(at, v);
        store(at, v);
    }

    // one(w) for each vector of a row, at word w, and two(w, v) for the last two if they overlap.
    template <typename One, typename Two>
    MC2_INLINE void each_vector(One one, Two two) const noexcept {
        if constexpr (W == 3) {
            one(std::size_t{0});
        } else {
            const std::size_t over = width() % 4, whole = width() - over - (over != 0 ? 4 : 0);
            std::size_t w = 0;
            for (; w < whole; w += 4) one(w);
            if (over != 0) two(w, width() - 4);
        }
    }

    MC2_INLINE void swap_rows(u64* a, u64* b, V mask) const noexcept {
        if constexpr (W == 1 || W == 2) {
            for (std::size_t w = 0; w < width(); ++w) swap_words(a[w], b[w], first_word(mask));
        } else {
            each_vector(
                [&](std::size_t w) {
                    V x = take(a + w), y = take(b + w);
                    swap_vectors(x, y, mask);
                    put(a + w, x);
                    put(b + w, y);
                },
                [&](std::size_t w, std::size_t v) {
                    V x = load(a + w), y = load(b + w), z = load(a + v), u = load(b + v);
                    swap_vectors(x, y, mask);
                    swap_vectors(z, u, mask);
                    store(a + w, x);
                    store(b + w, y);
                    store(a + v, z);
                    store(b + v, u);
                });
        }
    }

    // Two layers at once on four quarters of K rows, for i in [from, to) of K (whole vectors).
    template <bool forward>
    void quad(u64* data, std::size_t k, const u32* pre, u32 shift, std::size_t from, std::size_t to) const noexcept {
        Turn lower = turn(pre[k] + shift, k, from), upper = turn(pre[3 * k] + shift, k, from);
        Turn outer = turn(pre[2 * k] + shift, 2 * k, from);
        const V late = outer.later(k);
        u64* const x = data;
        for (std::size_t i = from; i < to; i += in_vector) {
            const V m01 = lower.next(), m23 = upper.next();
            const V m13 = greater32(outer.counter, late), m02 = outer.next();
            u64* const p = x + i * width();
            if constexpr (W == 1 || W == 2) {
                four<forward>(p, p + k * width(), p + 2 * k * width(), p + 3 * k * width(), m01, m23, m02, m13);
            } else {
                u64 *const q = p + k * width(), *const r = p + 2 * k * width(), *const s = p + 3 * k * width();
                each_vector(
                    [&](std::size_t w) { four<forward>(p + w, q + w, r + w, s + w, m01, m23, m02, m13); },
                    [&](std::size_t w, std::size_t v) {
                        V a = load(p + w), b = load(q + w), c = load(r + w), d = load(s + w);
                        four<forward>(p + v, q + v, r + v, s + v, m01, m23, m02, m13);
                        four_swaps<forward>(a, b, c, d, m01, m23, m02, m13);
                        store(p + w, a);
                        store(q + w, b);
                        store(r + w, c);
                        store(s + w, d);
                    });
            }
        }
    }

    template <bool forward>
    MC2_INLINE static void four(u64* p, u64* q, u64* r, u64* s, V m01, V m23, V m02, V m13) noexcept {
        V a = take(p), b = take(q), c = take(r), d = take(s);
        four_swaps<forward>(a, b, c, d, m01, m23, m02, m13);
        put(p, a);
        put(q, b);
        put(r, c);
        put(s, d);
    }
    template <bool forward>
    MC2_INLINE static void four_swaps(V& a, V& b, V& c, V& d, V m01, V m23, V m02, V m13) noexcept {
        if constexpr (forward) {
            swap_vectors(a, b, m01);
            swap_vectors(c, d, m23);
        }
        swap_vectors(a, c, m02);
        swap_vectors(b, d, m13);
        if constexpr (!forward) {
            swap_vectors(a, b, m01);
            swap_vectors(c, d, m23);
        }
    }

    // Layers 1, 2 and 4 of eight rows.
    template <bool forward>
    MC2_INLINE void leaf(u64* data, const u32* pre, u32 shift) const noexcept {
        if constexpr (W == 1) {
            leaf_of_words<forward>(data, pre, shift);
        } else if constexpr (W == 2) {
            leaf_of_pairs<forward>(data, pre, shift);
        } else {
            leaf_of_rows<forward>(data, pre, shift);
        }
    }

    // Layer 1 swaps if bit 0 of c is 0. Layer 2: row 0 if bit 1 equals bit 0, row 1 if bit 1 is 0.
    template <bool forward>
    void leaf_of_rows(u64* data, const u32* pre, u32 shift) const noexcept {
        V m1[4], m2[4], m4[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) m1[j] = odd_is_zero(all32(pre[2 * j + 1] + shift));
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
            const V c = all32(pre[4 * j + 2] + shift);
            m2[2 * j + 1] = second_is_zero(c);
            m2[2 * j] = differ(m2[2 * j + 1], differ(odd_is_zero(c), all32(~u32{0})));
        }
        Turn outer = turn(pre[4] + shift, 4, 0);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) m4[j] = outer.next();
        const auto layers = [&](V (&r)[8]) {
            if constexpr (forward) small_layers(r, m1, m2);
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) swap_vectors(r[j], r[j + 4], m4[j]);
            if constexpr (!forward) small_layers_back(r, m1, m2);
        };
        const auto take_eight = [&](V (&r)[8], std::size_t w) {
#pragma GCC unroll 8
            for (int t = 0; t < 8; ++t) r[t] = take(data + static_cast<std::size_t>(t) * width() + w);
        };
        const auto put_eight = [&](const V (&r)[8], std::size_t w) {
#pragma GCC unroll 8
            for (int t = 0; t < 8; ++t) put(data + static_cast<std::size_t>(t) * width() + w, r[t]);
        };
        each_vector(
            [&](std::size_t w) {
                V r[8];
                take_eight(r, w);
                layers(r);
                put_eight(r, w);
            },
            [&](std::size_t w, std::size_t v) {
                V r[8], last[8];
                take_eight(r, w);
                take_eight(last, v);
                layers(r);
                put_eight(r, w);
                layers(last);
                put_eight(last, v);
            });
    }

    MC2_INLINE static void small_layers(V (&r)[8], const V (&m1)[4], const V (&m2)[4]) noexcept {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) swap_vectors(r[2 * j], r[2 * j + 1], m1[j]);
        middle_layer(r, m2);
    }
    MC2_INLINE static void small_layers_back(V (&r)[8], const V (&m1)[4], const V (&m2)[4]) noexcept {
        middle_layer(r, m2);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) swap_vectors(r[2 * j], r[2 * j + 1], m1[j]);
    }
    MC2_INLINE static void middle_layer(V (&r)[8], const V (&m2)[4]) noexcept {
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
            swap_vectors(r[4 * j], r[4 * j + 2], m2[2 * j]);
            swap_vectors(r[4 * j + 1], r[4 * j + 3], m2[2 * j + 1]);
        }
    }

    // All ones in 32-bit lanes whose bit 0, or bit 1, is 0.
    MC2_INLINE static V odd_is_zero(V c) noexcept { return sub32(both(c, all32(1)), all32(1)); }
    MC2_INLINE static V second_is_zero(V c) noexcept { return odd_is_zero(half32(c)); }

    // Both 32-bit halves of each word hold c.
    MC2_INLINE static V counts(u32 a, u32 b, u32 c, u32 d) noexcept {
        constexpr u64 twice = (u64{1} << 32) | 1;
        return words(a * twice, b * twice, c * twice, d * twice);
    }

    template <bool forward>
    void leaf_of_words(u64* data, const u32* pre, u32 shift) const noexcept {
        V r[2] = {load(data), load(data + 4)};
        const auto inner = [&] {
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
                const u32 c = pre[4 * h + 1] + shift, d = pre[4 * h + 3] + shift;
                r[h] = choose(r[h], swap_neighbours(r[h]), odd_is_zero(counts(c, c, d, d)));
            }
        };
        const auto middle = [&] {
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
                const u32 c = pre[4 * h + 2] + shift;
                // Row 1's mask is bit 1 == 0; row 0's is bit 1 == bit 0.
                const u32 second = c >> 1, both_bits = (c >> 1) ^ c;
                r[h] = choose(r[h], swap_halves(r[h]), odd_is_zero(counts(both_bits, second, both_bits, second)));
            }
        };
        if constexpr (forward) {
            inner();
            middle();
        }
        Turn outer = turn(pre[4] + shift, 4, 0);
        swap_vectors(r[0], r[1], outer.next());
        if constexpr (!forward) {
            middle();
            inner();
        }
        store(data, r[0]);
        store(data + 4, r[1]);
    }

    template <bool forward>
    void leaf_of_pairs(u64* data, const u32* pre, u32 shift) const noexcept {
        V r[4];
#pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) r[t] = load(data + 4 * t);
        const auto inner = [&] {
#pragma GCC unroll 4
            for (int t = 0; t < 4; ++t) {
                r[t] = choose(r[t], swap_halves(r[t]), odd_is_zero(all32(pre[2 * t + 1] + shift)));
            }
        };
        const auto middle = [&] {
#pragma GCC unroll 2
            for (int h = 0; h < 2; ++h) {
                const u32 c = pre[4 * h + 2] + shift;
                const u32 second = c >> 1, both_bits = (c >> 1) ^ c;
                swap_vectors(r[2 * h], r[2 * h + 1], odd_is_zero(counts(both_bits, both_bits, second, second)));
            }
        };
        if constexpr (forward) {
            inner();
            middle();
        }
        Turn outer = turn(pre[4] + shift, 4, 0);
        swap_vectors(r[0], r[2], outer.next());
        swap_vectors(r[1], r[3], outer.next());
        if constexpr (!forward) {
            middle();
            inner();
        }
#pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) store(data + 4 * t, r[t]);
    }

private:
    std::size_t width_;
};

// --- blocks of a power of two, turned by `shift` -------------------------------------------------

template <int W, bool forward>
class Compaction {
public:
    explicit Compaction(std::size_t width) noexcept : rows_(width) {}

    MC2_APART void any(u64* data, std::size_t n, const u32* pre) const noexcept {
        if (n <= 1) return;
        const std::size_t n1 = power_at_most(n), n2 = n - n1;
        const u32 m = pre[n2];
        const u32 shift = static_cast<u32>(n1 - n2);
        u64* const tail = data + n2 * rows_.width();
        if constexpr (!forward) join(data, n1, n2, m);
        any(data, n2, pre);
        block(tail, n1, pre + n2, shift);
        if constexpr (forward) join(data, n1, n2, m);
    }

    MC2_APART void block(u64* data, std::size_t n, const u32* pre, u32 shift) const noexcept {
        if (n * rows_.bytes() <= near_bytes || n < 64) return near(data, n, pre, shift);
        if (parts_for(n) > 1) return block_on_threads(data, n, pre, shift);
        if constexpr (!forward) rows_.template quad<forward>(data, n / 4, pre, shift, 0, n / 4);
        for (std::size_t part = 0; part < 4; ++part) {
            block(data + part * (n / 4) * rows_.width(), n / 4, pre + part * (n / 4), shift);
        }
        if constexpr (forward) rows_.template quad<forward>(data, n / 4, pre, shift, 0, n / 4);
    }

private:
    // The first n2 rows meet those n1 later.
    void join(u64* data, std::size_t n1, std::size_t n2, u32 m) const noexcept {
        cut_over_threads(n2, [&](std::size_t from, std::size_t to) { rows_.layer(data, data + n1 * rows_.width(), m, 0, from, to); });
    }

    // Layer by layer; what is worked on stays in the first-level cache.
    void near(u64* data, std::size_t n, const u32* pre, u32 shift) const noexcept {
        if (n < 8) return tiny(data, n, pre, shift);
        const unsigned layers = static_cast<unsigned>(__builtin_ctzll(n)) - 3;
        if constexpr (forward) {
            leaves(data, n, pre, shift);
            std::size_t k = 8;
            if (layers % 2 == 1) {
                single(data, n, k, pre, shift);
                k *= 2;
            }
            for (; k < n; k *= 4) quads(data, n, k, pre, shift);
        } else {
            std::size_t k = n / 4;
            for (unsigned l = layers / 2; l > 0; --l, k /= 4) quads(data, n, k, pre, shift);
            if (layers % 2 == 1) single(data, n, 8, pre, shift);
            leaves(data, n, pre, shift);
        }
    }

    void leaves(u64* data, std::size_t n, const u32* pre, u32 shift) const noexcept {
        for (std::size_t p = 0; p < n; p += 8) rows_.template leaf<forward>(data + p * rows_.width(), pre + p, shift);
    }
    void quads(u64* data, std::size_t n, std::size_t k, const u32* pre, u32 shift) const noexcept {
        for (std::size_t p = 0; p < n; p += 4 * k) {
            rows_.template quad<forward>(data + p * rows_.width(), k, pre + p, shift, 0, k);
        }
    }
    void single(u64* data, std::size_t n, std::size_t k, const u32* pre, u32 shift) const noexcept {
        for (std::size_t p = 0; p < n; p += 2 * k) {
            const u32 c = pre[p + k] + shift;
            u64* const a = data + p * rows_.width();
            rows_.layer(a, a + k * rows_.width(), c & static_cast<u32>(k - 1), (c >> log2_of(k)) & 1, 0, k);
        }
    }
    void tiny(u64* data, std::size_t n, const u32* pre, u32 shift) const noexcept {
        if constexpr (forward) {
            for (std::size_t k = 1; k < n; k *= 2) single(data, n, k, pre, shift);
        } else {
            for (std::size_t k = n / 2; k >= 1; k /= 2) single(data, n, k, pre, shift);
        }
    }

    // Sixteen blocks apart, then two levels of four quarters together.
    void block_on_threads(u64* data, std::size_t n, const u32* pre, u32 shift) const noexcept {
        const std::size_t wide = rows_.width(), small = n / 16, middle = n / 4;
        const auto outer = [&] {
            cut_over_threads(middle, [&](std::size_t from, std::size_t to) { whole(data, middle, pre, shift, from, to); });
        };
        const auto inner = [&] {
            for (std::size_t p = 0; p < n; p += middle) {
                cut_over_threads(small, [&](std::size_t from, std::size_t to) { whole(data + p * wide, small, pre + p, shift, from, to); });
            }
        };
        if constexpr (!forward) {
            outer();
            inner();
        }
        cut_over_threads(16, n, [&](std::size_t from, std::size_t to) {
            for (std::size_t part = from; part < to; ++part) block(data + part * small * wide, small, pre + part * small, shift);
        });
        if constexpr (forward) {
            inner();
            outer();
        }
    }

    // Ranges of threads are cut at multiples of a vector's rows: K is a multiple of 4 here.
    void whole(u64* data, std::size_t k, const u32* pre, u32 shift, std::size_t from, std::size_t to) const noexcept {
        const auto even = [k](std::size_t at) { return at == k ? k : at / 4 * 4; };
        rows_.template quad<forward>(data, k, pre, shift, even(from), even(to));
    }

    Rows<W> rows_;
};

// How many of [0, to) are marked.
u64 count_before(const u8* keep, std::size_t to) noexcept {
    u64 sum = 0;
    for (std::size_t i = 0; i < to; ++i) sum += keep[i] & 1;
    return sum;
}

// pre[i] = marks before i, for i in [0, n].
void count_marks(const u8* keep, std::size_t n, u32* pre) noexcept {
    cut_scan(n, [=](std::size_t from, std::size_t to) {
        u32 sum = static_cast<u32>(count_before(keep, from));
        for (std::size_t i = from; i < to; ++i) {
            pre[i] = sum;
            sum += keep[i] & 1;
        }
        if (to == n) pre[n] = sum;
    });
}

template <bool forward>
void run_counted(u64* data, std::size_t width, std::size_t n, const u32* pre) noexcept {
    if (n == 0 || width == 0) return;
    if (width == 1) return Compaction<1, forward>(1).any(data, n, pre);
    if (width == 2) return Compaction<2, forward>(2).any(data, n, pre);
    if (width == 3) return Compaction<3, forward>(3).any(data, n, pre);
    if (width == 4) return Compaction<4, forward>(4).any(data, n, pre);
    if (width == 8) return Compaction<8, forward>(8).any(data, n, pre);
    Compaction<0, forward>(width).any(data, n, pre);
}

template <bool forward>
void run(u64* data, std::size_t width, std::size_t n, const u8* keep) {
    if (n == 0 || width == 0) return;
    const Scratch scratch((n + 1) * sizeof(u32));
    count_marks(keep, n, scratch.as<u32>());
    run_counted<forward>(data, width, n, scratch.as<u32>());
}

void ranks_of(const u8* keep, u64* out, std::size_t n) noexcept {
    cut_scan(n, [=](std::size_t from, std::size_t to) {
        u64 sum = count_before(keep, from);
        for (std::size_t i = from; i < to; ++i) out[i] = sum += keep[i] & 1;
    });
}

// --- distribution ---------------------------------------------------------------------------------

// The same network backwards, for places alone, with each one's own target instead of counts. A
// target with its highest bit set is none. Where targets arrive, rows belong: with these marks,
// `Compaction` backwards moves them there.
class Targets {
public:
    // Targets of this range are relative to `base`.
    MC2_APART static void any(u32* to, std::size_t n, u32 base) noexcept {
        if (n <= 1) return;
        const std::size_t n1 = power_at_most(n), n2 = n - n1;
        // What belongs behind the first n2 places goes n1 places on.
        cut_over_threads(n2, [=](std::size_t from, std::size_t end) {
            for (std::size_t i = from; i < end; ++i) {
                const u32 target = to[i];
                exchange(to, i, i + n1, ~target & ~(target - base - static_cast<u32>(n2)));
            }
        });
        any(to, n2, base);
        block(to + n2, n1, base + static_cast<u32>(n2));
    }

private:
    static constexpr std::size_t in_vector = 8;

    // The two swap if the highest bit of `when` is set.
    MC2_INLINE static void exchange(u32* to, std::size_t i, std::size_t j, u32 when) noexcept {
        const u32 change = value_barrier(to[i] ^ to[j]) & value_barrier(0 - (when >> 31));
        to[i] ^= change;
        to[j] ^= change;
    }
    // In the highest bit: whether the lower of two, or the upper, belongs where the other one is. `up`
    // moves the bit of the distance there.
    MC2_INLINE static V rises(V low, V base, unsigned up) noexcept {
        return both(left32(sub32(low, base), up), differ(low, all32(~u32{0})));
    }
    MC2_INLINE static V falls(V high, V base, unsigned up) noexcept {
        return differ(either(left32(sub32(high, base), up), high), all32(~u32{0}));
    }
    MC2_INLINE static V where_set(V when) noexcept { return greater32(all32(0), when); }

    MC2_APART static void block(u32* to, std::size_t n, u32 base) noexcept {
        if (n < in_vector) return tiny(to, n, base);
        const unsigned parts = parts_for(n);
        if (parts > 1 && n >= 64 * in_vector) {
            // Four layers together, then sixteen blocks apart.
            std::size_t size = n;
            for (; size > n / 16; size /= 2) {
                for (std::size_t p = 0; p < n; p += size) {
                    cut_over_threads(size / 2 / in_vector, n, [=](std::size_t from, std::size_t end) {
                        layer(to + p, size / 2, base, in_vector * from, in_vector * end);
                    });
                }
            }
            cut_over_threads(16, n, [=](std::size_t from, std::size_t end) {
                for (std::size_t p = from; p < end; ++p) block(to + p * size, size, base);
            });
            return;
        }
        if (n * sizeof(u32) <= near_bytes) return near(to, n, base);
        layer(to, n / 2, base, 0, n / 2);
        block(to, n / 2, base);
        block(to + n / 2, n / 2, base);
    }

    static void near(u32* to, std::size_t n, u32 base) noexcept {
        for (std::size_t k = n / 2; k >= in_vector; k /= 2) {
            for (std::size_t p = 0; p < n; p += 2 * k) layer(to + p, k, base, 0, k);
        }
        for (std::size_t p = 0; p < n; p += in_vector) leaf(to + p, base);
    }

    // Places i and i + k, for i in [from, end) of k. `base` is where the block of a power of two
    // begins: lower bits of a distance from there are those of one from the half's.
    static void layer(u32* to, std::size_t k, u32 base, std::size_t from, std::size_t end) noexcept {
        const unsigned up = 31 - log2_of(k);
        const V begin = all32(base);
        for (std::size_t i = from; i < end; i += in_vector) {
            V low = load(to + i), high = load(to + i + k);
            swap_vectors(low, high, where_set(either(rises(low, begin, up), falls(high, begin, up))));
            store(to + i, low);
            store(to + i + k, high);
        }
    }

    // Layers 4, 2 and 1 of eight places. Each pair's verdict is made on both of its lanes.
    MC2_INLINE static void leaf(u32* to, u32 base) noexcept {
        const V begin = all32(base);
        const u64 all = ~u64{0}, second = ~u64{0} << 32;
        V v = load(to);
        v = small_layer<2>(v, begin, mc2::oblivious::MC2_ISA::words(0, 0, all, all), [](V a) { return swap_halves(a); });
        v = small_layer<1>(v, begin, mc2::oblivious::MC2_ISA::words(0, all, 0, all), [](V a) { return swap_neighbours(a); });
        v = small_layer<0>(v, begin, all64(second), [](V a) { return swap_words32(a); });
        store(to, v);
    }
    template <unsigned log2_k, typename Swap>
    MC2_INLINE static V small_layer(V v, V begin, V upper, Swap swap) noexcept {
        const V other = swap(v), low = choose(v, other, upper), high = choose(other, v, upper);
        return choose(v, other, where_set(either(rises(low, begin, 31 - log2_k), falls(high, begin, 31 - log2_k))));
    }

    static void tiny(u32* to, std::size_t n, u32 base) noexcept {
        for (std::size_t k = n / 2; k >= 1; k /= 2) {
            const unsigned up = 31 - log2_of(k);
            for (std::size_t p = 0; p < n; p += 2 * k) {
                for (std::size_t i = p; i < p + k; ++i) {
                    const u32 low = to[i], high = to[i + k];
                    exchange(to, i, i + k, (((low - base) << up) & ~low) | ~(((high - base) << up) | high));
                }
            }
        }
    }
};

void distribute_rows(u64* data, std::size_t width, std::size_t n, u32* to) {
    if (n == 0 || width == 0) return;
    const Secret<u64> end(n);
    cut_over_threads(n, [=](std::size_t from, std::size_t last) {
        for (std::size_t i = from; i < last; ++i) {
            to[i] |= static_cast<u32>((Secret<u64>(to[i]) >= end).word()) & (u32{1} << 31);
        }
    });
    Targets::any(to, n, 0);
    const Scratch scratch(n), counts((n + 1) * sizeof(u32));
    u8* const came = scratch.as<u8>();
    cut_over_threads(n, [=](std::size_t from, std::size_t last) {
        for (std::size_t i = from; i < last; ++i) came[i] = (Secret<u64>(to[i]) == Secret<u64>(i)).byte();
    });
    count_marks(came, n, counts.as<u32>());
    run_counted<false>(data, width, n, counts.as<u32>());
}

// Columns [w, w + 4) of rows [i, i + 4), to rows and back: four by four words at once.
constexpr std::size_t square = 4;

MC2_INLINE void pack_square(const u64* const* columns, std::size_t width, std::size_t w, std::size_t i, u64* rows) noexcept {
    V a = load(columns[w] + i), b = load(columns[w + 1] + i), c = load(columns[w + 2] + i), d = load(columns[w + 3] + i);
    transpose(a, b, c, d);
    u64* const to = rows + i * width + w;
    store(to, a);
    store(to + width, b);
    store(to + 2 * width, c);
    store(to + 3 * width, d);
}
MC2_INLINE void unpack_square(const u64* rows, std::size_t width, std::size_t w, std::size_t i, u64* const* columns) noexcept {
    const u64* const from = rows + i * width + w;
    V a = load(from), b = load(from + width), c = load(from + 2 * width), d = load(from + 3 * width);
    transpose(a, b, c, d);
    store(columns[w] + i, a);
    store(columns[w + 1] + i, b);
    store(columns[w + 2] + i, c);
    store(columns[w + 3] + i, d);
}

// f(from, to) over shares of rows that begin at whole squares.
template <typename F>
void cut_squares(std::size_t n, F f) {
    cut_over_threads((n + square - 1) / square, n, [=](std::size_t from, std::size_t to) {
        f(from * square, to * square < n ? to * square : n);
    });
}

void pack_rows(const u64* const* columns, std::size_t width, std::size_t n, u64* rows) noexcept {
    const std::size_t wide = width - width % square;
    cut_squares(n, [=](std::size_t from, std::size_t to) {
        const std::size_t high = to - to % square;
        for (std::size_t i = from; i < high; i += square) {
            for (std::size_t w = 0; w < wide; w += square) pack_square(columns, width, w, i, rows);
            for (std::size_t w = wide; w < width; ++w) {
                for (std::size_t r = i; r < i + square; ++r) rows[r * width + w] = columns[w][r];
            }
        }
        for (std::size_t i = high; i < to; ++i) {
            for (std::size_t w = 0; w < width; ++w) rows[i * width + w] = columns[w][i];
        }
    });
}
void unpack_rows(const u64* rows, std::size_t width, std::size_t n, u64* const* columns) noexcept {
    const std::size_t wide = width - width % square;
    cut_squares(n, [=](std::size_t from, std::size_t to) {
        const std::size_t high = to - to % square;
        for (std::size_t i = from; i < high; i += square) {
            for (std::size_t w = 0; w < wide; w += square) unpack_square(rows, width, w, i, columns);
            for (std::size_t w = wide; w < width; ++w) {
                for (std::size_t r = i; r < i + square; ++r) columns[w][r] = rows[r * width + w];
            }
        }
        for (std::size_t i = high; i < to; ++i) {
            for (std::size_t w = 0; w < width; ++w) columns[w][i] = rows[i * width + w];
        }
    });
}

}  // namespace

extern const CompactKernels compact_table;
const CompactKernels compact_table = {run<true>, run_counted<true>, run<false>, distribute_rows, ranks_of, pack_rows, unpack_rows};

}  // namespace mc2::oblivious::MC2_ISA
