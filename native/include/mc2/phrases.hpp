// Functions of texts at secret places; rows and errors are those of texts.hpp.
//
// Where characters count, text beyond ASCII raises out_of_domain.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// A byte that becomes another one, or nothing.
struct Replaced {
    u8 byte, by;
    bool drops;
};

struct PhrasesKernels {
    // The characters from place `start` (1 is the first, -1 the last, 0 as 1), at most `count` of
    // them; both are within 31 bits.
    void (*substring_at)(const u64* a, std::size_t width, const i64* start, const i64* count, const u8* counts,
                         u64* out, std::size_t rows, u64* flags) noexcept;
    // Where b first occurs in a, from 1; 0 if nowhere. The empty text occurs at 1.
    void (*position)(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, const u8* counts,
                     u64* out, std::size_t rows, u64* flags) noexcept;
    // Characters from the last to the first.
    void (*reverse)(const u64* a, std::size_t width, const u8* counts, u64* out, std::size_t rows,
                    u64* flags) noexcept;
    // Each occurrence of a public text, from the left, becomes another one. Rows of `out` have room.
    void (*replace)(const u64* a, std::size_t width, const u8* old_text, std::size_t old_size, const u8* new_text,
                    std::size_t new_size, u64* out, std::size_t out_width, std::size_t rows) noexcept;
    // Each character becomes what a public table says, or stays.
    void (*translate)(const u64* a, std::size_t width, const Replaced* table, std::size_t count, const u8* counts,
                      u64* out, std::size_t rows, u64* flags) noexcept;
    // Without bytes of a public set, which are characters of ASCII, at the start, at the end, or both.
    void (*trim_any)(const u64* a, std::size_t width, const u8* set, std::size_t count, bool start, bool end,
                     u64* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
