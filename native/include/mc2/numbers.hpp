// Arithmetic and comparison of columns of numbers.
//
// A value is one word (integers, dates, times, decimals of at most 18 digits, doubles by their bits)
// or a pair of words, the lower one first (other decimals). `counts` says for which rows an error
// counts: 1 where the row is there and its operands are not NULL. Errors raise bits in `flags` and
// nothing else; what `out` holds for such a row is of no meaning, and its row of no effect.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// What to do is public.
enum class IntegerOperation : u32 { add, subtract, multiply, divide, remainder };
enum class DoubleOperation : u32 { add, subtract, multiply, divide };
enum class Comparison : u32 { equal, less, less_or_equal };
// How a word is read for a comparison. Doubles: NaN equals NaN and is the greatest, -0 equals +0.
enum class Reading : u32 { signed_word, real };
// Shifts are by the second number modulo the width; to the right with the sign, or with zeros.
enum class BitOperation : u32 { both, either, differ, shift_left, shift_right, shift_right_unsigned, count };
enum class Halves : u32 { away_from_zero, to_even };

struct NumbersKernels {
    // Whole numbers, quotients cut towards zero. Raises overflow beyond 64 bits, division_by_zero.
    void (*integers)(IntegerOperation what, const i64* a, const i64* b, const u8* counts, i64* out,
                     std::size_t rows, u64* flags) noexcept;
    // Raises `flag` where a value is below `low` or above `high`, both public.
    void (*check_range)(const i64* a, i64 low, i64 high, const u8* counts, std::size_t rows, u64 flag,
                        u64* flags) noexcept;
    // IEEE 754, round to nearest even. Raises division_by_zero.
    void (*doubles)(DoubleOperation what, const double* a, const double* b, const u8* counts, double* out,
                    std::size_t rows, u64* flags) noexcept;
    // out[i] = 1 where the comparison holds, else 0.
    void (*compare)(Comparison what, Reading reading, const u64* a, const u64* b, u8* out,
                    std::size_t rows) noexcept;
    void (*compare_wide)(Comparison what, const i128* a, const i128* b, u8* out, std::size_t rows) noexcept;
    // A double's word such that unsigned order of words is the order of values: for keys. -0 becomes
    // that of +0, all NaNs are one.
    void (*order_doubles)(const double* a, u64* out, std::size_t rows) noexcept;
    void (*restore_doubles)(const u64* a, double* out, std::size_t rows) noexcept;

    void (*widen)(const i64* a, i128* out, std::size_t rows) noexcept;
    // Raises overflow where a value does not fit a word.
    void (*narrow)(const i128* a, const u8* counts, i64* out, std::size_t rows, u64* flags) noexcept;
    // Decimals by their unscaled values, at most `precision` digits, else overflow is raised.
    void (*add_wide)(const i128* a, const i128* b, bool subtract, unsigned precision, const u8* counts,
                     i128* out, std::size_t rows, u64* flags) noexcept;
    // Whole products of words: they always fit.
    void (*multiply_words)(const i64* a, const i64* b, i128* out, std::size_t rows) noexcept;
    // a * b / 10^drop, rounded half away from zero.
    void (*multiply_wide)(const i128* a, const i128* b, unsigned drop, unsigned precision, const u8* counts,
                          i128* out, std::size_t rows, u64* flags) noexcept;
    // a * 10^raise / b, rounded half away from zero. Raises division_by_zero.
    void (*divide_wide)(const i128* a, const i128* b, unsigned raise, unsigned precision, const u8* counts,
                        i128* out, std::size_t rows, u64* flags) noexcept;
    // a % b with the sign of a. Raises division_by_zero.
    void (*remainder_wide)(const i128* a, const i128* b, const u8* counts, i128* out, std::size_t rows,
                           u64* flags) noexcept;

    void (*integer_to_double)(const i64* a, double* out, std::size_t rows) noexcept;
    // On bits of whole numbers of `width` bits, 64 or 32; `count` counts those of all 64 of the first.
    void (*bits)(BitOperation what, unsigned width, const u64* a, const u64* b, u64* out, std::size_t rows) noexcept;
    // The nearest whole number, a double still; the sign of zeros stays.
    void (*round_doubles)(Halves halves, const double* a, double* out, std::size_t rows) noexcept;
    // IEEE 754's square root to nearest even, of integer instructions alone; NaN below zero.
    void (*square_roots)(const double* a, double* out, std::size_t rows) noexcept;
    // Cut towards zero. Raises bad_cast for NaN and what does not fit.
    void (*double_to_integer)(const double* a, const u8* counts, i64* out, std::size_t rows, u64* flags) noexcept;
};

}  // namespace mc2::oblivious
