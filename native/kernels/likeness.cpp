#include "mc2/likeness.hpp"

#include <cstring>

#include "mc2/shares.hpp"
#include "mc2/side_by_side.hpp"
#include "mc2/spread_bytes.hpp"
#include "mc2/texts.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
using Cell = Side<u16>;
constexpr std::size_t lanes = sides<u16>;
constexpr std::size_t most_bytes = most_text_bytes + 8;

// --- edits

// Characters of several texts, each at the place of its first byte: its bytes as two numbers, and a
// mask that is all ones at such a place, zeros at the others and behind the text.
struct Characters {
    Cell low[most_bytes], high[most_bytes], there[most_bytes];

    MC2_INLINE void read(const u64* a, std::size_t width, const std::size_t* at) noexcept {
        const std::size_t count = 8 * (width - 1);
        alignas(side_bytes) u16 parts[3][lanes];
        for (std::size_t place = 0; place < count; ++place) {
            for (std::size_t lane = 0; lane < lanes; ++lane) put(a + at[lane] * width, width - 1, place, lane, parts);
            std::memcpy(&low[place], parts[0], sizeof(Cell));
            std::memcpy(&high[place], parts[1], sizeof(Cell));
            std::memcpy(&there[place], parts[2], sizeof(Cell));
            there[place] = hidden_side(there[place]);
        }
    }

private:
    MC2_INLINE static void put(const u64* row, std::size_t words, std::size_t place, std::size_t lane, u16 (*parts)[lanes]) noexcept {
        u64 window = row[place / 8] << (8 * (place % 8));
        if (place % 8 > 4 && place / 8 + 1 < words) window |= row[place / 8 + 1] >> (64 - 8 * (place % 8));
        const u16 first = static_cast<u16>(window >> 56);
        const u16 two = at_least(first, 0xc0), three = at_least(first, 0xe0), four = at_least(first, 0xf0);
        const u16 continues = in_range(first, 0x80, 0xbf), inside = is_before(static_cast<u16>(place), static_cast<u16>(row[words]));
        // The bytes of this character alone.
        const u16 second = static_cast<u16>((window >> 48) & (0 - u64{two}) & 0xff);
        const u16 third = static_cast<u16>((window >> 40) & (0 - u64{three}) & 0xff);
        const u16 fourth = static_cast<u16>((window >> 32) & (0 - u64{four}) & 0xff);
        parts[0][lane] = static_cast<u16>((first << 8) | second);
        parts[1][lane] = static_cast<u16>((third << 8) | fourth);
        parts[2][lane] = static_cast<u16>(0 - ((1 - continues) & inside));
    }
};

// All ones where both are the same.
MC2_INLINE Cell same(Cell a, Cell b) noexcept {
    const Cell difference = a ^ b;
    return hidden_side(((difference | (0 - difference)) >> 15) - 1);
}
// The smaller one, of numbers below 2^15.
MC2_INLINE Cell least(Cell a, Cell b) noexcept { return chosen(b, a, 0 - ((a - b) >> 15)); }

// Places where no character begins change nothing: what stands before them is handed on, along the row
// or down the column. So the last cell of the table is the answer, whatever the lengths.
MC2_INLINE Cell edits_between(const Characters& a, std::size_t a_count, const Characters& b, std::size_t b_count) noexcept {
    Cell line[most_bytes], first = Cell{};
    for (std::size_t j = 0; j < b_count; ++j) line[j] = (j == 0 ? Cell{} : line[j - 1]) - b.there[j];
    for (std::size_t i = 0; i < a_count; ++i) {
        const Cell row_there = a.there[i], row_low = a.low[i], row_high = a.high[i];
        Cell before = first, left = first - row_there;  // of the line before and this one, one place back
        first = left;
        for (std::size_t j = 0; j < b_count; ++j) {
            const Cell up = line[j];
            const Cell changed = before + 1 + same((row_low ^ b.low[j]) | (row_high ^ b.high[j]), Cell{});
            const Cell best = least(least(up, left) + 1, changed);
            before = up;
            left = chosen(up, chosen(left, best, b.there[j]), row_there);
            line[j] = left;
        }
    }
    return line[b_count - 1];
}

void count_edits(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, u64* out, std::size_t rows) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        in_lanes<lanes>(from, to, [=](const std::size_t* at) {
            Characters first, second;
            first.read(a, a_width, at);
            second.read(b, b_width, at);
            const Cell edits = edits_between(first, 8 * (a_width - 1), second, 8 * (b_width - 1));
            u16 found[lanes];
            std::memcpy(found, &edits, sizeof found);
            for (std::size_t lane = 0; lane < lanes; ++lane) out[at[lane]] = found[lane];
        });
    });
}

// --- Soundex

// Which letters have a digit, by digit from 1 on; those of the last are passed over.
constexpr const char* sounding[] = {"BFPV", "CGJKQSXZ", "DT", "L", "MN", "R", "HW"};
constexpr u16 silent = 7, none = 8;

// Of each byte of a text its digit, 0 for vowels, `none` for what is no letter of ASCII.
MC2_INLINE void digits_of(u16* bytes, std::size_t count, u16* digits) noexcept {
    for (std::size_t k = 0; k < count; ++k) {
        bytes[k] = static_cast<u16>(bytes[k] - 32 * in_range(bytes[k], 'a', 'z'));
        digits[k] = static_cast<u16>(none * (1 - in_range(bytes[k], 'A', 'Z')));
    }
    for (u16 digit = 1; digit <= silent; ++digit) {
        for (const char* letter = sounding[digit - 1]; *letter != 0; ++letter) {
            const u16 wanted = static_cast<u16>(*letter);
            for (std::size_t k = 0; k < count; ++k) digits[k] = static_cast<u16>(digits[k] + digit * is_same(bytes[k], wanted));
        }
    }
}

void soundex(const u64* a, std::size_t width, u64* out, u8* sounds, std::size_t rows) noexcept {
    const std::size_t words = width - 1, count = 8 * words;
    for (std::size_t i = 0; i < rows; ++i) {
        u16 bytes[most_bytes], digits[most_bytes];
        spread_row(a + i * width, words, bytes);
        digits_of(bytes, count, digits);
        // What is no letter parts like a vowel does; so do the zeros behind the text, which have no digit.
        Word code(bytes[0]), last = select(Word(digits[0]) >= Word(silent), Word(0), Word(digits[0])), size(1);
        for (std::size_t k = 1; k < count; ++k) {
            const Word digit = select(Word(digits[k]) == Word(none), Word(0), Word(digits[k]));
            const Mask heard = digit != Word(silent);
            const Mask taken = heard & (digit != Word(0)) & (digit != last) & (size < Word(4));
            code = select(taken, (code << 8) | (digit + Word('0')), code);
            size = size + Word(taken.word() & 1);
            last = select(heard, digit, last);
        }
        for (unsigned k = 1; k < 4; ++k) code = select(size <= Word(k), (code << 8) | Word('0'), code);
        out[2 * i] = code.bits() << 32;
        out[2 * i + 1] = 4;
        sounds[i] = (Word(digits[0]) != Word(none)).byte();
    }
}

}  // namespace

extern const LikenessKernels likeness_table;
const LikenessKernels likeness_table = {count_edits, soundex};

}  // namespace mc2::oblivious::MC2_ISA
