#include "mc2/binning.hpp"

#include <cstddef>
#include <cstring>
#include <limits>

#include "mc2/compact.hpp"
#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/reals.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

typedef float Floats8 __attribute__((vector_size(32)));
typedef i32 Lanes8 __attribute__((vector_size(32)));

constexpr std::size_t lanes = 8;
constexpr std::size_t chunk_rows = 1024;
constexpr u8 none = 255;
constexpr u32 exponent = 0x7f800000;
constexpr u64 behind_all = u64{1} << 32;

struct Number {
    float value;   // 0 if there is none
    Mask there;
};

MC2_INLINE u32 bits_of(float x) noexcept { return std::bit_cast<u32>(x); }

MC2_INLINE Number number_of(const double* values, const u8* known, std::size_t i, float missing) noexcept {
    const u32 bits = bits_of(static_cast<float>(values[i]));
    const Mask nan = Secret<u32>(bits & 0x7fffffff) > Secret<u32>(exponent);
    // -0 and 0 are one value.
    const u32 zero = static_cast<u32>((Secret<u32>(bits & 0x7fffffff) == Secret<u32>(0)).word());
    const u32 value = bits & ~zero, other = bits_of(missing) == 0x80000000 ? 0 : bits_of(missing);
    const Mask there = Mask::from_bit(known[i]) & ~nan & (Secret<u32>(value) != Secret<u32>(other));
    return {std::bit_cast<float>(value & static_cast<u32>(there.word())), there};
}

MC2_INLINE Mask infinite(const Number& number) noexcept {
    return number.there & (Secret<u32>(bits_of(number.value) & 0x7fffffff) == Secret<u32>(exponent));
}

// count[i] = how many cuts are at most x[i], for four vectors at once.
MC2_INLINE void count_cuts(const float* x, const float* cuts, std::size_t count, i32* out) noexcept {
    Floats8 v[4];
    Lanes8 sum[4] = {};
    for (std::size_t k = 0; k < 4; ++k) std::memcpy(&v[k], x + k * lanes, sizeof v[k]);
    for (std::size_t c = 0; c < count; ++c) {
        const Floats8 cut = Floats8{} + cuts[c];
        for (std::size_t k = 0; k < 4; ++k) sum[k] -= reinterpret_cast<Lanes8>(v[k] >= cut);
    }
    for (std::size_t k = 0; k < 4; ++k) std::memcpy(out + k * lanes, &sum[k], sizeof sum[k]);
}

struct Encoding {
    const double* values;
    const u8* known;
    std::size_t rows;
    const float* cuts;
    std::size_t count;
    float missing;
    u8* out;
    u64* flags;
    unsigned parts;

    static void run(void* context, unsigned part) {
        const Encoding& self = *static_cast<const Encoding*>(context);
        const std::size_t chunks = (self.rows + chunk_rows - 1) / chunk_rows;
        Flags found;
        for (std::size_t c = chunks * part / self.parts; c < chunks * (part + 1) / self.parts; ++c) self.chunk(c * chunk_rows, found);
        u64 raised = 0;
        found.raise_in(&raised);
        __atomic_fetch_or(self.flags, raised, __ATOMIC_RELAXED);
    }

    void chunk(std::size_t at, Flags& found) const noexcept {
        const std::size_t here = rows - at < chunk_rows ? rows - at : chunk_rows;
        alignas(32) float x[chunk_rows];
        alignas(32) i32 bins[chunk_rows];
        u8 there[chunk_rows];
        std::memset(x, 0, sizeof x);
        for (std::size_t i = 0; i < here; ++i) {
            const Number number = number_of(values, known, at + i, missing);
            found.raise(Flag::out_of_domain, infinite(number));
            x[i] = number.value;
            there[i] = static_cast<u8>(number.there.word());
        }
        for (std::size_t i = 0; i < here; i += 4 * lanes) count_cuts(x + i, cuts, count, bins + i);
        for (std::size_t i = 0; i < here; ++i) {
            out[at + i] = static_cast<u8>((static_cast<u8>(bins[i]) & there[i]) | static_cast<u8>(~there[i]));
        }
    }
};

void encode(const double* values, const u8* known, std::size_t rows, const float* cuts, std::size_t count, float missing, u8* out, u64* flags) {
    Encoding encoding{values, known, rows, cuts, count, missing, out, flags, parts_for(rows)};
    run_parts(encoding.parts, &Encoding::run, &encoding);
}

