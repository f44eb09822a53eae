// Texts by public rules: letters by tables of Unicode, and moments read by a pattern. Rows are those of
// texts.hpp.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// Code points of a plane of 65,536 that become others: those from `first` to `first + span`, all or
// every second one, have `delta` added, modulo 65,536. The planes are 0 and 1; no rule has their first.
struct LetterRule {
    u16 first, span, delta;
    u8 plane;
    bool every_second;
};

// A letter after nothing or a space, and any other one, each by its rules. Of those for one plane the
// ones that take every second code point come last.
struct LetterRules {
    const LetterRule* rules;
    std::size_t count;
};

// A piece of a pattern that moments are read by.
struct ReadPiece {
    enum class Kind : u8 { text, digits, names };
    Kind kind;
    u8 least, most;             // of digits: how many, at most 8
    const struct ReadText* texts;  // a text that stands for itself, or names
    std::size_t count;
};

// Up to 16 bytes, the first one highest.
struct ReadText {
    u64 high, low;
    u8 size;
};

struct SpellingsKernels {
    // Each letter as its rules say; a text grows by half at most. What has more than `most` bytes raises
    // bound_exceeded.
    void (*map_letters)(const u64* a, std::size_t width, LetterRules initials, LetterRules others, const u8* counts,
                        std::size_t most, u64* out, std::size_t out_width, std::size_t rows, u64* flags) noexcept;
    // For each piece that is no text a number: what its digits say, or the place of its name. Digits of
    // different numbers are as many as there are. `read[i]` is 1 where the whole text is what the pieces say.
    void (*read_pieces)(const u64* a, std::size_t width, const ReadPiece* pieces, std::size_t count, u64* out,
                        std::size_t out_width, u8* read, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
