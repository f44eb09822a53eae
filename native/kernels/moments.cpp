#include "mc2/moments.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/reals.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

typedef u64 Words4 __attribute__((vector_size(32)));

constexpr std::size_t lanes = 4;
constexpr std::size_t block_rows = 256;  // terms of at most 2^50 that a lane adds: 64, far below 2^63
constexpr double sum_units = 0x1p50;
constexpr double per_sum_unit = 0x1p-50;
constexpr double loss_units = 0x1p40;
constexpr double most_loss = 1000.0;
constexpr double greatest_number = 0x1p150;
constexpr double constant_share = 0x1p-45;   // spread beside magnitude below which a column is constant
constexpr double dependent_share = 0x1p-40;  // what others leave of a column that depends on them
constexpr double done_share = 0x1p-33;       // a step of Newton's that ends the iteration

template <typename Work>
struct Parted {
    const Work* work;
    std::size_t rows;
    unsigned parts;
    static void run(void* context, unsigned part) {
        const Parted& self = *static_cast<const Parted*>(context);
        const std::size_t steps = self.rows / 64;
        (*self.work)(share_of(steps, part, self.parts) * 64, share_of(steps, part + 1, self.parts) * 64, part);
    }
};

template <typename Work>
MC2_INLINE void in_parts(std::size_t rows, unsigned parts, const Work& work) {
    Parted<Work> parted{&work, rows, parts};
    run_parts(parts, &Parted<Work>::run, &parted);
}

MC2_INLINE Reals load(const double* at) noexcept {
    Reals four;
    std::memcpy(&four, at, sizeof four);
    return four;
}
MC2_INLINE void store(double* at, Reals x) noexcept { std::memcpy(at, &x, sizeof x); }

// Comparisons as masks. GCC makes branches of those of four doubles where the instruction set knows
// vectors of two only, so they are taken two by two there.
#if defined(MC2_ISA_avx2)
#define MC2_COMPARE(name, operation) \
    MC2_INLINE Lanes64 name(Reals a, Reals b) noexcept { return masked(a operation b); }
#else
typedef double Two __attribute__((vector_size(16)));
typedef i64 TwoLanes __attribute__((vector_size(16)));
MC2_INLINE TwoLanes hidden(TwoLanes mask) noexcept {
    __asm__ volatile("" : "+m"(mask));
    return mask;
}
#define MC2_COMPARE(name, operation)                                                  \
    MC2_INLINE Lanes64 name(Reals a, Reals b) noexcept {                              \
        const TwoLanes low = hidden(Two{a[0], a[1]} operation Two{b[0], b[1]});       \
        const TwoLanes high = hidden(Two{a[2], a[3]} operation Two{b[2], b[3]});      \
        return Lanes64{low[0], low[1], high[0], high[1]};                             \
    }
#endif
MC2_COMPARE(above, >)
MC2_COMPARE(at_most, <=)
MC2_COMPARE(equal, ==)
#undef MC2_COMPARE
MC2_INLINE Reals least_of(Reals a, Reals b) noexcept { return choose(above(b, a), a, b); }
MC2_INLINE Reals most_of(Reals a, Reals b) noexcept { return choose(above(a, b), a, b); }

// a < b for whole numbers less than 2^63 apart. SSE2 compares no words, so the compiler would make
// branches of `<`.
MC2_INLINE Lanes64 is_less(Lanes64 a, Lanes64 b) noexcept { return masked((a - b) >> 63); }
MC2_INLINE Lanes64 same(Lanes64 a, Lanes64 b) noexcept {
    const Lanes64 x = a ^ b;
    return masked(~((x | (Lanes64{} - x)) >> 63));
}
MC2_INLINE Lanes64 same(Lanes64 a, i64 b) noexcept { return same(a, Lanes64{} + b); }

// Without numbers that are nothing beside all others: denormal ones take longer to compute with.
MC2_INLINE Reals tidy(Reals x) noexcept {
    const Lanes64 size = bits_of(x) & 0x7fffffffffffffff;
    return keep(~is_less(size, bits_of(reals(0x1p-300))), x);
}

MC2_INLINE Mask any_of(Lanes64 mask) noexcept { return Mask::from_word(static_cast<u64>(mask[0] | mask[1] | mask[2] | mask[3])); }
MC2_INLINE Reals square(Reals x) noexcept { return x * x; }