void encode_categories(const double* values, const u8* known, std::size_t rows, std::size_t count, float missing, u8* out, u64* flags) noexcept {
    Flags found;
    for (std::size_t i = 0; i < rows; ++i) {
        const Number number = number_of(values, known, i, missing);
        const Mask inside = ~(Secret<double>(number.value) < Secret<double>(0.0)) & (Secret<double>(number.value) < Secret<double>(static_cast<double>(count)));
        const float safe = std::bit_cast<float>(bits_of(number.value) & static_cast<u32>(inside.word()));
        const u32 whole = static_cast<u32>(static_cast<i32>(safe));
        const Mask exact = Secret<u32>(bits_of(static_cast<float>(static_cast<i32>(whole)))) == Secret<u32>(bits_of(safe));
        found.raise(Flag::out_of_domain, number.there & ~(inside & exact));
        out[i] = static_cast<u8>(select(number.there, Secret<u32>(whole), Secret<u32>(none)).bits());
    }
    found.raise_in(flags);
}

void cells(const u8* bins, std::size_t rows, unsigned shift, u8* out) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u8 missing = static_cast<u8>((Secret<u32>(bins[i]) == Secret<u32>(none)).word());
        out[i] = static_cast<u8>((bins[i] >> shift) | missing);
    }
}

void sortable(const double* values, const u8* known, std::size_t rows, float missing, u64* out) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const Number number = number_of(values, known, i, missing);
        const u32 bits = bits_of(number.value), negative = value_barrier(0 - (bits >> 31));
        out[i] = select(number.there, Secret<u64>(bits ^ (negative | 0x80000000)), Secret<u64>(behind_all)).bits();
    }
}

MC2_INLINE float from_sortable(u32 word) noexcept {
    const u32 positive = value_barrier(0 - (word >> 31));
    return std::bit_cast<float>(word ^ (~positive | 0x80000000));
}

void weighted(const u64* sortable_words, const double* weights, const u8* known, std::size_t rows, u64* out) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u32 bits = bits_of(static_cast<float>(weights[i]));
        const Mask positive = Mask::from_bit(known[i]) & (Secret<u32>(bits) < Secret<u32>(exponent));  // nor NaN, nor below 0
        out[i] = sortable_words[i] << 32 | (bits & static_cast<u32>(positive.word()));
        out[i] = select(Secret(sortable_words[i]) < Secret(behind_all), Secret(out[i]), Secret(~u64{0})).bits();
    }
}

// Writes the first `taken` of the words that are left as cuts, and infinity after them.
MC2_INLINE void write_cuts(const u64* word, std::size_t rows, std::size_t width, u64 taken, float* out) noexcept {
    for (std::size_t k = 0; k < width; ++k) {
        const u32 infinity = bits_of(std::numeric_limits<float>::infinity());
        if (k >= rows) {
            out[k] = std::bit_cast<float>(infinity);
            continue;
        }
        const Mask there = Secret<u64>(k) < Secret(taken);
        out[k] = std::bit_cast<float>(select(there, Secret<u32>(bits_of(from_sortable(static_cast<u32>(word[k])))), Secret<u32>(infinity)).bits());
    }
}

constexpr u64 no_value = 0xffffffff;  // the upper half of a word with a weight but without a value
constexpr double weight_units = 16777216.0;  // 2^24

// A weight in units of the greatest one; words without a value have none.
MC2_INLINE u64 units_of_weight(u64 word, double per_unit) noexcept {
    const Mask there = Secret(word >> 32) < Secret(no_value);
    const double weight = static_cast<double>(std::bit_cast<float>(static_cast<u32>(word) & static_cast<u32>(there.word())));
    return static_cast<u64>(nearest(reals(weight * per_unit))[0]);
}

// floor(cumulated * bins / total): an estimate, and its two neighbours by whole numbers.
MC2_INLINE u64 quantile_of(u64 cumulated, u64 total, double per_total, u64 bins) noexcept {
    const u64 part = cumulated * bins;
    u64 found = static_cast<u64>(nearest(reals(static_cast<double>(static_cast<i64>(part)) * per_total))[0]);
    found -= (Secret(found * total) > Secret(part)).word() & 1;
    found += (Secret((found + 1) * total) <= Secret(part)).word() & 1;
    return found;
}

