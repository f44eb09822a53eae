#include "mc2/scan.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

#include "mc2/lanes.hpp"
#include "mc2/secret.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

MC2_INLINE u128 wide(u64 low, i64 high) noexcept { return (static_cast<u128>(static_cast<u64>(high)) << 64) | low; }
MC2_INLINE u64 yes(u8 mark) noexcept { return Mask::from_bit(mark).word(); }

void starts_of(const u64* const* columns, std::size_t count, std::size_t rows, u8* out) noexcept {
    if (rows == 0) return;
    out[0] = 1;
    cut_over_threads(rows - 1, rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from + 1; i < to + 1; ++i) {
            u64 difference = 0;
            for (std::size_t c = 0; c < count; ++c) difference |= columns[c][i] ^ columns[c][i - 1];
            out[i] = (Secret(difference) != Secret(u64{0})).byte();
        }
    });
}

void ends_of(const u8* starts, std::size_t rows, u8* out) noexcept {
    if (rows == 0) return;
    cut_over_threads(rows - 1, rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) out[i] = starts[i + 1] & 1;
    });
    out[rows - 1] = 1;
}

// --- what the rows before a share leave: that of the group which its first row may continue. Shares
// begin at multiples of eight rows.

constexpr std::size_t lanes = words_in_vector;

MC2_INLINE u64 eight(const u8* marks) noexcept {
    u64 word;
    std::memcpy(&word, marks, sizeof word);
    return word & 0x0101010101010101;
}

// The last marked row of [0, to), 0 if there is none: a secret number.
Secret<u64> last_marked(const u8* marks, std::size_t to) noexcept {
    Secret<u64> word(0), at(0);
    for (std::size_t i = 0; i < to; i += 8) {
        const Secret<u64> here(eight(marks + i));
        const Mask any = here != Secret(u64{0});
        word = select(any, here, word);
        at = select(any, Secret<u64>(i), at);
    }
    Secret<u64> last = at;
    for (unsigned b = 1; b < 8; ++b) last = select(Mask::from_bit(word.bits() >> (8 * b)), at + Secret<u64>(b), last);
    return last;
}

// f(i, row, mask) for each `lanes` rows of [0, to): which of them count, of the group of row to - 1.
template <typename F>
MC2_INLINE void of_last_group(const u8* starts, const u8* keep, std::size_t to, F f) noexcept {
    const V before = all64(last_marked(starts, to).bits() - 1);
    V row = words(0, 1, 2, 3);
    for (std::size_t i = 0; i < to; i += lanes) {
        f(i, row, both(greater64(row, before), marked(keep + i)));
        row = add64(row, all64(lanes));
    }
}

MC2_INLINE u64 sum_of(V v) noexcept {
    u64 lane[lanes];
    store(lane, v);
    return lane[0] + lane[1] + lane[2] + lane[3];
}

void count_rows(const u8* starts, const u8* keep, std::size_t rows, u64* out) noexcept {
    cut_scan(rows, [=](std::size_t from, std::size_t to) {
        V before = all64(0);
        of_last_group(starts, keep, from, [&](std::size_t, V, V mask) { before = sub64(before, mask); });
        u64 sum = sum_of(before);
        for (std::size_t i = from; i < to; ++i) out[i] = sum = (sum & ~yes(starts[i])) + (keep[i] & 1);
    });
}

// The sum of the last group's values, exact: the lower and the upper halves of words apart.
u128 sum_before(const u8* starts, const u8* keep, const i64* values, std::size_t to) noexcept {
    const V half = all64(0xffffffff), sign = all64(u64{1} << 31);
    V low = all64(0), high = all64(0);
    of_last_group(starts, keep, to, [&](std::size_t i, V, V mask) {
        const V value = load(values + i);
        low = add64(low, both(both(value, half), mask));
        const V upper = sub64(differ(right64(value, 32), sign), sign);
        high = add64(high, both(upper, mask));
    });
    return static_cast<u128>(sum_of(low)) + (static_cast<u128>(static_cast<i128>(static_cast<i64>(sum_of(high)))) << 32);
}

