#include "mc2/encodings.hpp"

#include "mc2/arithmetic.hpp"
#include "mc2/spread_bytes.hpp"
#include "mc2/texts.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;

// Rows are whole words, so their bytes may be a few more than those of the longest text.
constexpr std::size_t most_bytes = most_text_bytes + 8;

MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }
MC2_INLINE u16 length_of(const u64* row, std::size_t words) noexcept { return static_cast<u16>(row[words]); }
MC2_INLINE u8 is_none(u16 count) noexcept { return (Word(count) == Word(0)).byte(); }

// --- digits

void hex(const u64* a, std::size_t width, u64* out, std::size_t out_width, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u64* made = out + i * out_width;
        const Word length = Word(row[width - 1]) << 1;
        for (std::size_t j = 0; j + 1 < out_width; ++j) {
            const u64 word = row[j / 2];
            made[j] = hex_digits(static_cast<u32>(j % 2 == 0 ? word >> 32 : word), 'A') & bytes_before(length, 8 * j);
        }
        made[out_width - 1] = length.bits();
    }
}

// Eight binary digits, in ASCII, of a byte.
MC2_INLINE u64 binary_digits(u64 byte) noexcept {
    const u64 apart = (byte * every_byte) & 0x8040201008040201;
    return (((apart + ~top_bits) >> 7) & every_byte) + '0' * every_byte;
}

template <unsigned bits>
MC2_INLINE void spell_row(u64 value, u64* out) noexcept {
    constexpr unsigned count = 64 / bits, words = count / 8;
    u64 all[words + 1];
    for (unsigned j = 0; j < words; ++j) {
        const u64 part = value >> (64 - 8 * bits * (j + 1));
        all[j] = bits == 4 ? hex_digits(static_cast<u32>(part), 'A') : binary_digits(part & 0xff);
    }
    Word shown(1);
    for (unsigned place = 1; place < count; ++place) shown = shown + one_if(Word(value >> (bits * place)) != Word(0));
    cut_out(all, words + 1, Word(count) - shown, Word(count), out);
}

void spell_word(unsigned bits, const u64* a, u64* out, std::size_t width, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        if (bits == 4) {
            spell_row<4>(a[i], out + i * width);
        } else {
            spell_row<1>(a[i], out + i * width);
        }
    }
}

void unhex(const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read, std::size_t rows) noexcept {
    const std::size_t words = width - 1, out_words = out_width - 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const u64 odd = Mask::from_bit(row[words]).word();
        u64 even[most_bytes / 8 + 2] = {}, before = 0;  // with a byte before the first of an odd number
        for (std::size_t j = 0; j < words; ++j) {
            even[j] = row[j] ^ (odd & (row[j] ^ ((row[j] >> 8) | (before << 56))));
            before = row[j];
        }
        even[words] = odd & (before << 56);
        u16 digits[2 * most_bytes] = {}, bytes[most_bytes], others = length_of(row, words);
        spread_row(even, words + 1, digits);
        for (std::size_t k = 0; k < 8 * (words + 1); ++k) {
            const u16 c = digits[k];
            const u16 figure = in_range(c, '0', '9'), upper = in_range(c, 'A', 'F'), lower = in_range(c, 'a', 'f');
            digits[k] = static_cast<u16>(figure * (c - '0') + upper * (c - 'A' + 10) + lower * (c - 'a' + 10));
            others = static_cast<u16>(others - figure - upper - lower);
        }
        for (std::size_t k = 0; k < 8 * out_words; ++k) {
            bytes[k] = static_cast<u16>(16 * digits[2 * k] + digits[2 * k + 1]);
        }
        read[i] = is_none(others);
        close_row(bytes, (Word(row[words]) + Word(1)) >> 1, out_words, out + i * out_width);
    }
}

// --- base64

MC2_INLINE u16 sextet_character(unsigned bits) noexcept {
    const u16 s = static_cast<u16>(bits & 63);
    return static_cast<u16>(s + 'A' + 6 * at_least(s, 26) - 75 * at_least(s, 52) - 15 * at_least(s, 62) + 3 * at_least(s, 63));
}