void weighted_cuts(const u64* sorted, std::size_t rows, std::size_t bins, float* out) {
    const std::size_t width = bins - 1;
    if (width == 0) return;
    const Scratch words((rows + width) * sizeof(u64)), marks(rows);
    u64* const word = words.as<u64>();
    u8* const mark = marks.as<u8>();
    u32 most = 0;
    u64 distinct = 0, total = 0, cumulated = 0, last = 0, taken = 0;
    const auto first = [&](std::size_t i) {
        const Mask there = Secret(sorted[i] >> 32) < Secret(no_value);
        return i == 0 ? there : there & (Secret(sorted[i] >> 32) != Secret(sorted[i == 0 ? 0 : i - 1] >> 32));
    };
    for (std::size_t i = 0; i < rows; ++i) {
        const Mask there = Secret(sorted[i] >> 32) < Secret(no_value);
        const u32 weight = static_cast<u32>(sorted[i]) & static_cast<u32>(there.word());
        most = select(Secret(weight) > Secret(most), Secret(weight), Secret(most)).bits();
        distinct += first(i).word() & 1;
        word[i] = sorted[i] >> 32;
    }
    const Mask weighs = Secret(most) > Secret<u32>(0x0d000000);  // 2^-101: denormals weigh nothing
    const double greatest = static_cast<double>(std::bit_cast<float>(select(weighs, Secret(most), Secret(bits_of(1.0F))).bits()));
    const double per_unit = reciprocal(reals(greatest))[0] * weight_units;
    for (std::size_t i = 0; i < rows; ++i) total += units_of_weight(sorted[i], per_unit);
    total = select(Secret(total) > Secret<u64>(0), Secret(total), Secret<u64>(1)).bits();
    const double per_total = reciprocal(reals(static_cast<double>(static_cast<i64>(total))))[0];
    const Mask few = Secret(distinct) <= Secret<u64>(bins);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 quantile = quantile_of(cumulated, total, per_total, bins);
        cumulated += units_of_weight(sorted[i], per_unit);
        const Mask chosen = (i == 0 ? Mask::constant(false) : first(i)) & (few | (Secret(quantile) != Secret(last)));
        last = select(chosen, Secret(quantile), Secret(last)).bits();
        mark[i] = chosen.byte();
        taken += chosen.word() & 1;
    }
    kernels::compact().compact(word, 1, rows, mark);
    write_cuts(word, rows, width, taken, out);
}

void cuts_of(const u64* sorted, std::size_t rows, std::size_t bins, float* out) {
    const std::size_t width = bins - 1;
    if (width == 0) return;
    const Scratch words((rows + width) * sizeof(u64)), marks(rows);
    u64* const word = words.as<u64>();
    u8* const mark = marks.as<u8>();
    u64 present = 0, distinct = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        word[i] = sorted[i];
        const Mask there = Secret(sorted[i]) < Secret(behind_all);
        const Mask first = i == 0 ? there : there & (Secret(sorted[i]) != Secret(sorted[i == 0 ? 0 : i - 1]));
        present += there.word() & 1;
        distinct += first.word() & 1;
    }
    const Mask few = Secret(distinct) <= Secret<u64>(bins);
    // floor(i * bins / present), by adding `bins` in each step and taking `present` away when it fits.
    u64 part = 0, quantile = 0, last = 0, taken = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        if (i > 0) {
            part += bins;
            const u64 full = (Secret(part) >= Secret(present)).word();
            part -= full & present;
            quantile += full & 1;
        }
        const Mask first = i == 0 ? Mask::constant(false) : (Secret(sorted[i]) < Secret(behind_all)) & (Secret(sorted[i]) != Secret(sorted[i == 0 ? 0 : i - 1]));
        const Mask chosen = first & (few | (Secret(quantile) != Secret(last)));
        last = select(chosen, Secret(quantile), Secret(last)).bits();
        mark[i] = chosen.byte();
        taken += chosen.word() & 1;
    }
    kernels::compact().compact(word, 1, rows, mark);
    write_cuts(word, rows, width, taken, out);
}

void cut_values(const float* cuts, std::size_t features, std::size_t width, const u32* wanted, const u8* thresholds, std::size_t count,
                float* out) noexcept {
    const u32 greatest = bits_of(std::numeric_limits<float>::max());
    for (std::size_t i = 0; i < count; ++i) {
        Secret<u32> found(greatest);
        for (std::size_t f = 0; f < features; ++f) {
            const Mask right = Secret<u32>(wanted[i]) == Secret<u32>(static_cast<u32>(f));
            for (std::size_t k = 0; k < width; ++k) {
                const u32 bits = bits_of(cuts[f * width + k]);
                const Mask here = right & (Secret<u32>(thresholds[i]) == Secret<u32>(static_cast<u32>(k))) & (Secret<u32>(bits) != Secret<u32>(exponent));
                found = select(here, Secret<u32>(bits), found);
            }
        }
        out[i] = std::bit_cast<float>(found.bits());
    }
}

void floats(const double* values, const u8* known, const u8* present, std::size_t rows, bool required, float* out, u64* flags) noexcept {
    Flags found;
    for (std::size_t i = 0; i < rows; ++i) {
        const Number number = number_of(values, known, i, std::numeric_limits<float>::quiet_NaN());
        if (required) found.raise(Flag::out_of_domain, Mask::from_bit(present[i]) & (~number.there | infinite(number)));
        out[i] = number.value;
    }
    found.raise_in(flags);
}

}  // namespace

extern const BinningKernels binning_table;
const BinningKernels binning_table = {encode, encode_categories, cells, sortable, weighted, cuts_of, weighted_cuts, cut_values, floats};

}  // namespace mc2::oblivious::MC2_ISA
