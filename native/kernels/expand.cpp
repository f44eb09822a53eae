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

    // Of rows [from, to). Sums of so few rows fit.
    u64 sum(std::size_t from, std::size_t to) const noexcept {
        u64 found = 0;
        for (std::size_t i = from; i < to; ++i) found += copies(i).bits();
        return found;
    }
    // Of all rows, up to one more than the bound.
    Secret<u64> total(std::size_t rows) const noexcept {
        const unsigned parts = parts_for(rows);
        u64 sums[most_threads];
        u64* const each = sums;
        over_shares(parts, [=](unsigned part) { return share_of(rows, part, parts); },
                    [=, *this](std::size_t from, std::size_t to, unsigned part) { each[part] = sum(from, to); });
        u64 all = 0;
        for (unsigned part = 0; part < parts; ++part) all += value_barrier(sums[part]);
        return smaller(Secret(all), most());
    }
    // Where the first copy of row `to` goes.
    Secret<u64> next(std::size_t to) const noexcept { return smaller(Secret(sum(0, to)), most()); }
    // How many of the rows before `to` have copies.
    u32 with_copies(std::size_t to) const noexcept {
        u32 number = 0;
        for (std::size_t i = 0; i < to; ++i) number += static_cast<u32>((Secret(counts[i]) != Secret(u64{0})).word() & 1);
        return number;
    }
    // Each row's first place, if that is within the bound, and how many rows with copies stand before it:
    // those are in the order of their places, so what is beyond the bound comes last among them.
    // Gives how many there are before row `to`.
    u32 write(std::size_t from, std::size_t to, u64* first, u32* before) const noexcept {
        Secret<u64> place = next(from);
        u32 number = with_copies(from);
        for (std::size_t i = from; i < to; ++i) {
            const Secret<u64> here = copies(i);
            const Mask some = here != Secret(u64{0});
            first[i] = select(some & (place < Secret<u64>(bound)), place, Secret(nowhere)).bits();
            before[i] = number;
            number += static_cast<u32>(some.word() & 1);
            place = smaller(place + here, most());
        }
        return number;
    }
};

// What each share's last row left, where the share had none of its own: a row of words, the last of which
// says whether there is one, for each share.
MC2_APART void pass_on(u64* carried, unsigned parts, std::size_t apart) noexcept {
    for (unsigned part = 1; part < parts; ++part) {  // nothing comes before share 0
        u64 *const before = carried + (part - 1) * apart, *const here = carried + part * apart;
        const u64 kept = here[apart - 1];
        // A word after the other: for so few the compiler would write loops over vectors that never run.
        for (std::size_t w = 0; w < apart; ++w) here[w] = value_barrier(before[w] & ~kept) | (here[w] & kept);
    }
}

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
        u64* const carried = memory.as<u64>();
        std::memset(carried, 0, parts * apart * sizeof(u64));  // nothing reaches place 0
        const auto begins = [=](unsigned part) { return share_of(bound, part, parts); };
        if (parts > 1) {
            over_shares(parts - 1, begins, [&](std::size_t from, std::size_t end, unsigned part) {
                last(from, end, carried + (part + 1) * apart);
            });
        }
        pass_on(carried, parts, apart);
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
    const Scratch targets(room * sizeof(u64)), numbers((count + 1) * sizeof(u32)), halves(bound * sizeof(u32));
    const Scratch more(count > bound ? count * width * sizeof(u64) : 0);
    u64 *const first = targets.as<u64>(), *const moved = count > bound ? more.as<u64>() : out;
    u32* const before = numbers.as<u32>();
    cut_scan(count, [=](std::size_t from, std::size_t to) {
        const u32 number = places.write(from, to, first, before);
        if (to == count) before[count] = number;
    });
    const Secret<u64> total = places.total(count);

    copy_words(rows, moved, count, width);
    kernels::compact().compact_counted(moved, width, count, before);
    kernels::compact().compact_counted(first, 1, count, before);
    if (count > bound) copy_words(moved, out, bound, width);
    u32* const to = halves.as<u32>();
    cut_over_threads(bound, [=](std::size_t from, std::size_t end) {
        std::size_t i = from;
        for (const std::size_t there = end < count ? end : count; i < there; ++i) to[i] = static_cast<u32>(first[i]);
        for (; i < end; ++i) to[i] = static_cast<u32>(nowhere);
    });
    kernels::compact().distribute(out, width, bound, to);
    fill(out, to, width, bound, smaller(total, Secret<u64>(bound)), copy, valid);
    Flags raised;
    raised.raise(Flag::bound_exceeded, total > Secret<u64>(bound));
    raised.raise_in(flags);
}

