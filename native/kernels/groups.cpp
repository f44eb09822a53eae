#include "mc2/groups.hpp"

#include <bit>

#include "mc2/arithmetic.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

void gather_bits(const u8* const* marks, std::size_t count, u64* out, std::size_t rows) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            u64 word = 0;
            for (std::size_t k = 0; k < count; ++k) word |= static_cast<u64>(marks[k][i] & 1) << k;
            out[i] = word;
        }
    });
}

void spread_bit(const u64* words, unsigned place, u8* out, std::size_t rows) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) out[i] = static_cast<u8>((words[i] >> place) & 1);
    });
}

void extreme_rows(const u8* starts, const u8* keep, const u64* values, const u64* flips, std::size_t width,
                  bool greatest, u64* out, std::size_t rows) noexcept {
    Mask seen = Mask::constant(false);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = values + i * width;
        u64* best = out + i * width;
        // Until the first kept row of the group there is nothing to beat.
        seen = seen & ~Mask::from_bit(starts[i]);
        Mask less = Mask::constant(false), equal = Mask::constant(true);
        for (std::size_t j = 0; j < width; ++j) {
            const Secret<u64> mine(row[j] ^ flips[j]), theirs((i == 0 ? 0 : best[j - width]) ^ flips[j]);
            less = less | (equal & (greatest ? theirs < mine : mine < theirs));
            equal = equal & (mine == theirs);
        }
        const Mask kept = Mask::from_bit(keep[i]);
        const u64 takes = (kept & (less | ~seen)).word(), holds = seen.word();
        for (std::size_t j = 0; j < width; ++j) {
            const u64 before = i == 0 ? 0 : best[j - width];
            best[j] = (takes & row[j]) | (~takes & holds & before);
        }
        seen = seen | kept;
    }
}

// --- exact sums of doubles

// A double is a whole number of 2^-1074. Bits 0 to 2097 hold one; 35 words hold any sum of 2^63 of
// them, in two's complement. (Kulisch's long accumulator.)
constexpr unsigned limbs = 35;
constexpr unsigned mantissa_bits = 52;
constexpr u64 implicit_bit = u64{1} << mantissa_bits;
constexpr u64 exponent_mask = 0x7ff;

struct Accumulator {
    u64 words[limbs];
    Mask nan, plus_infinity, minus_infinity;
};

// Shifts by a secret amount, one bit of it after the other.
MC2_INLINE u128 shift_left(u128 value, Secret<u64> by) noexcept {
    Secret<u128> shifted(value);
    for (unsigned bit = 0; bit < 6; ++bit) {
        shifted = select(Mask::from_bit(by.bits() >> bit), shifted << (1u << bit), shifted);
    }
    return shifted.bits();
}

MC2_INLINE void clear_if(Mask when, Accumulator& sum) noexcept {
    const u64 kept = (~when).word();
    for (u64& word : sum.words) word &= kept;
    sum.nan = sum.nan & ~when;
    sum.plus_infinity = sum.plus_infinity & ~when;
    sum.minus_infinity = sum.minus_infinity & ~when;
}

MC2_INLINE void add(Accumulator& sum, double value, Mask keep) noexcept {
    const u64 bits = std::bit_cast<u64>(value);
    const Secret<u64> exponent((bits >> mantissa_bits) & exponent_mask);
    const Secret<u64> fraction(bits & (implicit_bit - 1));
    const Mask negative = Mask::from_bit(bits >> 63);
    const Mask special = exponent == Secret<u64>(exponent_mask);
    const Mask infinite = special & (fraction == Secret<u64>(0));
    sum.nan = sum.nan | (keep & special & ~infinite);
    sum.plus_infinity = sum.plus_infinity | (keep & infinite & ~negative);
    sum.minus_infinity = sum.minus_infinity | (keep & infinite & negative);

    // Numbers of exponent 0 have no implicit bit and stand where those of exponent 1 do.
    const Mask normal = exponent != Secret<u64>(0);
    const Secret<u64> whole = fraction + keep_if(normal, Secret<u64>(implicit_bit));
    const Secret<u64> place = exponent - keep_if(normal, Secret<u64>(1));
    const u128 shifted = shift_left(keep_if(keep & ~special, whole).bits(), place & Secret<u64>(63));
    const Secret<u64> limb = place >> 6;
    const u64 low = static_cast<u64>(shifted), high = static_cast<u64>(shifted >> 64);
    // Subtracting is adding the complement, and one.
    const u64 complement = negative.word();
    u64 carry = complement & 1;
    for (u64 i = 0; i < limbs; ++i) {
        const u64 part = ((limb == Secret<u64>(i)).word() & low) | ((limb + Secret<u64>(1) == Secret<u64>(i)).word() & high);
        const u128 total = static_cast<u128>(sum.words[i]) + (part ^ complement) + carry;
        sum.words[i] = static_cast<u64>(total);
        carry = static_cast<u64>(total >> 64);
    }
}

// The number of zeros above the highest one of a word that is not zero.
MC2_INLINE Secret<u64> leading_zeros(Secret<u64> word) noexcept {
    Secret<u64> zeros(0);
    for (unsigned step = 32; step > 0; step /= 2) {
        const Mask low = (word >> (64 - step)) == Secret<u64>(0);
        zeros = zeros + keep_if(low, Secret<u64>(step));
        word = select(low, word << step, word);
    }
    return zeros;
}

