#include "mc2/gradients.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/reals.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t lanes = 4;
constexpr double coarse_most = 63.0;        // the greatest digit
constexpr double fine_in_coarse = 16384.0;  // 128^2
constexpr double sum_units = 1073741824.0;  // 2^30
constexpr double least_hessian = 1e-16;

template <typename Work>
struct Parted {
    const Work* work;
    std::size_t rows;
    unsigned parts;
    static void run(void* context, unsigned part) {
        const Parted& self = *static_cast<const Parted*>(context);
        const std::size_t steps = self.rows / 64;
        (*self.work)(steps * part / self.parts * 64, steps * (part + 1) / self.parts * 64);
    }
};

template <typename Work>
void in_parts(std::size_t rows, const Work& work) {
    const unsigned parts = parts_for(rows);
    Parted<Work> parted{&work, rows, parts};
    run_parts(parts, &Parted<Work>::run, &parted);
}

MC2_INLINE Reals sigmoid(Reals margin) noexcept { return reciprocal(reals(1.0) + exponential(reals(0.0) - margin)); }

MC2_INLINE Mask mask_of(Lanes64 wrong) noexcept {
    return Mask::from_word(static_cast<u64>(wrong[0] | wrong[1] | wrong[2] | wrong[3]));
}
// NaN is neither below nor above: asked for what must hold.
MC2_INLINE Lanes64 is_not(Lanes64 holds) noexcept { return ~holds; }

struct Row4 {
    Reals label, weight;
    Lanes64 present;
};
MC2_INLINE Row4 row_of(const TrainingRows& rows, std::size_t i) noexcept {
    const Lanes64 present = load_marks(rows.present + i);
    return {keep(present, load_floats(rows.labels + i)), keep(present, load_floats(rows.weights + i)), present};
}

// Labels that the objective rules out; weights that are negative, infinite or NaN.
MC2_INLINE Lanes64 wrong_row(Objective objective, const Row4& row, std::size_t classes) noexcept {
    const Reals top = objective == Objective::logistic  ? reals(1.0)
                      : objective == Objective::softmax ? reals(static_cast<double>(classes) - 1)
                                                        : reals(1e30);
    const Reals bottom = objective == Objective::squared_error ? reals(-1e30) : reals(0.0);
    Lanes64 right = (row.label >= bottom) & (row.label <= top) & (row.weight >= reals(0.0)) & (row.weight <= reals(1e30));
    if (objective == Objective::softmax) right &= real(nearest(row.label)) == row.label;
    return is_not(right) & row.present;
}

MC2_INLINE void one_margin(Objective objective, const TrainingRows& rows, double extra, double poisson_factor, std::size_t i, const Row4& row,
                           float* g, float* h) noexcept {
    const Reals margin = load_floats(rows.margins + i);
    Reals weight = row.weight, first, second;
    if (objective == Objective::logistic) {
        const Reals p = sigmoid(margin);
        weight = choose(row.label == reals(1.0), weight * reals(extra), weight);
        first = p - row.label;
        second = greater(p * (reals(1.0) - p), reals(least_hessian));
    } else if (objective == Objective::squared_error) {
        first = margin - row.label;
        second = reals(1.0);
    } else {
        const Reals mean = exponential(lesser(margin, reals(60.0)));
        first = mean - row.label;
        second = mean * reals(poisson_factor);
    }
    store_floats(g + i, first * weight);
    store_floats(h + i, second * weight);
}

MC2_INLINE Reals greatest_margin(const TrainingRows& rows, std::size_t i) noexcept {
    Reals most = load_floats(rows.margins + i);
    for (std::size_t c = 1; c < rows.classes; ++c) most = greater(most, load_floats(rows.margins + c * rows.rows + i));
    return most;
}
MC2_INLINE Reals sum_of_powers(const TrainingRows& rows, std::size_t i, Reals most) noexcept {
    Reals sum = reals(0.0);
    for (std::size_t c = 0; c < rows.classes; ++c) sum = sum + exponential(load_floats(rows.margins + c * rows.rows + i) - most);
    return sum;
}

MC2_INLINE void all_classes(const TrainingRows& rows, std::size_t i, const Row4& row, float* g, float* h) noexcept {
    const Reals most = greatest_margin(rows, i), scale = reciprocal(sum_of_powers(rows, i, most));
    for (std::size_t c = 0; c < rows.classes; ++c) {
        const std::size_t at = c * rows.rows + i;
        const Reals p = exponential(load_floats(rows.margins + at) - most) * scale;
        const Reals target = keep(row.label == reals(static_cast<double>(c)), reals(1.0));
        store_floats(g + at, (p - target) * row.weight);
        store_floats(h + at, greater(reals(2.0) * p * (reals(1.0) - p), reals(least_hessian)) * row.weight);
    }
}

