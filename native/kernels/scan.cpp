#include "mc2/scan.hpp"

#include <bit>
#include <cstddef>

#include "mc2/lanes.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {


MC2_INLINE u128 wide(u64 low, i64 high) noexcept { return (static_cast<u128>(static_cast<u64>(high)) << 64) | low; }
MC2_INLINE u64 yes(u8 mark) noexcept { return Mask::from_bit(mark).word(); }

void starts_of(const u64* const* columns, std::size_t count, std::size_t rows, u8* out) noexcept {
    if (rows == 0) return;
    out[0] = 1;
    for (std::size_t i = 1; i < rows; ++i) {
        u64 difference = 0;
        for (std::size_t c = 0; c < count; ++c) difference |= columns[c][i] ^ columns[c][i - 1];
        out[i] = (Secret(difference) != Secret(u64{0})).byte();
    }
}

void ends_of(const u8* starts, std::size_t rows, u8* out) noexcept {
    if (rows == 0) return;
    for (std::size_t i = 0; i + 1 < rows; ++i) out[i] = starts[i + 1] & 1;
    out[rows - 1] = 1;
}

void count_rows(const u8* starts, const u8* keep, std::size_t rows, u64* out) noexcept {
    u64 sum = 0;
    for (std::size_t i = 0; i < rows; ++i) out[i] = sum = (sum & ~yes(starts[i])) + (keep[i] & 1);
}

void sum_words(const u8* starts, const u8* keep, const i64* values, std::size_t rows, u64* low, i64* high) noexcept {
    u128 sum = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 old = ~yes(starts[i]), counts = yes(keep[i]);
        sum &= wide(old, static_cast<i64>(old));
        sum += static_cast<u128>(static_cast<i128>(static_cast<i64>(static_cast<u64>(values[i]) & counts)));
        low[i] = static_cast<u64>(sum);
        high[i] = static_cast<i64>(sum >> 64);
    }
}

void sum_wide(const u8* starts, const u8* keep, const u64* in_low, const i64* in_high, std::size_t rows, u64* low,
              i64* high, u64* flags) noexcept {
    Flags raised;
    Secret<i128> sum(0);
    for (std::size_t i = 0; i < rows; ++i) {
        const Mask counts = Mask::from_bit(keep[i]);
        sum = keep_if(~Mask::from_bit(starts[i]), sum);
        const auto addend = keep_if(counts, Secret<i128>::from_bits(wide(in_low[i], in_high[i])));
        sum = checked_add(sum, addend, raised, counts);
        low[i] = static_cast<u64>(sum.bits());
        high[i] = static_cast<i64>(sum.bits() >> 64);
    }
    raised.raise_in(flags);
}

void sum_doubles(const u8* starts, const u8* keep, const double* values, std::size_t rows, double* out) noexcept {
    double sum = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 old = std::bit_cast<u64>(sum) & ~yes(starts[i]);
        sum = std::bit_cast<double>(old) + std::bit_cast<double>(std::bit_cast<u64>(values[i]) & yes(keep[i]));
        out[i] = sum;
    }
}

void extremes(const u8* starts, const u8* keep, const i64* values, std::size_t rows, bool largest, i64* out) noexcept {
    // The largest x is the smallest ~x.
    const u64 turned = largest ? ~u64{0} : 0;
    const Secret<i64> none(static_cast<i64>(~u64{0} >> 1));
    Secret<i64> least = none;
    for (std::size_t i = 0; i < rows; ++i) {
        const Secret<i64> value(static_cast<i64>(static_cast<u64>(values[i]) ^ turned));
        least = select(Mask::from_bit(starts[i]), none, least);
        least = select(Mask::from_bit(keep[i]) & (value < least), value, least);
        out[i] = static_cast<i64>(least.bits() ^ turned);
    }
}

MC2_INLINE void carry(u64& value, u64& seen, u64 anew, u64 kept, u64 next) noexcept {
    value = ((value & ~anew) & ~kept) | (next & kept);
    seen = (seen & ~anew) | kept;
}

void fill_down(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept {
    u64 value = 0, have = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        carry(value, have, yes(starts[i]), yes(keep[i]), values[i]);
        out[i] = value;
        seen[i] = static_cast<u8>(have & 1);
    }
}