// --- exact sums

// Adding 1.5 * 2^52 leaves the nearest whole number in the low bits; what the constant adds is
// taken off when the block is done.
MC2_INLINE void add_whole(Words4& sum, Reals x) noexcept { sum += reinterpret_cast<Words4>(x + reals(whole_shift)); }
MC2_INLINE i64 block_sum(Words4 sum, std::size_t terms) noexcept {
    const u64 extra = terms * reinterpret_cast<Words4>(reals(whole_shift))[0];
    return static_cast<i64>(sum[0] + sum[1] + sum[2] + sum[3] - extra);
}

MC2_INLINE void add_to(MomentWords sums, std::size_t at, u64 low, i64 high) noexcept {
    const u128 total = ((static_cast<u128>(static_cast<u64>(sums.high[at])) << 64) | sums.low[at]) +
                       ((static_cast<u128>(static_cast<u64>(high)) << 64) | low);
    sums.low[at] = static_cast<u64>(total);
    sums.high[at] = static_cast<i64>(static_cast<u64>(total >> 64));
}
MC2_INLINE void add_word(MomentWords sums, std::size_t at, i64 word) noexcept { add_to(sums, at, static_cast<u64>(word), word >> 63); }

// Runs work(first, last, sums) over blocks of rows, each part with sums of its own, and adds these up.
template <typename Work>
MC2_INLINE void summed(std::size_t rows, std::size_t count, MomentWords out, const Work& work) {
    const unsigned parts = parts_for(rows);
    Scratch scratch(2 * sizeof(u64) * count * parts + 64);
    u64* low = scratch.as<u64>();
    i64* high = reinterpret_cast<i64*>(low + count * parts);
    std::memset(low, 0, 2 * sizeof(u64) * count * parts);
    in_parts(rows, parts, [&](std::size_t first, std::size_t last, unsigned part) {
        const MomentWords own{low + count * part, high + count * part};
        for (std::size_t at = first; at < last; at += block_rows) {
            work(at, at + block_rows < last ? at + block_rows : last, own);
        }
    });
    std::memset(out.low, 0, sizeof(u64) * count);
    std::memset(out.high, 0, sizeof(i64) * count);
    for (unsigned part = 0; part < parts; ++part) {
        for (std::size_t i = 0; i < count; ++i) add_to(out, i, low[count * part + i], high[count * part + i]);
    }
}

MC2_INLINE double real_of(MomentWords sums, std::size_t at) noexcept {
    const u64 low = sums.low[at];
    const double top = static_cast<double>(sums.high[at]) * 0x1p64;
    const double middle = static_cast<double>(static_cast<i64>(low >> 32)) * 0x1p32;
    const double bottom = static_cast<double>(static_cast<i64>(low & 0xffffffff));
    return (top + middle) + bottom;
}

// --- shifts and scales

void extents(const MomentRows& x, const u8* present, const double* shifts, double* greatest_out, u64* flags) {
    Flags found;
    for (std::size_t j = 0; j < x.count; ++j) {
        const double* column = x.columns + j * x.stride;
        const Reals shift = reals(shifts[j]);
        Reals most = reals(0.0);
        Lanes64 wrong{};
        for (std::size_t i = 0; i < x.rows; i += lanes) {
            const Reals size = keep(load_marks(present + i), magnitude(tidy(load(column + i)) - shift));
            wrong |= ~at_most(size, reals(greatest_number));  // NaN is neither below nor above
            most = most_of(size, most);
        }
        found.raise(Flag::out_of_domain, any_of(wrong));
        most = most_of(most, Reals{most[1], most[0], most[3], most[2]});
        greatest_out[j] = most_of(most, reals(most[2]))[0];
    }
    found.raise_in(flags);
}

void scales(const double* greatest_in, const double* raw, std::size_t count, bool common, double* scales_out, double* units) noexcept {
    Reals most = reals(0.0);
    for (std::size_t j = 0; j < count; ++j) most = most_of(most, reals(greatest_in[j]));
    for (std::size_t j = 0; j < count; ++j) {
        const Reals own = reals(greatest_in[j]), shared = common ? most : own;
        const Lanes64 there = common ? above(shared, reals(0.0)) : above(own, reals(raw[j]) * reals(constant_share));
        const Reals size = least_of(most_of(shared, reals(0x1p-150)), reals(greatest_number));
        const Lanes64 exponent = (bits_of(size) >> 52) & 0x7ff;
        scales_out[j] = keep(there, from_bits((2045 - exponent) << 52))[0];
        units[j] = keep(there, from_bits((exponent + 1) << 52))[0];
    }
}

