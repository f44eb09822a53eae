// Texts of a public greatest length, in UTF-8; characters are code points. A row is `width` words: its
// bytes, eight to a word and the first in the highest place, then zeros; the last word is the length
// in bytes. Unsigned order of rows, word by word, is then the order of texts by bytes.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// A longer text has no row. One more bit than bytes must fit into the positions of a match.
inline constexpr std::size_t most_text_bytes = 1016;

// One step of a pattern, which is public.
struct PatternStep {
    enum class Kind : u8 { byte, any_one, any_run };
    Kind kind;
    u8 byte;
};

enum class LetterCase : u32 { lower, upper };

struct TextsKernels {
    // How many characters.
    void (*count_characters)(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;
    // out[i] = 1 where the whole text matches.
    void (*like)(const u64* a, std::size_t width, const PatternStep* steps, std::size_t count, u8* out,
                 std::size_t rows) noexcept;
    // Letters of ASCII; text beyond it raises out_of_domain.
    void (*change_case)(LetterCase to, const u64* a, std::size_t width, const u8* counts, u64* out,
                        std::size_t rows, u64* flags) noexcept;
    // The characters from place `start` (1 is the first, -1 the last, 0 as 1), at most `count` of
    // them; both are public.
    void (*substring)(const u64* a, std::size_t width, i64 start, i64 count, u64* out,
                      std::size_t rows) noexcept;
    // Without spaces at the start, at the end, or both.
    void (*trim)(const u64* a, std::size_t width, bool start, bool end, u64* out, std::size_t rows) noexcept;
    // a then b, in rows of `out_width` words. What does not fit raises bound_exceeded.
    void (*concat)(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, const u8* counts,
                   u64* out, std::size_t out_width, std::size_t rows, u64* flags) noexcept;
};

}  // namespace mc2::oblivious