void base64(const u64* a, std::size_t width, u64* out, std::size_t out_width, std::size_t rows) noexcept {
    const std::size_t words = width - 1, out_words = out_width - 1, groups = 2 * out_words;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u16 bytes[most_bytes + 16] = {}, text[most_bytes];
        spread_row(row, words, bytes);
        for (std::size_t g = 0; g < groups; ++g) {
            const u16 *b = bytes + 3 * g;
            const unsigned three = (unsigned{b[0]} << 16) | (unsigned{b[1]} << 8) | b[2];
            for (unsigned k = 0; k < 4; ++k) text[4 * g + k] = sextet_character(three >> (18 - 6 * k));
        }
        const u16 length = length_of(row, words);
        for (std::size_t k = 0; k < 4 * groups; ++k) {
            const u16 data = is_before(static_cast<u16>(3 * k), static_cast<u16>(4 * length));
            text[k] = static_cast<u16>('=' + data * (text[k] - '='));
        }
        // Groups of three: the product is exact for lengths of texts.
        close_row(text, Word((((length + u64{2}) * 21846) >> 16) << 2), out_words, out + i * out_width);
    }
}

void unbase64(const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read, std::size_t rows) noexcept {
    const std::size_t words = width - 1, out_words = out_width - 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u16 text[2 * most_bytes] = {}, bytes[most_bytes + 16];
        spread_row(row, words, text);
        const u16 length = length_of(row, words);
        u16 one = 0, two = 0;  // whether a `=` is at the end, or before it
        for (std::size_t k = 0; k < 8 * words; ++k) {
            const u16 filling = is_same(text[k], '=');
            const u16 last = static_cast<u16>(is_before(static_cast<u16>(k), length) - is_before(static_cast<u16>(k + 1), length));
            const u16 before = static_cast<u16>(is_before(static_cast<u16>(k + 1), length) - is_before(static_cast<u16>(k + 2), length));
            one = static_cast<u16>(one | (filling & last));
            two = static_cast<u16>(two | (filling & before));
        }
        const u16 filled = static_cast<u16>(two * 2 + (1 - two) * one);
        const u16 data = static_cast<u16>(length - filled);
        u16 bad = static_cast<u16>(length & 3);
        for (std::size_t k = 0; k < 8 * words; ++k) {
            const u16 c = text[k], inside = is_before(static_cast<u16>(k), data);
            const u16 upper = in_range(c, 'A', 'Z'), lower = in_range(c, 'a', 'z'), figure = in_range(c, '0', '9');
            const u16 plus = is_same(c, '+'), slash = is_same(c, '/');
            const u16 value = static_cast<u16>(upper * (c - 'A') + lower * (c - 'a' + 26) + figure * (c - '0' + 52) + plus * 62 + slash * 63);
            const u16 other = static_cast<u16>(1 ^ (upper | lower | figure | plus | slash));
            const u16 last = static_cast<u16>(is_before(static_cast<u16>(k), length) - is_before(static_cast<u16>(k + 1), length));
            bad = static_cast<u16>(bad | (inside & other) | (two & last & other & (1 ^ is_same(c, '='))));
            text[k] = static_cast<u16>(inside * value);
        }
        for (std::size_t g = 0; 3 * g < 8 * out_words; ++g) {
            const u16* s = text + 4 * g;
            const unsigned three = (unsigned{s[0]} << 18) | (unsigned{s[1]} << 12) | (unsigned{s[2]} << 6) | s[3];
            for (unsigned k = 0; k < 3; ++k) bytes[3 * g + k] = static_cast<u16>((three >> (16 - 8 * k)) & 0xff);
        }
        read[i] = is_none(bad);
        const Word size = Word((u64{length} >> 2) * 3 - filled);
        close_row(bytes, size, out_words, out + i * out_width);
    }
}

// --- characters

// What four bytes, the first a character's start, are as a code point.
MC2_INLINE u32 code_point_of(u32 b0, u32 b1, u32 b2, u32 b3) noexcept {
    const u32 two = at_least(static_cast<u16>(b0), 0xc0), three = at_least(static_cast<u16>(b0), 0xe0),
              four = at_least(static_cast<u16>(b0), 0xf0);
    const u32 short_form = b0 ^ ((0 - two) & (b0 ^ (((b0 & 0x1f) << 6) | (b1 & 0x3f))));
    const u32 of_three = ((b0 & 0x0f) << 12) | ((b1 & 0x3f) << 6) | (b2 & 0x3f);
    const u32 of_four = ((b0 & 0x07) << 18) | ((b1 & 0x3f) << 12) | ((b2 & 0x3f) << 6) | (b3 & 0x3f);
    const u32 up_to_three = short_form ^ ((0 - three) & (short_form ^ of_three));
    return up_to_three ^ ((0 - four) & (up_to_three ^ of_four));
}

void code_point(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u32 first = value_barrier(static_cast<u32>(a[i * width] >> 32));
        out[i] = code_point_of(first >> 24, (first >> 16) & 0xff, (first >> 8) & 0xff, first & 0xff);
    }
}