void gradients(Objective objective, const TrainingRows& rows, double extra, float* g, float* h, u64* flags) {
    const double factor = objective == Objective::poisson ? exponential(reals(extra))[0] : 1.0;
    u64 raised = 0;
    in_parts(rows.rows, [&](std::size_t first, std::size_t last) {
        Flags found;
        for (std::size_t i = first; i < last; i += lanes) {
            const Row4 row = row_of(rows, i);
            found.raise(Flag::out_of_domain, mask_of(wrong_row(objective, row, rows.classes)));
            if (objective == Objective::softmax) {
                all_classes(rows, i, row, g, h);
            } else {
                one_margin(objective, rows, extra, factor, i, row, g, h);
            }
        }
        u64 here = 0;
        found.raise_in(&here);
        __atomic_fetch_or(&raised, here, __ATOMIC_RELAXED);
    });
    *flags |= raised;
}

void greatest_of(const float* a, const float* b, std::size_t rows, double* greatest_out) noexcept {
    Reals most_a = reals(greatest_out[0]), most_b = reals(greatest_out[1]);
    for (std::size_t i = 0; i < rows; i += lanes) {
        most_a = greater(most_a, magnitude(load_floats(a + i)));
        most_b = greater(most_b, magnitude(load_floats(b + i)));
    }
    const Reals swapped_a = greater(most_a, Reals{most_a[1], most_a[0], most_a[3], most_a[2]});
    const Reals swapped_b = greater(most_b, Reals{most_b[1], most_b[0], most_b[3], most_b[2]});
    greatest_out[0] = greater(swapped_a, reals(swapped_a[2]))[0];
    greatest_out[1] = greater(swapped_b, reals(swapped_b[2]))[0];
}

// units / greatest, or 0 if there is nothing above 2^-90.
MC2_INLINE Reals per_unit(double greatest_value, double units) noexcept {
    const Reals most = reals(greatest_value);
    const Lanes64 there = most >= reals(0x1p-90);
    return keep(there, reciprocal(choose(there, most, reals(1.0))) * reals(units));
}

void sums_of(const float* a, const float* b, std::size_t rows, const double* greatest_in, i64* out) noexcept {
    const Reals per_a = per_unit(greatest_in[0], sum_units), per_b = per_unit(greatest_in[1], sum_units);
    Lanes64 sum_a{}, sum_b{};
    for (std::size_t i = 0; i < rows; i += lanes) {
        sum_a += nearest(load_floats(a + i) * per_a);
        sum_b += nearest(load_floats(b + i) * per_b);
    }
    out[0] += sum_a[0] + sum_a[1] + sum_a[2] + sum_a[3];
    out[1] += sum_b[0] + sum_b[1] + sum_b[2] + sum_b[3];
}

void units_of(const double* greatest_in, double* units) noexcept {
    constexpr double all = coarse_most * fine_in_coarse;
    units[0] = greatest_in[0] * (1.0 / all);
    units[1] = greatest_in[1] * (1.0 / all);
}

// --- random words

typedef u32 Words8 __attribute__((vector_size(32)));

template <int count>
MC2_INLINE Words8 rotated(Words8 x) noexcept { return (x << count) | (x >> (32 - count)); }

struct Pair8 {
    Words8 first, second;
};

MC2_INLINE Pair8 threefry(Words8 x, Words8 y, u64 key) noexcept {
    const u32 k[3] = {static_cast<u32>(key), static_cast<u32>(key >> 32),
                      0x1BD11BDAU ^ static_cast<u32>(key) ^ static_cast<u32>(key >> 32)};
    x += k[0];
    y += k[1];
#define MC2_ROUND(count) x += y; y = rotated<count>(y) ^ x;
#define MC2_EVEN(turn) MC2_ROUND(13) MC2_ROUND(15) MC2_ROUND(26) MC2_ROUND(6) x += k[turn % 3]; y += k[(turn + 1) % 3] + turn;
#define MC2_ODD(turn) MC2_ROUND(17) MC2_ROUND(29) MC2_ROUND(16) MC2_ROUND(24) x += k[turn % 3]; y += k[(turn + 1) % 3] + turn;
    MC2_EVEN(1) MC2_ODD(2) MC2_EVEN(3) MC2_ODD(4) MC2_EVEN(5)
#undef MC2_ODD
#undef MC2_EVEN
#undef MC2_ROUND
    return {x, y};
}