void sum_words(const u8* starts, const u8* keep, const i64* values, std::size_t rows, u64* low, i64* high) noexcept {
    cut_scan(rows, [=](std::size_t from, std::size_t to) {
        u128 sum = sum_before(starts, keep, values, from);
        for (std::size_t i = from; i < to; ++i) {
            const u64 old = ~yes(starts[i]), counts = yes(keep[i]);
            sum &= wide(old, static_cast<i64>(old));
            sum += static_cast<u128>(static_cast<i128>(static_cast<i64>(static_cast<u64>(values[i]) & counts)));
            low[i] = static_cast<u64>(sum);
            high[i] = static_cast<i64>(sum >> 64);
        }
    });
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

constexpr u64 greatest = ~u64{0} >> 1;

// The smallest value of the last group, as `extremes` has it.
Secret<i64> least_before(const u8* starts, const u8* keep, const i64* values, std::size_t to, u64 turned) noexcept {
    V least = all64(greatest);
    of_last_group(starts, keep, to, [&](std::size_t i, V, V mask) {
        const V value = differ(load(values + i), all64(turned));
        least = choose(least, value, both(mask, greater64(least, value)));
    });
    u64 lane[lanes];
    store(lane, least);
    Secret<i64> found(static_cast<i64>(lane[0]));
    for (std::size_t l = 1; l < lanes; ++l) found = smaller(found, Secret<i64>(static_cast<i64>(lane[l])));
    return found;
}

void extremes(const u8* starts, const u8* keep, const i64* values, std::size_t rows, bool largest, i64* out) noexcept {
    // The largest x is the smallest ~x.
    const u64 turned = largest ? ~u64{0} : 0;
    const Secret<i64> none(static_cast<i64>(greatest));
    cut_scan(rows, [=](std::size_t from, std::size_t to) {
        Secret<i64> least = least_before(starts, keep, values, from, turned);
        for (std::size_t i = from; i < to; ++i) {
            const Secret<i64> value(static_cast<i64>(static_cast<u64>(values[i]) ^ turned));
            least = select(Mask::from_bit(starts[i]), none, least);
            least = select(Mask::from_bit(keep[i]) & (value < least), value, least);
            out[i] = static_cast<i64>(least.bits() ^ turned);
        }
    });
}

// A value that goes along, and all ones if there is one.
struct Carried {
    u64 value, have;
};

MC2_INLINE void carry(Carried& c, u64 anew, u64 kept, u64 next) noexcept {
    c.value = ((c.value & ~anew) & ~kept) | (next & kept);
    c.have = (c.have & ~anew) | kept;
}

// Of each lane's last value, that of the last row; `at` is ~0 in lanes without one.
MC2_INLINE Carried latest(V value, V at) noexcept {
    u64 values[lanes], places[lanes];
    store(values, value);
    store(places, at);
    Secret<i64> last(-1);
    Carried found{0, 0};
    for (std::size_t l = 0; l < lanes; ++l) {
        const Secret<i64> place(static_cast<i64>(places[l]));
        const Mask later = place > last;
        carry(found, 0, later.word(), values[l]);
        last = select(later, place, last);
    }
    return found;
}

Carried kept_before(const u8* starts, const u8* keep, const u64* values, std::size_t to) noexcept {
    V value = all64(0), at = all64(~u64{0});
    of_last_group(starts, keep, to, [&](std::size_t i, V row, V mask) {
        value = choose(value, load(values + i), mask);
        at = choose(at, row, mask);
    });
    return latest(value, at);
}

void fill_down(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept {
    cut_scan(rows, [=](std::size_t from, std::size_t to) {
        Carried c = kept_before(starts, keep, values, from);
        for (std::size_t i = from; i < to; ++i) {
            carry(c, yes(starts[i]), yes(keep[i]), values[i]);
            out[i] = c.value;
            seen[i] = static_cast<u8>(c.have & 1);
        }
    });
}

void fill_up(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept {
    Carried c{0, 0};
    u64 anew = ~u64{0};
    for (std::size_t i = rows; i-- > 0;) {
        const u64 first = yes(starts[i]);  // read before out[i] is written: they may be one array
        carry(c, anew, yes(keep[i]), values[i]);
        out[i] = c.value;
        seen[i] = static_cast<u8>(c.have & 1);
        anew = first;
    }
}

// Chunks of rows in the first-level cache, spread to words once; for each chunk all codes, a few at
// a time in registers. A code that does not count is none.
class ByCode {
public:
    static constexpr std::size_t chunk = 256, most = 256;
    u64 raised;

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
    u64 sums_[most][8];
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

// Each share's sums, and what each raises; the caller adds them up.
class ByCodeShares {
public:
    ByCodeShares(const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain)
        : parts_(parts_for(rows)), memory_(parts_ * sizeof(ByCode)), sums_(memory_.as<ByCode>()) {
        std::memset(static_cast<void*>(sums_), 0, parts_ * sizeof(ByCode));  // sums of nothing
        cut_over_shares(codes, keep, values, rows, domain);
    }
    u128 total(std::size_t code) const noexcept {
        u128 sum = 0;
        for (unsigned p = 0; p < parts_; ++p) sum += sums_[p].total(code);
        return sum;
    }
    u64 flags() const noexcept {
        u64 all = 0;
        for (unsigned p = 0; p < parts_; ++p) all |= sums_[p].raised;
        return all;
    }

private:
    void cut_over_shares(const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain) noexcept {
        const unsigned parts = parts_;
        over_shares(parts, [=](unsigned part) { return share_of(rows, part, parts); },
                    [=, this](std::size_t from, std::size_t to, unsigned part) {
            for (std::size_t i = from; i < to; i += ByCode::chunk) {
                const std::size_t left = to - i < ByCode::chunk ? to - i : ByCode::chunk;
                sums_[part].add(codes + i, keep + i, values != nullptr ? values + i : nullptr, left, domain);
            }
            sums_[part].raised = flag_codes_outside(codes + from, keep + from, to - from, domain);
        });
    }

    unsigned parts_;
    Scratch memory_;
    ByCode* sums_;
};

void sums_by_code(const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain, u64* low,
                  i64* high, u64* flags) {
    const ByCodeShares sums(codes, keep, values, rows, domain);
    for (std::size_t c = 0; c < domain; ++c) {
        low[c] = static_cast<u64>(sums.total(c));
        high[c] = static_cast<i64>(sums.total(c) >> 64);
    }
    *flags |= sums.flags();
}

void counts_by_code(const u8* codes, const u8* keep, std::size_t rows, std::size_t domain, u64* out, u64* flags) {
    const ByCodeShares sums(codes, keep, nullptr, rows, domain);
    for (std::size_t c = 0; c < domain; ++c) out[c] = static_cast<u64>(sums.total(c));
    *flags |= sums.flags();
}

}  // namespace

extern const ScanKernels scan_table;
const ScanKernels scan_table = {starts_of, ends_of,   count_rows,    sum_words,       sum_wide,     sum_doubles,   extremes,
                                fill_down, fill_up,   sums_by_code, counts_by_code};

}  // namespace mc2::oblivious::MC2_ISA