MC2_INLINE double rounded(const Accumulator& sum) noexcept {
    const Mask negative = Mask::from_bit(sum.words[limbs - 1] >> 63);
    const u64 complement = negative.word();
    // The highest word that is not zero, the one below it, and whether anything is below both.
    u64 carry = complement & 1, first = 0;
    Secret<u64> top(0), next(0), below(0), at(0), previous(0), lower(0);
    for (u64 i = 0; i < limbs; ++i) {
        const u128 total = static_cast<u128>(sum.words[i] ^ complement) + carry;
        const Secret<u64> word(static_cast<u64>(total));
        carry = static_cast<u64>(total >> 64);
        const Mask highest = word != Secret<u64>(0);
        top = select(highest, word, top);
        next = select(highest, previous, next);
        below = select(highest, lower, below);
        at = select(highest, Secret<u64>(i), at);
        lower = lower | previous;
        previous = word;
        if (i == 0) first = word.bits();
    }
    const Secret<u64> zeros = leading_zeros(top);
    const u128 normalised = shift_left((static_cast<u128>(top.bits()) << 64) | next.bits(), zeros);
    const Secret<u64> place = (at << 6) + Secret<u64>(63) - zeros;  // of the highest bit

    // 53 bits are kept; the next one is a half, and all below it decide whether it is more.
    const Secret<u64> kept(static_cast<u64>(normalised >> (128 - 53)));
    const u128 rest = normalised << 53;
    const Mask half = Mask::from_bit(static_cast<u64>(rest >> 127));
    const u128 rest_below = rest << 1;
    const Mask more = (Secret<u64>(static_cast<u64>(rest_below)) != Secret<u64>(0)) |
                      (Secret<u64>(static_cast<u64>(rest_below >> 64)) != Secret<u64>(0)) | (below != Secret<u64>(0));
    const Mask up = half & (more | Mask::from_bit(kept.bits()));
    // The implicit bit, and a carry out of the fraction, count the exponent up by themselves.
    const Secret<u64> large = ((place - Secret<u64>(mantissa_bits)) << mantissa_bits) + kept + keep_if(up, Secret<u64>(1));
    const Mask small = (at == Secret<u64>(0)) & (Secret<u64>(first) < Secret<u64>(implicit_bit << 1));
    const Secret<u64> infinity(exponent_mask << mantissa_bits);
    Secret<u64> result = select(small, Secret<u64>(first), smaller(large, infinity));
    result = result | keep_if(negative, Secret<u64>(u64{1} << 63));

    result = select(sum.plus_infinity, infinity, result);
    result = select(sum.minus_infinity, infinity | Secret<u64>(u64{1} << 63), result);
    const Mask nan = sum.nan | (sum.plus_infinity & sum.minus_infinity);
    result = select(nan, Secret<u64>(u64{0x7ff8} << 48), result);
    return std::bit_cast<double>(result.bits());
}

void exact_sum(const u8* starts, const u8* keep, const double* values, double* out, std::size_t rows) noexcept {
    Accumulator sum = {};
    for (std::size_t i = 0; i < rows; ++i) {
        clear_if(Mask::from_bit(starts[i]), sum);
        add(sum, values[i], Mask::from_bit(keep[i]));
        out[i] = rounded(sum);
    }
}

static_assert(state_words == limbs + 1);

void read_state(const u64* words, Accumulator& sum) noexcept {
    for (unsigned i = 0; i < limbs; ++i) sum.words[i] = words[i];
    sum.nan = Mask::from_bit(words[limbs]);
    sum.plus_infinity = Mask::from_bit(words[limbs] >> 1);
    sum.minus_infinity = Mask::from_bit(words[limbs] >> 2);
}

void write_state(const Accumulator& sum, u64* words) noexcept {
    for (unsigned i = 0; i < limbs; ++i) words[i] = sum.words[i];
    words[limbs] = (sum.nan.word() & 1) | (sum.plus_infinity.word() & 2) | (sum.minus_infinity.word() & 4);
}

void exact_states(const u8* starts, const u8* keep, const double* values, u64* state, u64* out,
                  std::size_t rows) noexcept {
    Accumulator sum;
    read_state(state, sum);
    for (std::size_t i = 0; i < rows; ++i) {
        clear_if(Mask::from_bit(starts[i]), sum);
        add(sum, values[i], Mask::from_bit(keep[i]));
        write_state(sum, out + i * state_words);
    }
    write_state(sum, state);
}

void sum_states(const u8* starts, const u8* keep, const u64* states, double* out, std::size_t rows) noexcept {
    Accumulator sum = {};
    for (std::size_t i = 0; i < rows; ++i) {
        clear_if(Mask::from_bit(starts[i]), sum);
        const Mask kept = Mask::from_bit(keep[i]);
        Accumulator more;
        read_state(states + i * state_words, more);
        u64 carry = 0;
        for (unsigned j = 0; j < limbs; ++j) {
            const u128 total = static_cast<u128>(sum.words[j]) + (more.words[j] & kept.word()) + carry;
            sum.words[j] = static_cast<u64>(total);
            carry = static_cast<u64>(total >> 64);
        }
        sum.nan = sum.nan | (kept & more.nan);
        sum.plus_infinity = sum.plus_infinity | (kept & more.plus_infinity);
        sum.minus_infinity = sum.minus_infinity | (kept & more.minus_infinity);
        out[i] = rounded(sum);
    }
}

}  // namespace

extern const GroupsKernels groups_table;
const GroupsKernels groups_table = {gather_bits, spread_bit, extreme_rows, exact_sum, exact_states, sum_states};

}  // namespace mc2::oblivious::MC2_ISA