MC2_INLINE Pair8 random_of(const u64* identity, u64 key) noexcept {
    Words8 low, high;
    for (int l = 0; l < 8; ++l) {
        low[l] = static_cast<u32>(identity[l]);
        high[l] = static_cast<u32>(identity[l] >> 32);
    }
    return threefry(low, high, key);
}

void random_words(const u64* identity, u64 key, std::size_t rows, u64* out) noexcept {
    for (std::size_t i = 0; i < rows; i += 8) {
        const Pair8 both = random_of(identity + i, key);
        for (std::size_t l = 0; l < 8; ++l) out[i + l] = both.first[l] | static_cast<u64>(both.second[l]) << 32;
    }
}

void sample(const u64* identity, u64 key, u32 below, std::size_t rows, float* g, float* h) noexcept {
    for (std::size_t i = 0; i < rows; i += 8) {
        Words8 kept = reinterpret_cast<Words8>(random_of(identity + i, key).first < below);
#if defined(MC2_ISA_avx2)
        __asm__ volatile("" : "+x"(kept));
#endif
        Words8 x, y;
        std::memcpy(&x, g + i, sizeof x);
        std::memcpy(&y, h + i, sizeof y);
        x &= kept;
        y &= kept;
        std::memcpy(g + i, &x, sizeof x);
        std::memcpy(h + i, &y, sizeof y);
    }
}

// --- whole numbers

typedef i32 Lanes32 __attribute__((vector_size(16)));

MC2_INLINE void fine_digits(const float* values, Reals per, std::size_t i, std::size_t stride, i8* planes) noexcept {
    const Lanes32 q = __builtin_convertvector(nearest(load_floats(values + i) * per), Lanes32);
    const Lanes32 low = ((q + 64) & 127) - 64, rest = (q - low) >> 7;
    const Lanes32 middle = ((rest + 64) & 127) - 64, high = (rest - middle) >> 7;
    for (std::size_t l = 0; l < lanes; ++l) {
        planes[i + l] = static_cast<i8>(high[l]);
        planes[2 * stride + i + l] = static_cast<i8>(middle[l]);
        planes[4 * stride + i + l] = static_cast<i8>(low[l]);
    }
}

void fine(const float* g, const float* h, const double* greatest_in, std::size_t rows, std::size_t stride, i8* planes) noexcept {
    constexpr double all = coarse_most * fine_in_coarse;
    const Reals per_g = per_unit(greatest_in[0], all), per_h = per_unit(greatest_in[1], all);
    in_parts(rows, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; i += lanes) {
            fine_digits(g, per_g, i, stride, planes);
            fine_digits(h, per_h, i, stride, planes + stride);
        }
    });
}

// x + u - 1/2 to the nearest, with u uniform from 0 to 1: the whole number below or above x. Zero stays zero.
MC2_INLINE void coarse_digits(const float* values, Reals per, const Words8& random, int from, std::size_t i, i8* plane) noexcept {
    constexpr double word = 1.0 / 4294967296.0;
    Lanes64 wide;
    for (int l = 0; l < 4; ++l) wide[l] = static_cast<i64>(random[from + l]);
    const Reals u = (real(wide) + reals(0.5)) * reals(word) - reals(0.5);
    const Reals x = load_floats(values + i) * per;
    const Reals limited = lesser(greater(x + u, reals(-coarse_most)), reals(coarse_most));
    const Lanes64 q = nearest(limited);
    for (std::size_t l = 0; l < lanes; ++l) plane[i + l] = static_cast<i8>(q[l]);
}

void coarse(const float* g, const float* h, const double* greatest_in, const u64* identity, u64 key, std::size_t rows,
            std::size_t stride, i8* planes) noexcept {
    const Reals per_g = per_unit(greatest_in[0], coarse_most), per_h = per_unit(greatest_in[1], coarse_most);
    in_parts(rows, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; i += 8) {
            const Pair8 random = random_of(identity + i, key);
            coarse_digits(g, per_g, random.first, 0, i, planes);
            coarse_digits(g, per_g, random.first, 4, i + 4, planes);
            coarse_digits(h, per_h, random.second, 0, i, planes + stride);
            coarse_digits(h, per_h, random.second, 4, i + 4, planes + stride);
        }
    });
}

// --- metrics

