// Numbers and moments from texts and to texts.
//
// Texts are rows of `width` words as in texts.hpp; what is read has no spaces around it. Wide numbers
// are pairs of words, the lower one first. `read[i]` is 1 where the text is what was asked for; where
// it is not, the value is of no meaning.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

inline constexpr unsigned most_parts = 8;

// A part of a moment as it is written: a public byte before it, then so many digits.
struct SpelledPart {
    u8 before;        // 0: nothing stands before it
    u8 digits;        // 1 to 8
};

struct ConversionsKernels {
    // Digits with a sign or not and, if `point`, a point among them. The value is that of the number
    // times 10^scale, rounded half away from zero; 10^38 and more is not read.
    void (*read_decimal)(const u64* a, std::size_t width, bool point, unsigned scale, i128* out, u8* read,
                         std::size_t rows) noexcept;
    // The number without needless zeros, but for one before the point and `scale` after it, in rows
    // of `width` words, which have room for all digits there can be. `wide`: beyond 64 bits.
    void (*spell_decimal)(const i128* a, bool wide, unsigned scale, u64* out, std::size_t width,
                          std::size_t rows) noexcept;
    // yyyy-m-d, or with `time` also a space or T and h:mm:ss with up to six digits after a point, or not;
    // a Z at the end if `zoned`, or not. Seven numbers a row: the last is in microseconds. Ranges are
    // not looked at.
    void (*read_moment)(const u64* a, std::size_t width, bool time, bool zoned, u64* out, u8* read,
                        std::size_t rows) noexcept;
    // Parts of a row, each with its lowest digits, leading zeros included.
    void (*spell_parts)(const u64* a, const SpelledPart* parts, std::size_t count, u64* out, std::size_t width,
                        std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
