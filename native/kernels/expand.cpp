// Krastnikov, Kerschbaum and Stebila's expansion: rows with copies move together, then each to the
// place of its first copy, then fill the places behind it.
#include "mc2/expand.hpp"

#include <cstddef>

#include "mc2/compact.hpp"
#include "mc2/families.hpp"
#include "mc2/pool.hpp"
#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr u64 nowhere = ~u64{0} >> 32;

// A row with its first copy's place behind it, and a mark for rows with copies within the bound.
Secret<u64> place_rows(const u64* rows, std::size_t width, std::size_t count, const u64* counts, std::size_t bound,
                       u64* placed, u8* keep) noexcept {
    // More copies than the bound need not be told apart, and then no sum overflows.
    const Secret<u64> most(bound + 1), none(nowhere);
    Secret<u64> next(0);
    for (std::size_t i = 0; i < count; ++i) {
        u64* const row = placed + i * (width + 1);
        for (std::size_t w = 0; w < width; ++w) row[w] = rows[i * width + w];
        const Secret<u64> copies = smaller(Secret(counts[i]), most);
        const Mask here = (copies != Secret(u64{0})) & (next < Secret<u64>(bound));
        row[width] = select(here, next, none).bits();
        keep[i] = here.byte();
        next = smaller(next + copies, most);
    }
    return next;
}

void fill(const u64* placed, const u32* to, std::size_t width, std::size_t bound, Secret<u64> total, u64* out, u64* copy,
          u8* valid) noexcept {
    Secret<u64> number(0);
    for (std::size_t i = 0; i < bound; ++i) {
        const Mask first = Secret<u64>(to[i]) == Secret<u64>(i), there = Secret<u64>(i) < total;
        number = select(first, Secret(u64{0}), number + Secret(u64{1}));
        const u64 kept = first.word(), real = there.word();
        for (std::size_t w = 0; w < width; ++w) {
            const u64 before = i == 0 ? 0 : out[(i - 1) * width + w];
            out[i * width + w] = (((before & ~kept) | (placed[i * (width + 1) + w] & kept))) & real;
        }
        copy[i] = number.bits() & real;
        valid[i] = there.byte();
    }
}

void expand_rows(const u64* rows, std::size_t width, std::size_t count, const u64* counts, u64* out, std::size_t bound,
                 u64* copy, u8* valid, u64* flags) {
    const std::size_t room = count > bound ? count : bound;
    const Scratch work(room * (width + 1) * sizeof(u64) + 64), marks(count + 64), places(bound * sizeof(u32) + 64);
    u64* const placed = work.as<u64>();
    const Secret<u64> total = place_rows(rows, width, count, counts, bound, placed, marks.as<u8>());
    kernels::compact().compact(placed, width + 1, count, marks.as<u8>());
    u32* const to = places.as<u32>();
    for (std::size_t i = 0; i < bound; ++i) {
        to[i] = static_cast<u32>(i < count ? placed[i * (width + 1) + width] : nowhere);
    }
    kernels::compact().distribute(placed, width + 1, bound, to);
    fill(placed, to, width, bound, smaller(total, Secret<u64>(bound)), out, copy, valid);
    Flags raised;
    raised.raise(Flag::bound_exceeded, total > Secret<u64>(bound));
    raised.raise_in(flags);
}

}  // namespace

extern const ExpandKernels expand_table;
const ExpandKernels expand_table = {expand_rows};

}  // namespace mc2::oblivious::MC2_ISA