// --- the pairs of two sides

// How many rows of each side there are: the left ones above.
MC2_INLINE u64 sides_of(u8 left, u8 right) noexcept { return (static_cast<u64>(left & 1) << half) + (right & 1); }
MC2_INLINE u64 lefts_in(u64 sides) noexcept { return sides >> half; }
MC2_INLINE u64 rights_in(u64 sides) noexcept { return sides & nowhere; }

// What a share tells the others of its groups: the rows before its first start and those behind its last
// one, which are the same where nothing starts, and how many pairs the groups in between have.
struct Groups {
    u64 first, last, starts, pairs;
};

struct Pairs {
    const u8 *starts, *lefts, *rights;
    std::size_t bound;
    u64 *left_copies, *right_copies, *seats;

    Groups groups(std::size_t from, std::size_t to) const noexcept {
        Groups all{0, 0, 0, 0};
        for (std::size_t i = from; i < to; ++i) {
            const u64 anew = Mask::from_bit(starts[i]).word();
            all.first |= all.last & anew & ~all.starts;
            all.pairs += (lefts_in(all.last) * rights_in(all.last)) & anew & all.starts;
            all.last = (all.last & ~anew) + sides_of(lefts[i], rights[i]);
            all.starts |= anew;
        }
        all.first = (all.first & all.starts) | (all.last & ~all.starts);
        return all;
    }

    // Of the group, the rows of both sides from each row on; `behind`: from row `to` on.
    void count_behind(std::size_t from, std::size_t to, u64 behind) const noexcept {
        for (std::size_t i = to; i-- > from;) {
            behind += sides_of(lefts[i], rights[i]);
            right_copies[i] = behind;
            behind &= ~Mask::from_bit(starts[i]).word();
        }
    }

    // `rank`: right rows of the group before row `from`. `before`: pairs before it.
    void write(std::size_t from, std::size_t to, u64 rank, u64 before) const noexcept {
        const Secret<u64> most(bound + 1);
        Secret<u64> pairs = smaller(Secret(before), most);
        for (std::size_t i = from; i < to; ++i) {
            rank &= ~Mask::from_bit(starts[i]).word();
            const u64 from_here = right_copies[i], many_right = rank + rights_in(from_here);
            const u64 mine = many_right & Mask::from_bit(lefts[i]).word();
            left_copies[i] = mine;
            right_copies[i] = lefts_in(from_here) & Mask::from_bit(rights[i]).word();
            seats[i] = (many_right << half) | (pairs.bits() + rank);
            rank += rights[i] & 1;
            pairs = smaller(pairs + Secret(mine), most);
        }
    }
};

// Of a group that goes over several shares: the rows before each share, and those behind it.
struct Around {
    u64 before, behind, pairs;
};

void look_around(const Groups* groups, unsigned parts, Around* around) noexcept {
    u64 before = 0, behind = 0, pairs = 0;
    for (unsigned part = parts; part-- > 0;) {
        around[part].behind = behind;
        behind = groups[part].first + (behind & ~groups[part].starts);
    }
    for (unsigned part = 0; part < parts; ++part) {
        const Groups& here = groups[part];
        const u64 whole = before + here.first + (around[part].behind & ~here.starts);
        const u64 open = here.last + around[part].behind;
        around[part].before = before;
        around[part].pairs = pairs;
        // Each left row has all right rows of its group.
        pairs += here.pairs + lefts_in(here.first) * rights_in(whole) + ((lefts_in(here.last) * rights_in(open)) & here.starts);
        before = here.last + (before & ~here.starts);
    }
}

void count_pairs(const u8* starts, const u8* lefts, const u8* rights, std::size_t rows, std::size_t bound,
                 u64* left_copies, u64* right_copies, u64* seats) noexcept {
    const Pairs all{starts, lefts, rights, bound, left_copies, right_copies, seats};
    const unsigned parts = parts_for(rows);
    const auto begins = [=](unsigned part) { return share_of(rows, part, parts); };
    Groups groups[most_threads] = {};
    Around around[most_threads];
    Groups* const told = groups;
    if (parts > 1) {
        over_shares(parts, begins, [=](std::size_t from, std::size_t to, unsigned part) { told[part] = all.groups(from, to); });
    }
    look_around(groups, parts, around);
    const Around* const seen = around;
    over_shares(parts, begins, [=](std::size_t from, std::size_t to, unsigned part) {
        all.count_behind(from, to, seen[part].behind);
        all.write(from, to, rights_in(seen[part].before), seen[part].pairs);
    });
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
