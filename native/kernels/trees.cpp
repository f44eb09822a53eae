#include "mc2/trees.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/secret.hpp"
#include "mc2/tables.hpp"
#include "mc2/windows.hpp"

#if defined(MC2_ISA_avx2)
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t lanes = 32;
constexpr std::size_t tile_rows = 4096;
constexpr std::size_t most_nodes = table_places;
constexpr std::size_t features_in_byte = 256;

#if defined(MC2_ISA_avx2)

MC2_INLINE void add_leaves_8(const u8* nodes, const float* leaves, std::size_t count, float* margins) noexcept {
    const __m256i place = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(nodes)));
    const __m256i which = _mm256_srli_epi32(place, 3);
    __m256i found = _mm256_setzero_si256();
    for (std::size_t c = 0; c < count; c += 8) {
        const __m256i part = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(leaves + c));
        const __m256i here = _mm256_cmpeq_epi32(which, _mm256_set1_epi32(static_cast<int>(c / 8)));
        found = _mm256_or_si256(found, _mm256_and_si256(here, _mm256_permutevar8x32_epi32(part, place)));
    }
    _mm256_storeu_ps(margins, _mm256_add_ps(_mm256_loadu_ps(margins), _mm256_castsi256_ps(found)));
}

#else

MC2_INLINE void add_leaves_8(const u8* nodes, const float* leaves, std::size_t count, float* margins) noexcept {
    for (std::size_t l = 0; l < 8; ++l) {
        u32 found = 0;
        for (std::size_t c = 0; c < count; ++c) {
            u32 bits;
            std::memcpy(&bits, leaves + c, sizeof bits);
            found |= bits & static_cast<u32>((Secret<u32>(nodes[l]) == Secret<u32>(static_cast<u32>(c))).word());
        }
        float leaf;
        std::memcpy(&leaf, &found, sizeof leaf);
        margins[l] += leaf;
    }
}

#endif

// One level of a tree, ready to be looked up.
struct Level {
    Table low, high, thresholds, flags;
    std::size_t count;

    MC2_INLINE void read(const u32* features, const u8* threshold, const u8* flag, std::size_t nodes) noexcept {
        count = nodes;
        for (std::size_t i = 0; i < nodes; ++i) {
            low.bytes[i] = static_cast<u8>(features[i]);
            high.bytes[i] = static_cast<u8>(features[i] >> 8);
            thresholds.bytes[i] = threshold[i];
            flags.bytes[i] = flag[i];
        }
    }
};

// Two vectors of rows: one line of the cache of each column.
struct Pair {
    Bytes of[2];
};
static_assert(row_step % (2 * lanes) == 0);

// The bins of rows i .. i + 63, each in its node's feature.
MC2_INLINE void chosen_bins(const BinnedColumns& columns, std::size_t i, const Level& level, const Pair& node, Pair& bin) noexcept {
    if (columns.features == 1) {
        for (std::size_t p = 0; p < 2; ++p) bin.of[p] = load_bytes(columns.bins + i + p * lanes);
        return;
    }
    Pair low, high{};
    for (std::size_t p = 0; p < 2; ++p) {
        look_up(level.low, level.count, node.of[p], low.of[p]);
        if (columns.features > features_in_byte) look_up(level.high, level.count, node.of[p], high.of[p]);
        bin.of[p] = Bytes{};
    }
    for (std::size_t from = 0; from < columns.features; from += features_in_byte) {
        const std::size_t until = columns.features - from < features_in_byte ? columns.features : from + features_in_byte;
        Pair found{};
        Bytes feature{};
        for (std::size_t f = from; f < until; ++f, feature += 1) {
            const u8* column = columns.bins + f * columns.stride + i;
            for (std::size_t p = 0; p < 2; ++p) {
                found.of[p] |= reinterpret_cast<Bytes>(low.of[p] == feature) & load_bytes(column + p * lanes);
            }
        }
        for (std::size_t p = 0; p < 2; ++p) {
            bin.of[p] |= found.of[p] & reinterpret_cast<Bytes>(high.of[p] == static_cast<u8>(from / features_in_byte));
        }
    }
}

MC2_INLINE Bytes below(const Bytes& node, const Bytes& bin, const Bytes& threshold, const Bytes& flags) noexcept {
    Bytes above = reinterpret_cast<Bytes>(bin > threshold), same = reinterpret_cast<Bytes>(bin == threshold);
    Bytes missing = reinterpret_cast<Bytes>(bin == missing_bin);
    Bytes one_hot = reinterpret_cast<Bytes>((flags & split_one_hot) != 0), left = reinterpret_cast<Bytes>((flags & missing_left) != 0);
    hide(above), hide(same), hide(missing), hide(one_hot), hide(left);
    const Bytes there = (one_hot & same) | (~one_hot & above);
    const Bytes right = (missing & ~left) | (~missing & there);
    return node + node - right;  // a mask is -1
}

// Rows first .. last of the columns; nodes[0] is that of row `first`.
MC2_INLINE void route_rows(const BinnedColumns& columns, std::size_t first, std::size_t last, const Level& level, u8* nodes) noexcept {
    for (std::size_t i = first; i < last; i += 2 * lanes) {
        u8* at = nodes + i - first;
        const Pair node{{load_bytes(at), load_bytes(at + lanes)}};
        Pair bin;
        chosen_bins(columns, i, level, node, bin);
        for (std::size_t p = 0; p < 2; ++p) {
            Bytes threshold, flags;
            look_up(level.thresholds, level.count, node.of[p], threshold);
            look_up(level.flags, level.count, node.of[p], flags);
            store_bytes(at + p * lanes, below(node.of[p], bin.of[p], threshold, flags));
        }
    }
}