void standardise(const MomentRows& x, const u8* present, const double* shifts, const double* scales_in, double* out) noexcept {
    for (std::size_t j = 0; j < x.count; ++j) {
        const Reals shift = reals(shifts[j]), scale = reals(scales_in[j]);
        for (std::size_t i = 0; i < x.rows; i += lanes) {
            const Reals moved = keep(load_marks(present + i), tidy(load(x.columns + j * x.stride + i)) - shift);
            store(out + j * x.rows + i, tidy(tidy(moved) * scale));
        }
    }
}

// --- products

void gram(const MomentRows& z, const double* weights, MomentWords sums) {
    summed(z.rows, z.count * z.count, sums, [&](std::size_t first, std::size_t last, MomentWords own) {
        double left[block_rows];
        for (std::size_t a = 0; a < z.count; ++a) {
            const double* of_a = z.columns + a * z.stride;
            for (std::size_t i = first; i < last; i += lanes) {
                store(left + (i - first), tidy(load(weights + i) * load(of_a + i)) * reals(sum_units));
            }
            for (std::size_t b = a; b < z.count; ++b) {
                const double* of_b = z.columns + b * z.stride + first;
                Words4 sum{};
                for (std::size_t i = 0; i < last - first; i += lanes) add_whole(sum, load(left + i) * load(of_b + i));
                add_word(own, a * z.count + b, block_sum(sum, last - first));
            }
        }
    });
    for (std::size_t a = 0; a < z.count; ++a) {
        for (std::size_t b = 0; b < a; ++b) {
            sums.low[a * z.count + b] = sums.low[b * z.count + a];
            sums.high[a * z.count + b] = sums.high[b * z.count + a];
        }
    }
}

void projections(const MomentRows& z, const double* values, const double* scale, MomentWords sums) {
    summed(z.rows, z.count, sums, [&](std::size_t first, std::size_t last, MomentWords own) {
        double left[block_rows];
        for (std::size_t i = first; i < last; i += lanes) {
            store(left + (i - first), tidy(load(values + i) * reals(*scale)) * reals(sum_units));
        }
        for (std::size_t a = 0; a < z.count; ++a) {
            const double* of_a = z.columns + a * z.stride + first;
            Words4 sum{};
            for (std::size_t i = 0; i < last - first; i += lanes) add_whole(sum, load(left + i) * load(of_a + i));
            add_word(own, a, block_sum(sum, last - first));
        }
    });
}

void quotients(MomentWords top, MomentWords bottom, const double* units, std::size_t count, double* out) noexcept {
    const Reals below = reals(real_of(bottom, 0));
    const Lanes64 there = above(below, reals(0.5));
    const Reals inverse = reciprocal(choose(there, below, reals(1.0)));
    for (std::size_t j = 0; j < count; ++j) out[j] = tidy(keep(there, reals(real_of(top, j)) * inverse * reals(units[j])))[0];
}

// --- rows

void margins(const MomentRows& x, const double* factors, double* out) noexcept {
    in_parts(x.rows, parts_for(x.rows), [&](std::size_t first, std::size_t last, unsigned) {
        for (std::size_t i = first; i < last; i += lanes) {
            Reals sum = reals(0.0);
            for (std::size_t j = 0; j < x.count; ++j) sum = sum + tidy(tidy(load(x.columns + j * x.stride + i)) * reals(factors[j]));
            store(out + i, sum);
        }
    });
}

void residuals(const double* labels, const double* margins_in, const double* weights, std::size_t rows, double* out) noexcept {
    for (std::size_t i = 0; i < rows; i += lanes) {
        store(out + i, tidy(load(weights + i) * tidy(load(labels + i) - load(margins_in + i))));
    }
}

MC2_INLINE Reals sigmoid(Reals margin) noexcept { return reciprocal(reals(1.0) + exponential(reals(0.0) - margin)); }