void fill_up(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept {
    u64 value = 0, have = 0, anew = ~u64{0};
    for (std::size_t i = rows; i-- > 0;) {
        const u64 first = yes(starts[i]);  // read before out[i] is written: they may be one array
        carry(value, have, anew, yes(keep[i]), values[i]);
        out[i] = value;
        seen[i] = static_cast<u8>(have & 1);
        anew = first;
    }
}

// Chunks of rows in the first-level cache, spread to words once; for each chunk all codes, a few at
// a time in registers. A code that does not count is none.
class ByCode {
public:
    static constexpr std::size_t chunk = 256, most = 256;

    // Adds rows [from, from + count) of values (or of ones, without values) to every code's lanes.
    void add(const u8* codes, const u8* keep, const i64* values, std::size_t count, std::size_t domain) noexcept {
        for (std::size_t i = 0; i < chunk; ++i) {
            const bool there = i < count;
            const u64 value = there && values != nullptr ? static_cast<u64>(values[i]) : u64{there};
            code_[i] = there ? codes[i] | ~yes(keep[i]) : ~u64{0};
            low_[i] = value & 0xffffffff;
            high_[i] = static_cast<u64>(static_cast<i64>(value) >> 32);
        }
        for (std::size_t first = 0; first < domain; first += at_once) {
            V low[at_once], high[at_once];
#pragma GCC unroll 4
            for (std::size_t c = 0; c < at_once; ++c) {
                low[c] = load(sums_[first + c]);
                high[c] = load(sums_[first + c] + 4);
            }
            for (std::size_t i = 0; i < chunk; i += 4) {
                const V code = load(code_ + i), x = load(low_ + i), y = load(high_ + i);
#pragma GCC unroll 4
                for (std::size_t c = 0; c < at_once; ++c) {
                    const V mine = equal64(code, all64(first + c));
                    low[c] = add64(low[c], both(x, mine));
                    high[c] = add64(high[c], both(y, mine));
                }
            }
#pragma GCC unroll 4
            for (std::size_t c = 0; c < at_once; ++c) {
                store(sums_[first + c], low[c]);
                store(sums_[first + c] + 4, high[c]);
            }
        }
    }

    // Less than 2^31 addends of 32 bits: no lane overflows.
    u128 total(std::size_t code) const noexcept {
        u128 sum = 0;
        for (std::size_t lane = 0; lane < 4; ++lane) {
            sum += sums_[code][lane];
            sum += static_cast<u128>(static_cast<i128>(static_cast<i64>(sums_[code][4 + lane]))) << 32;
        }
        return sum;
    }

private:
    static constexpr std::size_t at_once = 4;
    u64 code_[chunk], low_[chunk], high_[chunk];
    u64 sums_[most][8] = {};
};

u64 flag_codes_outside(const u8* codes, const u8* keep, std::size_t rows, std::size_t domain) noexcept {
    Flags raised;
    u64 flags = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        raised.raise(Flag::out_of_domain, Mask::from_bit(keep[i]) & (Secret<u64>(codes[i]) >= Secret<u64>(domain)));
    }
    raised.raise_in(&flags);
    return flags;
}

void add_all(ByCode& sums, const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain) noexcept {
    for (std::size_t i = 0; i < rows; i += ByCode::chunk) {
        const std::size_t left = rows - i < ByCode::chunk ? rows - i : ByCode::chunk;
        sums.add(codes + i, keep + i, values != nullptr ? values + i : nullptr, left, domain);
    }
}

void sums_by_code(const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain, u64* low,
                  i64* high, u64* flags) noexcept {
    ByCode sums;
    add_all(sums, codes, keep, values, rows, domain);
    for (std::size_t c = 0; c < domain; ++c) {
        low[c] = static_cast<u64>(sums.total(c));
        high[c] = static_cast<i64>(sums.total(c) >> 64);
    }
    *flags |= flag_codes_outside(codes, keep, rows, domain);
}

void counts_by_code(const u8* codes, const u8* keep, std::size_t rows, std::size_t domain, u64* out, u64* flags) noexcept {
    ByCode sums;
    add_all(sums, codes, keep, nullptr, rows, domain);
    for (std::size_t c = 0; c < domain; ++c) out[c] = static_cast<u64>(sums.total(c));
    *flags |= flag_codes_outside(codes, keep, rows, domain);
}

}  // namespace

extern const ScanKernels scan_table;
const ScanKernels scan_table = {starts_of, ends_of,   count_rows,    sum_words,       sum_wide,     sum_doubles,   extremes,
                                fill_down, fill_up,   sums_by_code, counts_by_code};

}  // namespace mc2::oblivious::MC2_ISA