MC2_INLINE Reals loss_of(Metric metric, const TrainingRows& rows, std::size_t i, const Row4& row) noexcept {
    const Reals margin = load_floats(rows.margins + i), one = reals(1.0);
    switch (metric) {
        case Metric::logloss: {  // log(1 + e^-|m|) + max(m, 0) - y m
            const Reals rest = logarithm(one + exponential(reals(0.0) - magnitude(margin)));
            return rest + greater(margin, reals(0.0)) - row.label * margin;
        }
        case Metric::error: return choose(margin > reals(0.0), one - row.label, row.label);
        case Metric::squared_error: return (margin - row.label) * (margin - row.label);
        case Metric::absolute_error: return magnitude(margin - row.label);
        case Metric::poisson_nloglik:
            return exponential(lesser(margin, reals(60.0))) - row.label * margin + log_gamma(row.label + one);
        case Metric::mlogloss: {
            const Reals most = greatest_margin(rows, i);
            Reals own = reals(0.0);
            for (std::size_t c = 0; c < rows.classes; ++c) {
                const Lanes64 is = row.label == reals(static_cast<double>(c));
                own = choose(is, load_floats(rows.margins + c * rows.rows + i), own);
            }
            return logarithm(sum_of_powers(rows, i, most)) + most - own;
        }
        case Metric::merror: {
            Reals best = load_floats(rows.margins + i), found = reals(0.0);
            for (std::size_t c = 1; c < rows.classes; ++c) {
                const Reals here = load_floats(rows.margins + c * rows.rows + i);
                const Lanes64 better = here > best;
                best = choose(better, here, best);
                found = choose(better, reals(static_cast<double>(c)), found);
            }
            return keep(is_not(found == row.label), one);
        }
    }
    return reals(0.0);
}

void losses(Metric metric, const TrainingRows& rows, float* loss, float* weight) noexcept {
    in_parts(rows.rows, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; i += lanes) {
            const Row4 row = row_of(rows, i);
            store_floats(loss + i, loss_of(metric, rows, i, row) * row.weight);
            store_floats(weight + i, row.weight);
        }
    });
}

void weighted_labels(Objective objective, u32 of_class, const TrainingRows& rows, float* product, float* weight) noexcept {
    const bool share = objective == Objective::softmax;
    for (std::size_t i = 0; i < rows.rows; i += lanes) {
        const Row4 row = row_of(rows, i);
        const Reals counted = share ? keep(row.label == reals(static_cast<double>(of_class)), reals(1.0)) : row.label;
        store_floats(product + i, counted * row.weight);
        store_floats(weight + i, row.weight);
    }
}

MC2_INLINE Reals quotient(Reals top, Reals bottom) noexcept {
    const Lanes64 there = bottom > reals(0x1p-60);
    return keep(there, top * reciprocal(choose(there, bottom, reals(1.0))));
}

// The logarithms of shares about their mean, as stock XGBoost starts classes.
void margins_of_shares(std::size_t classes, const i64* sums, const double* greatest_in, double* margins) noexcept {
    constexpr double least = 1e-6;
    double sum = 0.0;
    for (std::size_t c = 0; c < classes; ++c) {
        const Reals own = reals(static_cast<double>(sums[2 * c]) * greatest_in[2 * c]);
        const Reals all = reals(static_cast<double>(sums[2 * c + 1]) * greatest_in[2 * c + 1]);
        margins[c] = logarithm(quotient(own, all) + reals(least))[0];
        sum += margins[c];
    }
    const double mean = sum * reciprocal(reals(static_cast<double>(classes)))[0];
    for (std::size_t c = 0; c < classes; ++c) margins[c] -= mean;
}

void margin_of_mean(Objective objective, std::size_t classes, const i64* sums, const double* greatest_in, double* margin) noexcept {
    if (objective == Objective::softmax) return margins_of_shares(classes, sums, greatest_in, margin);
    const Reals top = reals(static_cast<double>(sums[0]) * greatest_in[0]), bottom = reals(static_cast<double>(sums[1]) * greatest_in[1]);
    const Reals mean = quotient(top, bottom);
    constexpr double least = 1e-7;
    Reals found = mean;
    if (objective == Objective::logistic) {
        const Reals p = lesser(greater(mean, reals(least)), reals(1.0 - least));
        found = logarithm(p) - logarithm(reals(1.0) - p);
    } else if (objective == Objective::poisson) {
        found = logarithm(greater(mean, reals(least)));
    }
    margin[0] = found[0];
}