void logistic(const double* labels, const double* margins_in, const double* weights, std::size_t rows, double* residual,
              double* curvature) noexcept {
    in_parts(rows, parts_for(rows), [&](std::size_t first, std::size_t last, unsigned) {
        for (std::size_t i = first; i < last; i += lanes) {
            const Reals weight = load(weights + i), p = sigmoid(load(margins_in + i));
            store(residual + i, tidy(weight * tidy(load(labels + i) - p)));
            store(curvature + i, tidy(weight * tidy(p * (reals(1.0) - p))));
        }
    });
}

// log(1 + e^m) - y m, without overflow
MC2_INLINE Reals loss_of(Reals label, Reals margin) noexcept {
    const Reals rest = logarithm(reals(1.0) + exponential(reals(0.0) - magnitude(margin)));
    return least_of(rest + most_of(margin, reals(0.0)) - label * margin, reals(most_loss));
}

void losses(const double* labels, const double* margins_in, const double* directions, const double* weights, std::size_t rows,
            std::size_t steps, MomentWords sums) {
    summed(rows, steps + 1, sums, [&](std::size_t first, std::size_t last, MomentWords own) {
        double part = 1.0;
        for (std::size_t k = 0; k <= steps; ++k) {
            const Reals share = reals(k == steps ? 0.0 : part);
            Words4 sum{};
            for (std::size_t i = first; i < last; i += lanes) {
                const Reals margin = load(margins_in + i) + share * load(directions + i);
                add_whole(sum, load(weights + i) * loss_of(load(labels + i), margin) * reals(loss_units));
            }
            add_word(own, k, block_sum(sum, last - first));
            part = part * 0.5;
        }
    });
}

void probabilities(const double* margins_in, std::size_t rows, double* out) noexcept {
    for (std::size_t i = 0; i < rows; i += lanes) store(out + i, sigmoid(load(margins_in + i)));
}

void check_classes(const double* labels, const u8* present, std::size_t rows, u64* flags) noexcept {
    Lanes64 wrong{};
    for (std::size_t i = 0; i < rows; i += lanes) {
        const Reals label = load(labels + i);
        wrong |= load_marks(present + i) & ~(equal(label, reals(0.0)) | equal(label, reals(1.0)));
    }
    Flags found;
    found.raise(Flag::out_of_domain, any_of(wrong));
    found.raise_in(flags);
}

// --- factors

void penalties(double amount, const double* scales_in, const double* weight_scale, std::size_t count, std::size_t all, double* out) noexcept {
    for (std::size_t j = 0; j < all; ++j) {
        out[j] = j < count ? tidy(reals(amount) * (reals(scales_in[j]) * reals(scales_in[j])) * reals(*weight_scale))[0] : 0.0;
    }
}

// L D L' in place: the lower triangle becomes L, `inverses` the inverses of D.
void decompose(double* matrix, const double* scales_in, double* inverses, std::size_t count, u64* dropped) noexcept {
    Secret<u64> lost(0);
    for (std::size_t j = 0; j < count; ++j) {
        const double whole = matrix[j * count + j];
        Reals left = reals(whole);
        for (std::size_t k = 0; k < j; ++k) {
            const double l = matrix[j * count + k];
            left = left - reals(l) * reals(l) * reals(matrix[k * count + k]);
        }
        const Lanes64 there = above(left, reals(whole) * reals(dependent_share));
        const Lanes64 counts = there | equal(reals(scales_in[j]), reals(0.0));
        lost = lost + keep_if(~Mask::from_word(static_cast<u64>(counts[0])), Secret<u64>(1));
        const double pivot = keep(there, left)[0];
        const double inverse = tidy(keep(there, reciprocal(choose(there, left, reals(1.0)))))[0];
        matrix[j * count + j] = pivot;
        inverses[j] = inverse;
        for (std::size_t i = j + 1; i < count; ++i) {
            Reals sum = reals(matrix[i * count + j]);
            for (std::size_t k = 0; k < j; ++k) {
                sum = sum - reals(matrix[i * count + k]) * reals(matrix[j * count + k]) * reals(matrix[k * count + k]);
            }
            matrix[i * count + j] = tidy(sum * reals(inverse))[0];
        }
    }
    *dropped = lost.bits();
}