void character(const i64* a, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 value = static_cast<u64>(a[i]), number = value & 0xff, beyond = number >> 7;
        const u64 two = ((0xc0 | (number >> 6)) << 8) | 0x80 | (number & 0x3f), one = number << 8;
        const u64 there = ~Mask::from_bit(value >> 63).word();
        out[2 * i] = there & ((one ^ (Mask::from_bit(beyond).word() & (one ^ two))) << 48);
        out[2 * i + 1] = there & (1 + beyond);
    }
}

// --- character sets

MC2_INLINE bool is_wide(Charset set) noexcept { return set == Charset::utf16be || set == Charset::utf16le; }

// Two bytes for each unit of 16 bits.
MC2_INLINE void part_units(const u16* units, std::size_t count, bool low_first, u16* bytes) noexcept {
    for (std::size_t k = 0; k < count; ++k) {
        const u16 high = static_cast<u16>(units[k] >> 8), low = units[k] & 0xff;
        bytes[2 * k] = low_first ? low : high;
        bytes[2 * k + 1] = low_first ? high : low;
    }
}

void encode(Charset to, const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read,
            std::size_t rows) noexcept {
    const std::size_t words = width - 1, out_words = out_width - 1, count = 8 * words;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u16 bytes[most_bytes + 16] = {}, units[most_bytes] = {}, made[2 * most_bytes] = {}, beyond = 0;
        spread_row(row, words, bytes);
        const u16 length = length_of(row, words), most = to == Charset::ascii ? 0x80 : 0xc4;
        Gaps kept;
        u16 lead = 0;  // of four bytes, if that is what stands before
        u32 before = 0;
        for (std::size_t k = 0; k < count; ++k) {
            const u16 starts = static_cast<u16>((1 - in_range(bytes[k], 0x80, 0xbf)) & is_before(static_cast<u16>(k), length));
            const u32 code = code_point_of(bytes[k], bytes[k + 1], bytes[k + 2], bytes[k + 3]);
            beyond = static_cast<u16>(beyond | at_least(bytes[k], most));
            if (is_wide(to)) {  // the second of two surrogates stands where the second byte stood
                const u16 pair = at_least(bytes[k], 0xf0);
                const u32 over = code - 0x10000;
                const u32 high = 0xd800 | ((over >> 10) & 0x3ff), low = 0xdc00 | (before & 0x3ff);
                const u32 first = code ^ ((0 - u32{pair}) & (code ^ high));
                kept.put(k, static_cast<u16>(first ^ ((0 - u32{lead}) & (first ^ low))), static_cast<u16>(starts | lead));
                lead = static_cast<u16>(pair & starts);
                before = code;
            } else {
                kept.put(k, static_cast<u16>(code), starts);
            }
        }
        kept.close(count, units);
        if (is_wide(to)) {
            part_units(units, count, to == Charset::utf16le, made);
            close_row(made, kept.kept() << 1, out_words, out + i * out_width);
            read[i] = 1;
        } else {
            for (std::size_t k = 0; k < count; ++k) made[k] = units[k] & 0xff;
            close_row(made, kept.kept(), out_words, out + i * out_width);
            read[i] = is_none(beyond);
        }
    }
}

// Whether bytes break the rules of UTF-8 (RFC 3629, section 4); three zeros stand before them and behind.
MC2_INLINE u16 breaches_of(const u16* bytes, std::size_t count) noexcept {
    u16 found = 0;
    for (std::size_t k = 3; k < count + 6; ++k) {
        const u16 b = bytes[k], first = bytes[k - 1], second = bytes[k - 2], third = bytes[k - 3];
        const u16 continues = in_range(b, 0x80, 0xbf);
        const u16 must = static_cast<u16>(at_least(first, 0xc0) | at_least(second, 0xe0) | at_least(third, 0xf0));
        const u16 never = static_cast<u16>(in_range(b, 0xc0, 0xc1) | at_least(b, 0xf5));
        const u16 too_long = static_cast<u16>((is_same(first, 0xe0) & (1 ^ at_least(b, 0xa0))) | (is_same(first, 0xf0) & (1 ^ at_least(b, 0x90))));
        const u16 too_high = static_cast<u16>((is_same(first, 0xed) & at_least(b, 0xa0)) | (is_same(first, 0xf4) & at_least(b, 0x90)));
        found = static_cast<u16>(found | (continues ^ must) | never | too_long | too_high);
    }
    return found;
}

