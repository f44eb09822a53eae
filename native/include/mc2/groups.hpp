// What operators on groups of sorted rows need beside `scan`: bits of rows, extremes of values of
// several words, and sums of doubles that are exact. `starts` and `keep` are as in scan.hpp.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// Words of an exact sum: 35 of a whole number of 2^-1074, then one with bits for NaN and infinities.
constexpr std::size_t state_words = 36;

struct GroupsKernels {
    // Bit k of out[i] is bit 0 of marks[k][i]; at most 64 columns of marks.
    void (*gather_bits)(const u8* const* marks, std::size_t count, u64* out, std::size_t rows) noexcept;
    // out[i] is bit `place` of words[i].
    void (*spread_bit)(const u64* words, unsigned place, u8* out, std::size_t rows) noexcept;

    // The least, or greatest, kept row of the group so far, by words from the left as unsigned
    // numbers after XOR with flips[word]; zeros before the first one.
    void (*extreme_rows)(const u8* starts, const u8* keep, const u64* values, const u64* flips, std::size_t width,
                         bool greatest, u64* out, std::size_t rows) noexcept;

    // The sum of the group so far: exact, then rounded once, to nearest even. Infinities and NaN
    // give what IEEE 754 says for any order. About 35 additions with carry a row.
    void (*exact_sum)(const u8* starts, const u8* keep, const double* values, double* out, std::size_t rows) noexcept;

    // The same sum as state_words words at each row, not rounded; `state` is what goes on from the
    // row before the first one, and then from the last one.
    void (*exact_states)(const u8* starts, const u8* keep, const double* values, u64* state, u64* out,
                         std::size_t rows) noexcept;
    // The sum of such states in the group so far, rounded once.
    void (*sum_states)(const u8* starts, const u8* keep, const u64* states, double* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