void solve(MomentWords gram_in, MomentWords projections_in, const double* unit, const double* penalties_in, const double* scales_in,
           const double* factors, std::size_t count, double* steps, u64* dropped) {
    Scratch scratch(sizeof(double) * (count * count + count) + 64);
    double *matrix = scratch.as<double>(), *inverses = matrix + count * count;
    for (std::size_t i = 0; i < count * count; ++i) matrix[i] = real_of(gram_in, i) * per_sum_unit;
    for (std::size_t j = 0; j < count; ++j) {
        matrix[j * count + j] = matrix[j * count + j] + penalties_in[j];
        const Reals pulled = tidy(reals(penalties_in[j]) * reals(factors[j]));
        steps[j] = tidy(reals(real_of(projections_in, j) * per_sum_unit) * reals(*unit) - pulled)[0];
    }
    decompose(matrix, scales_in, inverses, count, dropped);
    for (std::size_t j = 0; j < count; ++j) {
        double sum = steps[j];
        for (std::size_t k = 0; k < j; ++k) sum = sum - tidy(reals(matrix[j * count + k]) * reals(steps[k]))[0];
        steps[j] = sum;
    }
    for (std::size_t j = 0; j < count; ++j) steps[j] = tidy(reals(steps[j]) * reals(inverses[j]))[0];
    for (std::size_t j = count; j-- > 0;) {
        double sum = steps[j];
        for (std::size_t k = j + 1; k < count; ++k) sum = sum - tidy(reals(matrix[k * count + j]) * reals(steps[k]))[0];
        // A column that was left out takes no part, whatever the others say of it.
        steps[j] = keep(above(reals(inverses[j]), reals(0.0)), reals(sum))[0];
    }
}

void add(const double* steps, std::size_t count, double* factors) noexcept {
    for (std::size_t j = 0; j < count; ++j) factors[j] = factors[j] + steps[j];
}

MC2_INLINE Reals penalty_at(const double* penalties_in, const double* steps, const double* factors, std::size_t count, double share) noexcept {
    Reals sum = reals(0.0);
    for (std::size_t j = 0; j < count; ++j) {
        const Reals factor = reals(factors[j]) + reals(share) * reals(steps[j]);
        sum = sum + tidy(reals(0.5) * reals(penalties_in[j]) * square(factor));
    }
    return sum;
}

void advance(MomentWords losses_in, std::size_t choices, std::size_t rows, const double* penalties_in, const double* steps,
             std::size_t count, double* factors, u64* state) noexcept {
    constexpr double per_unit = 1.0 / loss_units;
    const Reals now = reals(real_of(losses_in, choices) * per_unit) + penalty_at(penalties_in, steps, factors, count, 0.0);
    // What rounding of losses may add.
    const Reals bound = now + reals(static_cast<double>(static_cast<i64>(rows)) * 0x1p-38) + now * reals(0x1p-40);
    Reals chosen = reals(0.0);
    Lanes64 taken{};
    double share = 1.0;
    for (std::size_t k = 0; k < choices; ++k) {
        const Reals then = reals(real_of(losses_in, k) * per_unit) + penalty_at(penalties_in, steps, factors, count, share);
        const Lanes64 good = at_most(then, bound) & ~taken;
        chosen = choose(good, reals(share), chosen);
        taken = masked(taken | good);
        share = share * 0.5;
    }
    Reals most_step = reals(0.0), most_factor = reals(1.0);
    for (std::size_t j = 0; j < count; ++j) {
        most_step = most_of(most_step, magnitude(reals(steps[j])));
        most_factor = most_of(most_factor, magnitude(reals(factors[j])));
    }
    const Mask done = Mask::from_bit(state[0]);
    const Lanes64 going = Lanes64{} + static_cast<i64>((~done).word());
    const Reals part = keep(going, chosen);
    for (std::size_t j = 0; j < count; ++j) factors[j] = choose(going, reals(factors[j]) + part * reals(steps[j]), reals(factors[j]))[0];
    const Lanes64 small = at_most(most_step, most_factor * reals(done_share)) & equal(chosen, reals(1.0));
    const Mask ends = done | Mask::from_word(static_cast<u64>(masked(small)[0]));
    state[1] = (Secret<u64>(state[1]) + keep_if(~done, Secret<u64>(1))).bits();
    state[0] = ends.byte();
}