// The bytes of UTF-8 of units of 16 bits: one to three each, two for each of a pair of surrogates.
MC2_INLINE u16 put_units(const u16* units, std::size_t count, u16 length, Gaps& kept) noexcept {
    u16 bad = length & 1, open = 0, before = 0;
    const u16 whole = static_cast<u16>(length >> 1);
    for (std::size_t k = 0; k < count; ++k) {
        const u32 unit = units[k];
        const u16 inside = is_before(static_cast<u16>(k), whole), top = static_cast<u16>(unit >> 8);
        const u16 high = in_range(top, 0xd8, 0xdb), low = in_range(top, 0xdc, 0xdf), pair = static_cast<u16>(high | low);
        bad = static_cast<u16>(bad | (inside & (open ^ low)) | (open & (1 ^ inside)));
        open = static_cast<u16>(high & inside);
        const u32 over = 0x10000 + ((unit & 0x3ff) << 10);
        const u16 two = static_cast<u16>(1 ^ (is_same(top, 0) & (1 ^ static_cast<u16>((unit >> 7) & 1)))), three = at_least(top, 8);
        const u32 plain[3] = {0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)};
        const u32 short_second = 0xc0 | (unit >> 6), of_high = 0xf0 | (over >> 18), of_high_second = 0x80 | ((over >> 12) & 0x3f);
        const u32 of_low = 0x80 | ((u32{before} & 3) << 4) | ((unit >> 6) & 0x0f);
        before = static_cast<u16>(unit);
        const u32 pairs = 0 - u32{pair}, highs = 0 - u32{high}, threes = 0 - u32{three}, twos = 0 - u32{two};
        const u32 first = highs & of_high, middle_pair = (highs & of_high_second) | (~highs & of_low);
        const u32 middle_plain = (threes & plain[1]) | (~threes & short_second);
        const u32 last_plain = (twos & plain[2]) | (~twos & unit);
        kept.put(3 * k, static_cast<u16>((pairs & first) | (~pairs & plain[0])), static_cast<u16>(inside & ((pair & high) | ((1 ^ pair) & three))));
        kept.put(3 * k + 1, static_cast<u16>((pairs & middle_pair) | (~pairs & middle_plain)), static_cast<u16>(inside & (pair | two)));
        kept.put(3 * k + 2, static_cast<u16>((pairs & plain[2]) | (~pairs & last_plain)), static_cast<u16>(inside & ((1 ^ pair) | low)));
    }
    return static_cast<u16>(bad | open);
}

void decode(Charset from, const u64* a, std::size_t width, u64* out, std::size_t out_width, u8* read,
            std::size_t rows) noexcept {
    const std::size_t words = width - 1, out_words = out_width - 1, count = 8 * words;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u64* made = out + i * out_width;
        u16 around[most_bytes + 16] = {}, text[Gaps::most] = {};
        u16* const bytes = around + 3;
        spread_row(row, words, bytes);
        const u16 length = length_of(row, words);
        if (from == Charset::ascii || from == Charset::utf8) {
            u16 beyond = 0;
            for (std::size_t k = 0; k < count; ++k) beyond = static_cast<u16>(beyond | at_least(bytes[k], 0x80));
            read[i] = is_none(from == Charset::utf8 ? breaches_of(around, count) : beyond);
            for (std::size_t j = 0; j < width; ++j) made[j] = row[j];
            continue;
        }
        Gaps kept;
        if (from == Charset::latin1) {
            for (std::size_t k = 0; k < count; ++k) {
                const u16 two = at_least(bytes[k], 0x80), inside = is_before(static_cast<u16>(k), length);
                kept.put(2 * k, static_cast<u16>(0xc0 | (bytes[k] >> 6)), static_cast<u16>(two & inside));
                kept.put(2 * k + 1, static_cast<u16>(bytes[k] & ~(two << 6)), inside);
            }
            kept.close(2 * count, text);
            read[i] = 1;
        } else {
            u16 units[most_bytes / 2] = {};
            const bool low_first = from == Charset::utf16le;
            for (std::size_t k = 0; k < count / 2; ++k) {
                const u16 high = bytes[2 * k + (low_first ? 1 : 0)], low = bytes[2 * k + (low_first ? 0 : 1)];
                units[k] = static_cast<u16>((high << 8) | low);
            }
            read[i] = is_none(put_units(units, count / 2, length, kept));
            kept.close(count / 2 * 3, text);
        }
        close_row(text, kept.kept(), out_words, made);
    }
}

}  // namespace

extern const EncodingsKernels encodings_table;
const EncodingsKernels encodings_table = {hex, spell_word, unhex, base64, unbase64, encode, decode, code_point, character};

}  // namespace mc2::oblivious::MC2_ISA
