// One pass over sorted rows: boundaries of groups, running aggregates, carried values.
//
// `starts` has a 1 at the first row of each group, `keep` a 1 at each row that counts (NULLs and
// padding do not). Running aggregates start anew at each start, so that the last row of a group has
// the group's aggregate. Without groups: starts = 1 0 0 0 ... Only bit 0 of a mark is looked at.
// No array that is written may be one that is read, but by `fill_backward`.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct ScanKernels {
    // out[i] = 1 where row i differs from row i - 1 in any of the columns, and at row 0.
    void (*starts)(const u64* const* columns, std::size_t count, std::size_t rows, u8* out) noexcept;
    // out[i] = 1 at the last row of each group.
    void (*ends)(const u8* starts, std::size_t rows, u8* out) noexcept;

    //   starts  1 0 0 1 0
    //   keep    1 0 1 1 1
    //   values  5 9 2 4 1
    //   sum     5 5 7 4 5        exact, in 128 bits: low and high word
    //   count   1 1 2 1 2
    void (*count)(const u8* starts, const u8* keep, std::size_t rows, u64* out) noexcept;
    void (*sum_i64)(const u8* starts, const u8* keep, const i64* values, std::size_t rows, u64* low, i64* high) noexcept;
    // Addends of 128 bits; raises Flag::overflow in *flags where a running sum does not fit.
    void (*sum_i128)(const u8* starts, const u8* keep, const u64* in_low, const i64* in_high, std::size_t rows,
                     u64* low, i64* high, u64* flags) noexcept;
    // Added one by one, in the order of the rows: the rounding depends on that order, the trace not.
    void (*sum_f64)(const u8* starts, const u8* keep, const double* values, std::size_t rows, double* out) noexcept;
    // The smallest, or the largest, as signed words; before the first kept row the greatest, or the
    // smallest, word there is. Doubles go through
    // `numbers.order_doubles` first.
    void (*extreme)(const u8* starts, const u8* keep, const i64* values, std::size_t rows, bool largest, i64* out) noexcept;

    // The last kept value of the group so far, and whether there was one (else the value is 0).
    void (*fill_forward)(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept;
    // The next kept value of the group: the same from the last row to the first.
    void (*fill_backward)(const u8* starts, const u8* keep, const u64* values, std::size_t rows, u64* out, u8* seen) noexcept;

    // Aggregates of a small public domain without a sort: every row is added to every code's sum,
    // masked. Raises Flag::out_of_domain for a kept code of `domain` or more. `domain` <= 256.
    void (*sum_by_code)(const u8* codes, const u8* keep, const i64* values, std::size_t rows, std::size_t domain,
                        u64* low, i64* high, u64* flags);
    void (*count_by_code)(const u8* codes, const u8* keep, std::size_t rows, std::size_t domain, u64* out, u64* flags);
};

}  // namespace mc2::oblivious