void restore_factors(const double* factors, const double* shifts, const double* scales_in, const double* base, const double* unit,
                     std::size_t count, double* out) noexcept {
    Reals constant = tidy(reals(factors[count]) * reals(*unit)) + reals(*base);
    for (std::size_t j = 0; j < count; ++j) {
        const Reals factor = tidy(reals(factors[j]) * reals(scales_in[j]) * reals(*unit));
        out[j] = factor[0];
        constant = constant - tidy(factor * reals(shifts[j]));
    }
    out[count] = constant[0];
}

// --- clusters

MC2_INLINE Reals distance_to(const MomentRows& z, std::size_t i, const double* centre) noexcept {
    Reals sum = reals(0.0);
    for (std::size_t j = 0; j < z.count; ++j) sum = sum + tidy(square(tidy(tidy(load(z.columns + j * z.stride + i)) - reals(centre[j]))));
    return sum;
}

void nearest_centres(const MomentRows& z, const double* centres, std::size_t clusters, const u8* present, u32* labels,
                     double* distances) noexcept {
    in_parts(z.rows, parts_for(z.rows), [&](std::size_t first, std::size_t last, unsigned) {
        for (std::size_t i = first; i < last; i += lanes) {
            Reals best = distance_to(z, i, centres);
            Lanes64 found{};
            for (std::size_t k = 1; k < clusters; ++k) {
                const Reals here = distance_to(z, i, centres + k * z.count);
                const Lanes64 better = above(best, here);
                best = choose(better, here, best);
                found = (better & static_cast<i64>(k)) | (~better & found);
            }
            const Lanes64 there = load_marks(present + i);
            store(distances + i, keep(there, best));
            for (std::size_t l = 0; l < lanes; ++l) labels[i + l] = static_cast<u32>(found[l] & there[l]);
        }
    });
}

void cluster_sums(const MomentRows& z, const u32* labels, const double* distances, const double* weights, std::size_t clusters,
                  double spread, MomentWords sums) {
    const std::size_t width = z.count + 2;
    // Spread is a power of two, so its inverse is one: the exponent's other side.
    const double per_spread = from_bits((Lanes64{} + (i64{2046} << 52)) - bits_of(reals(spread)))[0];
    summed(z.rows, clusters * width, sums, [&](std::size_t first, std::size_t last, MomentWords own) {
        i64 wholes[block_rows], codes[block_rows];
        const std::size_t rows = last - first;
        for (std::size_t i = 0; i < rows; ++i) codes[i] = static_cast<i64>(labels[first + i]);
        for (std::size_t j = 0; j < width; ++j) {
            for (std::size_t i = first; i < last; i += lanes) {
                const Reals value = j < z.count    ? load(z.columns + j * z.stride + i)
                                    : j == z.count ? reals(1.0)
                                                   : load(distances + i) * reals(per_spread);
                const Lanes64 whole = nearest(tidy(load(weights + i) * value) * reals(sum_units));
                std::memcpy(wholes + (i - first), &whole, sizeof whole);
            }
            for (std::size_t k = 0; k < clusters; ++k) {
                Words4 sum{};
                for (std::size_t i = 0; i < rows; i += lanes) {
                    Lanes64 whole, code;
                    std::memcpy(&whole, wholes + i, sizeof whole);
                    std::memcpy(&code, codes + i, sizeof code);
                    sum += reinterpret_cast<Words4>(same(code, static_cast<i64>(k)) & whole);
                }
                add_word(own, k * width + j, static_cast<i64>(sum[0] + sum[1] + sum[2] + sum[3]));
            }
        }
    });
}

void move_centres(MomentWords sums, std::size_t count, std::size_t clusters, double* centres, u64* changed) noexcept {
    Mask any = Mask::constant(false);
    for (std::size_t k = 0; k < clusters; ++k) {
        const std::size_t row = k * (count + 2);
        const Reals all = reals(real_of(sums, row + count));
        const Lanes64 there = above(all, reals(0.5));
        const Reals inverse = reciprocal(choose(there, all, reals(1.0)));
        for (std::size_t j = 0; j < count; ++j) {
            const Reals before = reals(centres[k * count + j]);
            const Reals after = choose(there, tidy(reals(real_of(sums, row + j)) * inverse), before);
            any = any | (Secret<double>(after[0]) != Secret<double>(before[0]));
            centres[k * count + j] = after[0];
        }
    }
    changed[0] = any.byte();
}