template <typename Work>
struct Parted {
    const Work* work;
    std::size_t tiles;
    unsigned parts;
    static void run(void* context, unsigned part) {
        const Parted& self = *static_cast<const Parted*>(context);
        for (std::size_t t = self.tiles * part / self.parts; t < self.tiles * (part + 1) / self.parts; ++t) (*self.work)(t);
    }
};

template <typename Work>
void by_tiles(std::size_t rows, const Work& work) {
    const auto tile = [&](std::size_t t) {
        const std::size_t first = t * tile_rows;
        work(first, rows - first < tile_rows ? rows : first + tile_rows);
    };
    const unsigned parts = parts_for(rows);
    Parted<decltype(tile)> parted{&tile, (rows + tile_rows - 1) / tile_rows, parts};
    run_parts(parts, &Parted<decltype(tile)>::run, &parted);
}

void route(const BinnedColumns& columns, std::size_t rows, const u32* features, const u8* thresholds, const u8* flags, std::size_t count,
           u8* nodes) {
    Level level;
    level.read(features, thresholds, flags, count);
    by_tiles(rows, [&](std::size_t first, std::size_t last) { route_rows(columns, first, last, level, nodes + first); });
}

// How far each bin is behind the base of its node's window, at most the last place.
MC2_INLINE void place_rows(const BinnedColumns& columns, std::size_t first, std::size_t last, const Level& level, const u8* nodes, u8* out,
                           u8* chosen) noexcept {
    for (std::size_t i = first; i < last; i += 2 * lanes) {
        const Pair node{{load_bytes(nodes + i), load_bytes(nodes + i + lanes)}};
        Pair bins;
        chosen_bins(columns, i, level, node, bins);
        for (std::size_t p = 0; p < 2; ++p) {
            const Bytes bin = bins.of[p];
            Bytes base;
            look_up(level.thresholds, level.count, node.of[p], base);
            Bytes behind = reinterpret_cast<Bytes>(bin > base);
            hide(behind);
            const Bytes place = (bin - base) & behind;
            Bytes beyond = reinterpret_cast<Bytes>(place > static_cast<u8>(window)), missing = reinterpret_cast<Bytes>(bin == missing_bin);
            hide(beyond), hide(missing);
            store_bytes(chosen + i + p * lanes, bin);
            store_bytes(out + i + p * lanes, (beyond & static_cast<u8>(window)) | (~beyond & place) | missing);
        }
    }
}

void places(const BinnedColumns& columns, std::size_t rows, const u32* features, const u8* thresholds, unsigned shift, std::size_t count,
            const u8* nodes, u8* out, u8* chosen) {
    u8 bases[most_nodes];
    const u8 unused[most_nodes] = {};
    for (std::size_t i = 0; i < count; ++i) bases[i] = static_cast<u8>(window_base(thresholds[i], shift).bits());
    Level level;
    level.read(features, bases, unused, count);
    by_tiles(rows, [&](std::size_t first, std::size_t last) { place_rows(columns, first, last, level, nodes, out, chosen); });
}

void add_leaves(const u8* nodes, std::size_t rows, const float* leaves, std::size_t count, float* margins) noexcept {
    alignas(32) float padded[2 * most_nodes] = {};
    std::memcpy(padded, leaves, count * sizeof(float));
    for (std::size_t i = 0; i < rows; i += 8) add_leaves_8(nodes + i, padded, count, margins + i);
}

MC2_INLINE void walk(const BinnedColumns& columns, std::size_t first, std::size_t last, const Trees& trees, std::size_t tree, u8* nodes) noexcept {
    std::memset(nodes, 0, last - first);
    const std::size_t at = tree * ((std::size_t{1} << trees.depth) - 1);
    for (std::size_t d = 0; d < trees.depth; ++d) {
        const std::size_t count = std::size_t{1} << d, from = at + count - 1;
        Level level;
        level.read(trees.features + from, trees.thresholds + from, trees.flags + from, count);
        route_rows(columns, first, last, level, nodes);
    }
}

void predict(const BinnedColumns& columns, std::size_t rows, const Trees& trees, float* margins) {
    const std::size_t leaves = std::size_t{1} << trees.depth;
    by_tiles(rows, [&](std::size_t first, std::size_t last) {
        u8 nodes[tile_rows];
        for (std::size_t t = 0; t < trees.count; ++t) {
            walk(columns, first, last, trees, t, nodes);
            add_leaves(nodes, last - first, trees.leaves + t * leaves, leaves, margins + trees.classes[t] * rows + first);
        }
    });
}

void leaves_of(const BinnedColumns& columns, std::size_t rows, const Trees& trees, u8* out) {
    by_tiles(rows, [&](std::size_t first, std::size_t last) {
        for (std::size_t t = 0; t < trees.count; ++t) walk(columns, first, last, trees, t, out + t * rows + first);
    });
}

}  // namespace

extern const TreesKernels trees_table;
const TreesKernels trees_table = {route, places, add_leaves, predict, leaves_of};

}  // namespace mc2::oblivious::MC2_ISA
