// Functions of texts at secret places; rows and errors are those of texts.hpp.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// Bytes or characters of UTF-8.
enum class Unit : u32 { byte, character };

// A character: its bytes, the first one highest, and how many they are. Of none there is nothing.
struct Character {
    u32 bytes;
    u8 size;
};

// What a character becomes.
struct Replaced {
    Character old, by;
};

// Which part of a text a mark cuts off: one of the parts between marks, or all before a mark or after it.
enum class Part : u32 { between, around };

struct PhrasesKernels {
    // What stands from place `start` on (1 is the first, -1 the last, 0 as 1), at most `count` of it;
    // both are within 31 bits.
    void (*substring_at)(Unit unit, const u64* a, std::size_t width, const i64* start, const i64* count, u64* out,
                         std::size_t rows) noexcept;
    // Where b first occurs in a, from 1; 0 if nowhere. The empty text occurs at 1.
    void (*position)(Unit unit, const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, u64* out,
                     std::size_t rows) noexcept;
    // Characters from the last to the first.
    void (*reverse)(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept;
    // Each occurrence of a public text, from the left, becomes another one. Rows of `out` have room.
    void (*replace)(const u64* a, std::size_t width, const u8* old_text, std::size_t old_size, const u8* new_text,
                    std::size_t new_size, u64* out, std::size_t out_width, std::size_t rows) noexcept;
    // Each character becomes what a public table says, or stays. Rows of `out` have room.
    void (*translate)(const u64* a, std::size_t width, const Replaced* table, std::size_t count, u64* out,
                      std::size_t out_width, std::size_t rows) noexcept;
    // Without characters of a public set at the start, at the end, or both.
    void (*trim_any)(const u64* a, std::size_t width, const Character* set, std::size_t count, bool start, bool end,
                     u64* out, std::size_t rows) noexcept;
    // `between`: the part of that number between occurrences of a public text that do not overlap, from
    // the end if it is below zero; the empty text if there is none. `around`: what stands before so many
    // occurrences, which may overlap, or after them from the end; all of it if there are fewer.
    void (*part)(Part what, const u64* a, std::size_t width, const u8* mark, std::size_t size, i64 number, u64* out,
                 std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