void inertia(MomentWords sums, std::size_t count, std::size_t clusters, double spread, const double* unit, const double* weight_unit,
             double* out) noexcept {
    Reals total = reals(0.0);
    for (std::size_t k = 0; k < clusters; ++k) total = total + reals(real_of(sums, k * (count + 2) + count + 1) * per_sum_unit);
    out[0] = (total * reals(spread) * square(reals(*unit)) * reals(*weight_unit))[0];
}

// Two rounds of a mixer of 64 bits (splitmix64): enough for draws that anyone may repeat.
MC2_INLINE u64 mixed(u64 x) noexcept {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

void draw_row(const MomentRows& z, const double* weights, const double* distances, const u8* present, u64 key, double* centre) noexcept {
    // Whoever's share / -log(u) is greatest wins, with a chance in proportion to its share.
    Reals best = reals(-1.0);
    Lanes64 winner{};
    for (std::size_t i = 0; i < z.rows; i += lanes) {
        Lanes64 word;
        for (std::size_t l = 0; l < lanes; ++l) word[l] = static_cast<i64>(mixed(key ^ mixed(i + l)) >> 13);
        const Reals u = (real(word) + reals(0.5)) * reals(0x1p-51);
        const Reals share = tidy(load(weights + i) * load(distances + i)) * reciprocal(reals(0.0) - logarithm(u));
        const Reals chance = choose(load_marks(present + i), share, reals(-1.0));
        const Lanes64 better = above(chance, best);
        best = choose(better, chance, best);
        winner = (better & static_cast<i64>(i)) | (~better & winner);
    }
    for (std::size_t l = 0; l < lanes; ++l) winner[l] += static_cast<i64>(l);
    Reals most = reals(best[0]);
    Lanes64 place = Lanes64{} + winner[0];
    for (std::size_t l = 1; l < lanes; ++l) {
        const Reals other = reals(best[l]);
        const Lanes64 at = Lanes64{} + winner[l];
        const Lanes64 better = above(other, most) | (equal(other, most) & is_less(at, place));
        most = choose(better, other, most);
        place = (better & at) | (~better & place);
    }
    for (std::size_t j = 0; j < z.count; ++j) {
        Lanes64 found{}, at = {0, 1, 2, 3};
        for (std::size_t i = 0; i < z.rows; i += lanes) {
            found |= same(at, place) & bits_of(load(z.columns + j * z.stride + i));
            at += lanes;
        }
        const i64 bits = found[0] | found[1] | found[2] | found[3];
        std::memcpy(centre + j, &bits, sizeof bits);
    }
}

void closer(const MomentRows& z, const double* centre, const u8* present, double* distances) noexcept {
    in_parts(z.rows, parts_for(z.rows), [&](std::size_t first, std::size_t last, unsigned) {
        for (std::size_t i = first; i < last; i += lanes) {
            store(distances + i, keep(load_marks(present + i), least_of(load(distances + i), distance_to(z, i, centre))));
        }
    });
}

void keep_better(const double* others, const double* other_inertia, std::size_t count, double* values, double* best) noexcept {
    const Lanes64 better = above(reals(*best), reals(*other_inertia));
    for (std::size_t i = 0; i < count; ++i) values[i] = choose(better, reals(others[i]), reals(values[i]))[0];
    *best = choose(better, reals(*other_inertia), reals(*best))[0];
}

void restore_centres(const double* centres, const double* shifts, const double* unit, std::size_t count, std::size_t clusters,
                     double* out) noexcept {
    for (std::size_t k = 0; k < clusters; ++k) {
        for (std::size_t j = 0; j < count; ++j) out[k * count + j] = centres[k * count + j] * *unit + shifts[j];
    }
}

}  // namespace

extern const MomentsKernels moments_table;
const MomentsKernels moments_table = {extents,      scales,        standardise,   gram,        projections, quotients,   margins,
                                      residuals,    logistic,      losses,        probabilities, check_classes, penalties, solve,
                                      add,          advance,       restore_factors, nearest_centres, cluster_sums, move_centres, inertia,
                                      draw_row,     closer,        keep_better,   restore_centres};

}  // namespace mc2::oblivious::MC2_ISA