void transform(Objective objective, const float* margins, std::size_t rows, std::size_t classes, float* values) {
    const TrainingRows only{margins, nullptr, nullptr, nullptr, rows, classes};
    for (std::size_t i = 0; i < rows; i += lanes) {
        const Reals margin = load_floats(margins + i);
        if (objective == Objective::softmax) {
            const Reals most = greatest_margin(only, i), scale = reciprocal(sum_of_powers(only, i, most));
            for (std::size_t c = 0; c < classes; ++c) {
                float four[lanes];
                store_floats(four, exponential(load_floats(margins + c * rows + i) - most) * scale);
                for (std::size_t l = 0; l < lanes; ++l) values[(i + l) * classes + c] = four[l];
            }
        } else {
            const Reals value = objective == Objective::logistic  ? sigmoid(margin)
                                : objective == Objective::poisson ? exponential(margin)
                                                                  : margin;
            store_floats(values + i, value);
        }
    }
}

// --- the area under the curve

MC2_INLINE u64 sortable(float score) noexcept {
    const u32 bits = std::bit_cast<u32>(score + 0.0F);  // -0 and 0 are one score
    const u32 negative = value_barrier(0 - (bits >> 31));
    return bits ^ (negative | 0x80000000);
}

void ranks(const float* scores, const TrainingRows& rows, u32 target, u32 labels_below, const double* greatest_in, u64* out, u64* flags) noexcept {
    const Reals per = per_unit(greatest_in[1], sum_units);
    Flags found;
    for (std::size_t i = 0; i < rows.rows; i += lanes) {
        const Row4 row = row_of(rows, i);
        const Lanes64 label = nearest(lesser(greater(row.label, reals(0.0)), reals(static_cast<double>(labels_below) - 1)));
        found.raise(Flag::out_of_domain, mask_of(is_not(masked(real(label) == row.label)) & row.present));
        const Lanes64 is = label == Lanes64{} + static_cast<i64>(target);
        const Lanes64 low = (masked(is) & (i64{1} << 31)) | (nearest(row.weight * per) & 0x7fffffff);
        for (std::size_t l = 0; l < lanes; ++l) out[i + l] = sortable(scores[i + l]) << 32 | static_cast<u64>(low[l]);
    }
    found.raise_in(flags);
}

// Unsigned numbers as doubles, by halves: the instruction for signed ones alone is free of branches.
MC2_INLINE double real_of(u64 x) noexcept {
    return static_cast<double>(static_cast<i64>(x >> 32)) * 4294967296.0 + static_cast<double>(static_cast<i64>(x & 0xffffffff));
}
MC2_INLINE double real_of(u128 x) noexcept {
    return real_of(static_cast<u64>(x >> 64)) * 18446744073709551616.0 + real_of(static_cast<u64>(x));
}

void add_area(const u64* sorted, std::size_t rows, double* totals) noexcept {
    u128 pairs = 0;  // twice their number, by weight
    u64 with = 0, without = 0, below = 0, same_with = 0, same_without = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 word = sorted[i], same = i == 0 ? 0 : (Secret(word >> 32) == Secret(sorted[i == 0 ? 0 : i - 1] >> 32)).word();
        below += same_without & ~same;
        same_with &= same;
        same_without &= same;
        const u64 weight = word & 0x7fffffff, is = value_barrier(0 - (word >> 31 & 1));
        const u64 own = weight & is, other = weight & ~is;
        pairs += static_cast<u128>(own) * (2 * below + same_without) + static_cast<u128>(other) * same_with;
        same_with += own;
        same_without += other;
        with += own;
        without += other;
    }
    const Reals all = reals(2.0 * real_of(with) * real_of(without));
    const Lanes64 there = all > reals(0.0);
    const Reals share = keep(there, reals(real_of(pairs)) * reciprocal(choose(there, all, reals(1.0))));
    totals[0] += share[0] * real_of(with);
    totals[1] += real_of(with);
    totals[2] += keep(there, reals(1.0))[0];
}

void mean_area(const double* totals, std::size_t classes, i64* sums) noexcept {
    constexpr double unit = 1125899906842624.0;  // 2^50
    const Lanes64 whole = reals(totals[2]) == reals(static_cast<double>(classes));
    const Reals mean = quotient(reals(totals[0]), reals(totals[1]));
    sums[0] = nearest(keep(whole, mean * reals(unit)))[0];
    sums[1] = nearest(keep(whole, reals(unit)))[0];
}

}  // namespace

extern const GradientsKernels gradients_table;
const GradientsKernels gradients_table = {gradients, greatest_of, sums_of, sample,    units_of,       fine,
                                          coarse,    random_words, losses, weighted_labels, margin_of_mean, transform,
                                          ranks,     add_area,     mean_area};

}  // namespace mc2::oblivious::MC2_ISA
