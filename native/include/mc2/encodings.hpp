// Bytes as digits and digits as bytes, characters by number, character sets. Rows are those of texts.hpp.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class Charset : u32 { ascii, latin1, utf8, utf16be, utf16le };

struct EncodingsKernels {
    // Two hexadecimal digits for each byte, letters in upper case.
    void (*hex)(const u64* a, std::size_t width, u64* out, std::size_t out_width, std::size_t rows) noexcept;
    // The digits of a word, `bits` each (1 or 4), without zeros before the first other one.
    void (*spell_word)(unsigned bits, const u64* a, u64* out, std::size_t width, std::size_t rows) noexcept;
    // Bytes of hexadecimal digits, the first of an odd number alone; read[i] = 0 where there are others.
    void (*unhex)(const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read, std::size_t rows) noexcept;
    void (*base64)(const u64* a, std::size_t width, u64* out, std::size_t out_width, std::size_t rows) noexcept;
    // read[i] = 0 where it is not base64: groups of four, the last filled by one or two `=`. After a
    // `=` in the last place but one any digit may stand, and does not count.
    void (*unbase64)(const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read, std::size_t rows) noexcept;
    // From UTF-8 to a character set, or the other way; read[i] = 0 where a character is not in it, or
    // where the bytes are no text.
    void (*encode)(Charset to, const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read,
                   std::size_t rows) noexcept;
    void (*decode)(Charset from, const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read,
                   std::size_t rows) noexcept;
    // The number of the first character, 0 if there is none.
    void (*code_point)(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;
    // The character of a number modulo 256, in rows of two words; nothing for numbers below zero.
    void (*character)(const i64* a, u64* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
