// Three-valued logic, choice between columns, and comparison of rows of words.
//
// Marks are bytes, 0 or 1. A truth value that may be unknown is two of them: what it is, and whether
// that is known. Rows are `width` words each, one after the other.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct LogicKernels {
    void (*and_marks)(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept;
    void (*or_marks)(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept;
    void (*not_marks)(const u8* a, u8* out, std::size_t rows) noexcept;
    // SQL's AND and OR: known as soon as one side decides. What is not known is 0.
    void (*and_known)(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
                      std::size_t rows) noexcept;
    void (*or_known)(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
                     std::size_t rows) noexcept;
    void (*marks_to_words)(const u8* a, u64* out, std::size_t rows) noexcept;
    // The lowest bit of each word.
    void (*words_to_marks)(const u64* a, u8* out, std::size_t rows) noexcept;

    void (*select_marks)(const u8* keep, const u8* a, const u8* b, u8* out, std::size_t rows) noexcept;
    void (*select_rows)(const u8* keep, const u64* a, const u64* b, std::size_t width, u64* out,
                        std::size_t rows) noexcept;
    // Rows that are not kept become zeros.
    void (*clear_rows)(const u8* keep, const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;

    // Rows in the order of their first differing words, read as unsigned. Row i of the second column
    // begins at word i * b_step: `width`, or 0 where one row stands for all.
    void (*equal_rows)(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out,
                       std::size_t rows) noexcept;
    void (*less_rows)(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out,
                      std::size_t rows) noexcept;
    // Raises `flag` where `when` is 1.
    void (*raise_flag)(const u8* when, std::size_t rows, u64 flag, u64* flags) noexcept;
};

}  // namespace mc2::oblivious
