// How alike texts are: edits between them, and how their first letters sound.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

struct LikenessKernels {
    // How many characters are put in, left out or changed from a to b, at least (Levenshtein).
    void (*count_edits)(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, u64* out, std::size_t rows) noexcept;
    // The Soundex code, in rows of two words; sounds[i] = 0 where the text begins with no letter of ASCII.
    void (*soundex)(const u64* a, std::size_t width, u64* out, u8* sounds, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
