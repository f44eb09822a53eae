#include "mc2/trees.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/secret.hpp"
#include "mc2/windows.hpp"

#if defined(MC2_ISA_avx2)
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

typedef u8 Bytes __attribute__((vector_size(32)));

constexpr std::size_t lanes = 32;
constexpr std::size_t tile_rows = 4096;
constexpr std::size_t most_nodes = 128;
constexpr std::size_t features_in_byte = 256;

MC2_INLINE Bytes load(const u8* at) noexcept {
    Bytes v;
    std::memcpy(&v, at, sizeof v);
    return v;
}
MC2_INLINE void store(u8* at, const Bytes& v) noexcept { std::memcpy(at, &v, sizeof v); }

MC2_INLINE void hide(Bytes& mask) noexcept {
#if defined(MC2_ISA_avx2)
    __asm__ volatile("" : "+x"(mask));
#else
    __asm__ volatile("" : "+m"(mask));
#endif
}

// Bytes by their places 0 .. 127, in any of which the wanted one may stand.
struct Table {
    alignas(32) u8 bytes[most_nodes] = {};
};

#if defined(MC2_ISA_avx2)

MC2_INLINE void look_up(const Table& table, std::size_t count, const Bytes& places, Bytes& out) noexcept {
    const __m256i place = reinterpret_cast<__m256i>(places), low = _mm256_set1_epi8(15);
    const __m256i within = _mm256_and_si256(place, low);
    const __m256i which = _mm256_and_si256(_mm256_srli_epi16(place, 4), low);
    __m256i found = _mm256_setzero_si256();
    for (std::size_t c = 0; c < count; c += 16) {
        const __m256i part = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table.bytes + c)));
        const __m256i here = _mm256_cmpeq_epi8(which, _mm256_set1_epi8(static_cast<char>(c / 16)));
        found = _mm256_or_si256(found, _mm256_and_si256(here, _mm256_shuffle_epi8(part, within)));
    }
    out = reinterpret_cast<Bytes>(found);
}

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

MC2_INLINE void look_up(const Table& table, std::size_t count, const Bytes& places, Bytes& out) noexcept {
    Bytes found{};
    for (std::size_t c = 0; c < count; ++c) {
        Bytes here = reinterpret_cast<Bytes>(places == static_cast<u8>(c));
        hide(here);
        found |= here & table.bytes[c];
    }
    out = found;
}

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

// The bins of rows i .. i + 31, each in its node's feature.
MC2_INLINE void chosen_bins(const BinnedColumns& columns, std::size_t i, const Level& level, const Bytes& node, Bytes& bin) noexcept {
    Bytes low, high{};
    look_up(level.low, level.count, node, low);
    if (columns.features > features_in_byte) look_up(level.high, level.count, node, high);
    for (std::size_t from = 0; from < columns.features; from += features_in_byte) {
        const std::size_t until = columns.features - from < features_in_byte ? columns.features : from + features_in_byte;
        Bytes found{};
        for (std::size_t f = from; f < until; ++f) {
            found |= reinterpret_cast<Bytes>(low == static_cast<u8>(f)) & load(columns.bins + f * columns.stride + i);
        }
        bin |= found & reinterpret_cast<Bytes>(high == static_cast<u8>(from / features_in_byte));
    }
}

// Rows first .. last of the columns; nodes[0] is that of row `first`.
MC2_INLINE void route_rows(const BinnedColumns& columns, std::size_t first, std::size_t last, const Level& level, u8* nodes) noexcept {
    for (std::size_t i = first; i < last; i += lanes) {
        const Bytes node = load(nodes + i - first);
        Bytes threshold, flags, bin{};
        look_up(level.thresholds, level.count, node, threshold);
        look_up(level.flags, level.count, node, flags);
        chosen_bins(columns, i, level, node, bin);
        Bytes above = reinterpret_cast<Bytes>(bin > threshold), same = reinterpret_cast<Bytes>(bin == threshold);
        Bytes missing = reinterpret_cast<Bytes>(bin == missing_bin);
        Bytes one_hot = reinterpret_cast<Bytes>((flags & split_one_hot) != 0), left = reinterpret_cast<Bytes>((flags & missing_left) != 0);
        hide(above), hide(same), hide(missing), hide(one_hot), hide(left);
        const Bytes there = (one_hot & same) | (~one_hot & above);
        const Bytes right = (missing & ~left) | (~missing & there);
        store(nodes + i - first, node + node - right);  // a mask is -1
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
MC2_INLINE void place_rows(const BinnedColumns& columns, std::size_t first, std::size_t last, const Level& level, const u8* nodes, u8* out) noexcept {
    for (std::size_t i = first; i < last; i += lanes) {
        const Bytes node = load(nodes + i);
        Bytes base, bin{};
        look_up(level.thresholds, level.count, node, base);
        chosen_bins(columns, i, level, node, bin);
        Bytes behind = reinterpret_cast<Bytes>(bin > base);
        hide(behind);
        const Bytes place = (bin - base) & behind;
        Bytes beyond = reinterpret_cast<Bytes>(place > static_cast<u8>(window)), missing = reinterpret_cast<Bytes>(bin == missing_bin);
        hide(beyond), hide(missing);
        store(out + i, (beyond & static_cast<u8>(window)) | (~beyond & place) | missing);
    }
}

void places(const BinnedColumns& columns, std::size_t rows, const u32* features, const u8* thresholds, unsigned shift, std::size_t count,
            const u8* nodes, u8* out) {
    u8 bases[most_nodes];
    const u8 unused[most_nodes] = {};
    for (std::size_t i = 0; i < count; ++i) bases[i] = static_cast<u8>(window_base(thresholds[i], shift).bits());
    Level level;
    level.read(features, bases, unused, count);
    by_tiles(rows, [&](std::size_t first, std::size_t last) { place_rows(columns, first, last, level, nodes, out); });
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
