// Krastnikov, Kerschbaum and Stebila's expansion: rows with copies move together, then each to the
// place of its first copy, then fill the places behind it.
#include "mc2/expand.hpp"

#include <cstddef>
#include <cstring>

#include "mc2/compact.hpp"
#include "mc2/families.hpp"
#include "mc2/secret.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr u64 nowhere = ~u64{0} >> 32;
constexpr unsigned half = 32;

// Rows from a first copy's place on: what they are copies of, and which one this is.
struct Places {
    const u64* counts;
    std::size_t bound;

    // More copies than the bound need not be told apart, and then no sum overflows.
    Secret<u64> most() const noexcept { return Secret<u64>(bound + 1); }
    Secret<u64> copies(std::size_t i) const noexcept { return smaller(Secret(counts[i]), most()); }

    // Where the first copy of row `to` goes. Sums of so few rows fit.
    Secret<u64> next(std::size_t to) const noexcept {
        u64 sum = 0;
        for (std::size_t i = 0; i < to; ++i) sum += copies(i).bits();
        return smaller(Secret(sum), most());
    }
    // Each row's first place, and a mark for rows with copies within the bound.
    void write(std::size_t from, std::size_t to, u64* first, u8* keep) const noexcept {
        Secret<u64> place = next(from);
        for (std::size_t i = from; i < to; ++i) {
            const Secret<u64> here = copies(i);
            const Mask kept = (here != Secret(u64{0})) & (place < Secret<u64>(bound));
            first[i] = select(kept, place, Secret(nowhere)).bits();
            keep[i] = kept.byte();
            place = smaller(place + here, most());
        }
    }
};

// W words a row; 0 means any width, given at run time, whose rows go through memory.
template <std::size_t W>
class Fill {
public:
    Fill(u64* rows, const u32* to, std::size_t width, Secret<u64> total, u64* copy, u8* valid) noexcept
        : rows_(rows), to_(to), width_(W != 0 ? W : width), total_(total), copy_(copy), valid_(valid) {}

    // The row whose copies reach place `end`, if it starts in [from, end): its words, its place, and a
    // mask. `last` has room for a row, and two words.
    void last(std::size_t from, std::size_t end, u64* last) const noexcept {
        u64 have = 0, place = 0;
        for (std::size_t i = from; i < end; ++i) {
            const u64 first = came(i);
            for (std::size_t w = 0; w < width_; ++w) last[w] = (last[w] & ~first) | (rows_[i * width_ + w] & first);
            place = (place & ~first) | (u64{i} & first);
            have |= first;
        }
        last[width_] = place;
        last[width_ + 1] = have;
    }

    // Places [from, end); `row` is the row whose copies reach `from`, and where that begins.
    void write(std::size_t from, std::size_t end, u64* row) const noexcept {
        u64 place = row[width_];
        if constexpr (W != 0) {
            u64 carry[W];
            for (std::size_t w = 0; w < W; ++w) carry[w] = row[w];
            for (std::size_t i = from; i < end; ++i) write_one(i, carry, place);
        } else {
            for (std::size_t i = from; i < end; ++i) write_one(i, row, place);
        }
    }

    // All places. A share's first places may be copies of a row of an earlier one.
    void all(std::size_t bound) const {
        const unsigned parts = parts_for(bound);
        const std::size_t apart = width_ + 2;
        const Scratch memory(parts * apart * sizeof(u64));
        u64* const carried = memory.as<u64>();  // zeros: nothing reaches place 0
        const auto begins = [=](unsigned part) { return share_of(bound, part, parts); };
        if (parts > 1) {
            over_shares(parts - 1, begins, [&](std::size_t from, std::size_t end, unsigned part) {
                last(from, end, carried + (part + 1) * apart);
            });
        }
        for (unsigned part = 2; part < parts; ++part) {
            u64 *const before = carried + (part - 1) * apart, *const here = carried + part * apart;
            const u64 kept = here[width_ + 1];
            for (std::size_t w = 0; w < apart; ++w) here[w] = (before[w] & ~kept) | (here[w] & kept);
        }
        over_shares(parts, begins, [&](std::size_t from, std::size_t end, unsigned part) {
            write(from, end, carried + part * apart);
        });
    }

private:
    // A row's first copy came to place i.
    MC2_INLINE u64 came(std::size_t i) const noexcept { return (Secret<u64>(to_[i]) == Secret<u64>(i)).word(); }

    MC2_INLINE void write_one(std::size_t i, u64* carry, u64& place) const noexcept {
        const u64 first = came(i), real = (Secret<u64>(i) < total_).word();
        u64* const out = rows_ + i * width_;
#pragma GCC unroll 4
        for (std::size_t w = 0; w < width_; ++w) {
            carry[w] = (carry[w] & ~first) | (out[w] & first);
            out[w] = carry[w] & real;
        }
        place = (place & ~first) | (u64{i} & first);
        copy_[i] = (i - place) & real;
        valid_[i] = static_cast<u8>(real & 1);
    }

    u64* const __restrict rows_;
    const u32* const __restrict to_;
    std::size_t width_;
    Secret<u64> total_;
    u64* const __restrict copy_;
    u8* const __restrict valid_;
};

void fill(u64* rows, const u32* to, std::size_t width, std::size_t bound, Secret<u64> total, u64* copy, u8* valid) {
    switch (width) {
        case 1: return Fill<1>(rows, to, width, total, copy, valid).all(bound);
        case 2: return Fill<2>(rows, to, width, total, copy, valid).all(bound);
        case 3: return Fill<3>(rows, to, width, total, copy, valid).all(bound);
        case 4: return Fill<4>(rows, to, width, total, copy, valid).all(bound);
        default: return Fill<0>(rows, to, width, total, copy, valid).all(bound);
    }
}

void copy_words(const u64* from, u64* to, std::size_t rows, std::size_t width) noexcept {
    cut_over_threads(rows, [=](std::size_t first, std::size_t end) {
        std::memcpy(to + first * width, from + first * width, (end - first) * width * sizeof(u64));
    });
}

void expand_rows(const u64* rows, std::size_t width, std::size_t count, const u64* counts, u64* out, std::size_t bound,
                 u64* copy, u8* valid, u64* flags) {
    const Places places{counts, bound};
    const std::size_t room = count > bound ? count : bound;
    const Scratch targets(room * sizeof(u64)), marks(count), halves(bound * sizeof(u32));
    const Scratch more(count > bound ? count * width * sizeof(u64) : 0);
    u64 *const first = targets.as<u64>(), *const moved = count > bound ? more.as<u64>() : out;
    u8* const keep = marks.as<u8>();
    cut_scan(count, [=](std::size_t from, std::size_t to) { places.write(from, to, first, keep); });
    const Secret<u64> total = places.next(count);

    copy_words(rows, moved, count, width);
    kernels::compact().compact(moved, width, count, keep);
    kernels::compact().compact(first, 1, count, keep);
    if (count > bound) copy_words(moved, out, bound, width);
    u32* const to = halves.as<u32>();
    cut_over_threads(bound, [=](std::size_t from, std::size_t end) {
        for (std::size_t i = from; i < end; ++i) to[i] = static_cast<u32>(i < count ? first[i] : nowhere);
    });
    kernels::compact().distribute(out, width, bound, to);
    fill(out, to, width, bound, smaller(total, Secret<u64>(bound)), copy, valid);
    Flags raised;
    raised.raise(Flag::bound_exceeded, total > Secret<u64>(bound));
    raised.raise_in(flags);
}

// --- the pairs of two sides

void count_pairs(const u8* starts, const u8* lefts, const u8* rights, std::size_t rows, std::size_t bound,
                 u64* left_copies, u64* right_copies, u64* seats) noexcept {
    // From the last row on: of the group, the left rows from here on above, the right ones below.
    u64 behind = 0, anew = ~u64{0};
    for (std::size_t i = rows; i-- > 0;) {
        behind = (behind & ~anew) + (static_cast<u64>(lefts[i] & 1) << half) + (rights[i] & 1);
        right_copies[i] = behind;
        anew = Mask::from_bit(starts[i]).word();
    }
    const Secret<u64> most(bound + 1);
    u64 rank = 0;
    Secret<u64> pairs(0);
    for (std::size_t i = 0; i < rows; ++i) {
        rank &= ~Mask::from_bit(starts[i]).word();
        const u64 from_here = right_copies[i], many_right = rank + (from_here & nowhere);
        const u64 mine = many_right & Mask::from_bit(lefts[i]).word();
        left_copies[i] = mine;
        right_copies[i] = (from_here >> half) & Mask::from_bit(rights[i]).word();
        seats[i] = (many_right << half) | (pairs.bits() + rank);
        rank += rights[i] & 1;
        pairs = smaller(pairs + Secret(mine), most);
    }
}

void seat_rows(const u64* seats, const u64* copy, const u8* valid, std::size_t rows, u64* out) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            const u64 place = (seats[i] & nowhere) + copy[i] * (seats[i] >> half);
            out[i] = place | (static_cast<u64>(valid[i] & 1) - 1);
        }
    });
}

}  // namespace

extern const ExpandKernels expand_table;
const ExpandKernels expand_table = {expand_rows, count_pairs, seat_rows};

}  // namespace mc2::oblivious::MC2_ISA
