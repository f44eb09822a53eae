#include "mc2/spellings.hpp"

#include <cstring>

#include "mc2/bytes.hpp"
#include "mc2/texts.hpp"

#if MC2_ISA_avx2
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
constexpr std::size_t most_words = most_text_bytes / 8;

MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }

// --- letters
//
// As many rows at a time as have a tile's bytes. Every loop is over a whole tile, so that it has no rest.

constexpr std::size_t tile = 1024;
constexpr std::size_t slots = 2 * tile;  // two for each byte: a character of two bytes may become one of three
typedef u16 Lanes __attribute__((vector_size(32)));
constexpr std::size_t lanes = sizeof(Lanes) / sizeof(u16);

MC2_INLINE Lanes all(u16 value) noexcept { return Lanes{} + value; }
MC2_INLINE Lanes load(const u16* at) noexcept {
    Lanes found;
    std::memcpy(&found, at, sizeof found);
    return found;
}
MC2_INLINE void store(u16* at, Lanes value) noexcept { std::memcpy(at, &value, sizeof value); }

// All ones where x is at most a public number.
MC2_INLINE Lanes at_most(Lanes x, u16 number) noexcept {
    const Lanes most = all(number);
#if MC2_ISA_avx2
    __m256i found = _mm256_cmpeq_epi16(_mm256_subs_epu16((__m256i)x, (__m256i)most), _mm256_setzero_si256());
    __asm__("" : "+x"(found));
    return (Lanes)found;
#else
    typedef i16 Signed __attribute__((vector_size(32)));
    const Lanes borrow = (~most & x) | ((~most | x) & (most - x));  // Hacker's Delight, section 2-12
    return ~(Lanes)((Signed)borrow >> 15);
#endif
}

// What the rules for a plane add to its code points.
template <bool every_second>
MC2_INLINE void add_rules(const Lanes* from, Lanes* to, const LetterRules& given, u8 plane) noexcept {
    for (std::size_t k = 0; k < given.count; ++k) {
        const LetterRule rule = given.rules[k];
        if (rule.plane != plane || rule.every_second != every_second) continue;
        for (std::size_t j = 0; j < 4; ++j) {
            const Lanes x = from[j] - all(rule.first);
            Lanes here = at_most(x, rule.span);
            if constexpr (every_second) here &= (x & all(1)) - all(1);
            to[j] += here & all(rule.delta);
        }
    }
}

MC2_INLINE void map_plane(const u16* from, u16* to, const LetterRules& given, u8 plane) noexcept {
    for (std::size_t at = 0; at < tile; at += 4 * lanes) {
        Lanes points[4], mapped[4];
        for (std::size_t j = 0; j < 4; ++j) mapped[j] = points[j] = load(from + at + j * lanes);
        add_rules<false>(points, mapped, given, plane);
        add_rules<true>(points, mapped, given, plane);
        for (std::size_t j = 0; j < 4; ++j) store(to + at + j * lanes, mapped[j]);
    }
}

// The letters of a tile: what stands at each byte, and what becomes of it. All masks are made by shifts.
class Letters {
public:
    MC2_INLINE void read(const u64* a, std::size_t width, std::size_t rows) noexcept {
        std::memset(raw_, 0, sizeof raw_);
        std::memset(initial_, 0, sizeof initial_);
        std::size_t at = 0;
        for (std::size_t i = 0; i < rows; ++i) {
            initial_[at] = 0xffff;
            for (std::size_t j = 0; j + 1 < width; ++j, at += 8) {
                const u64 bytes = __builtin_bswap64(a[i * width + j]);
                std::memcpy(raw_ + before + at, &bytes, sizeof bytes);
            }
        }
        for (std::size_t i = 0; i < tile; ++i) {
            const u16 last = raw_[before + i - 1], byte = raw_[before + i];
            const u16 one = raw_[before + i + 1] & 0x3f, two = raw_[before + i + 2] & 0x3f, three = raw_[before + i + 3] & 0x3f;
            const u16 top = byte >> 7, second = top & (byte >> 6), third = second & (byte >> 5), fourth = third & (byte >> 4);
            const u16 is_two = -(second & ~third & 1), is_three = -(third & ~fourth & 1), is_four = -(fourth & 1);
            const u16 is_one = top - 1;
            const u16 differs = (((byte & 7) << 2) | (one >> 4)) ^ 1;  // from plane 1
            const u16 is_next = is_four & static_cast<u16>(-((static_cast<u16>(differs - 1) >> 15) & 1));
            const u16 low = static_cast<u16>(((one & 0xf) << 12) | (two << 6) | three);
            plain_[i] = (is_one & byte) | (is_two & (((byte & 0x1f) << 6) | one)) |
                        (is_three & static_cast<u16>(((byte & 0xf) << 12) | (one << 6) | two));
            low_[i] = is_four & low;
            next_[i] = is_next & low;
            const u16 blank = last ^ ' ';
            initial_[i] |= -((static_cast<u16>(blank - 1) >> 15) & 1);
        }
    }

    MC2_INLINE void map(const LetterRules& initials, const LetterRules& others) noexcept {
        map_plane(plain_, plain_by_, others, 0);
        map_plane(next_, next_by_, others, 1);
        if (initials.count == 0) return;
        alignas(32) u16 plain[tile], next[tile];
        map_plane(plain_, plain, initials, 0);
        map_plane(next_, next, initials, 1);
        for (std::size_t i = 0; i < tile; ++i) {
            const u16 mask = initial_[i];
            plain_by_[i] ^= mask & (plain_by_[i] ^ plain[i]);
            next_by_[i] ^= mask & (next_by_[i] ^ next[i]);
        }
    }

    // The bytes of each letter, the first one lowest, and how many they are: none for what continues one.
    MC2_INLINE void encode() noexcept {
        for (std::size_t i = 0; i < tile; ++i) {
            const u32 byte = raw_[before + i], one = raw_[before + i + 1];
            const u32 top = byte >> 7, starts = (byte >> 6) & 1, is_four = 0 - (((byte >> 4) & (byte >> 5) & starts & top) & 1);
            const u32 point = plain_by_[i];
            const u32 is_long = 0 - ((point + 0xff80) >> 16), is_longer = 0 - ((point + 0xf800) >> 16);  // 0x80, 0x800 and more
            const u32 end = 0x80 | (point & 0x3f), middle = 0x80 | ((point >> 6) & 0x3f);
            const u32 two = (0xc0 | ((point >> 6) & 0x1f)) | (end << 8);
            const u32 three = (0xe0 | (point >> 12)) | (middle << 8) | (end << 16);
            const u32 shorter = (~is_long & point) | (is_long & two), bytes = (~is_longer & shorter) | (is_longer & three);
            const u32 low = static_cast<u16>(low_[i] + next_by_[i] - next_[i]);
            const u32 four = byte | ((0x80 | (one & 0x30) | (low >> 12)) << 8) | ((0x80 | ((low >> 6) & 0x3f)) << 16) |
                             ((0x80 | (low & 0x3f)) << 24);
            const u32 exists = 0 - (starts | (top ^ 1));
            encoded_[i] = exists & ((~is_four & bytes) | (is_four & four));
            sizes_[i] = static_cast<u16>(exists & ((~is_four & (1 - is_long - is_longer)) | (is_four & 4)));
        }
    }

    // Where the bytes of a letter stand in their row if there are no gaps, and each row's bytes in all.
    MC2_INLINE void place(std::size_t bytes, std::size_t rows, u16* totals) noexcept {
        std::size_t at = 0;
        for (std::size_t i = 0; i < rows; ++i) {
            u16 total = 0;
            for (std::size_t j = 0; j < bytes; ++j, ++at) {
                far_[at] = static_cast<u16>(2 * j - total);
                total += sizes_[at];
            }
            totals[i] = total;
        }
        for (; at < tile; ++at) far_[at] = 0;
    }

    // Two places for each byte, of which some are empty, and then none in front of what a row holds: each
    // byte moves by its distance, one bit after the other, and meets no other (Hacker's Delight, section 7-4).
    MC2_INLINE const u32* without_gaps(std::size_t bytes) noexcept {
        std::memset(moving_, 0, sizeof moving_);
        u32 last = 0, last_size = 0, last_far = 0;
        for (std::size_t i = 0; i < tile; ++i) {
            const u32 size = sizes_[i], far = static_cast<u32>(far_[i]) << 16;
            const u32 first = 0 - ((size + 7) >> 3), second = 0 - ((size + 6) >> 3);  // sizes are 4 at most
            const u32 third = 0 - ((last_size + 5) >> 3), fourth = 0 - ((last_size + 4) >> 3);
            moving_[0][2 * i] = (first & (far | (encoded_[i] & 0xff))) | (third & (last_far | ((last >> 16) & 0xff)));
            moving_[0][2 * i + 1] = (second & (far | ((encoded_[i] >> 8) & 0xff))) | (fourth & (last_far | (last >> 24)));
            last = encoded_[i];
            last_size = size;
            last_far = far;
        }
        u32 *from = moving_[0], *to = moving_[1];
        for (unsigned bit = 0; (std::size_t{1} << bit) < 2 * bytes; ++bit) {
            const std::size_t by = std::size_t{1} << bit;
            for (std::size_t i = 0; i < slots; ++i) {
                const u32 here = from[i], ahead = from[i + by];
                const u32 goes = 0 - ((here >> (16 + bit)) & 1), comes = 0 - ((ahead >> (16 + bit)) & 1);
                to[i] = (here & ~goes) | (ahead & comes);
            }
            u32* const done = from;
            from = to;
            to = done;
        }
        return from;
    }

private:
    static constexpr std::size_t before = 8;
    u8 raw_[before + tile + 8];
    alignas(32) u16 initial_[tile], plain_[tile], low_[tile], next_[tile], plain_by_[tile], next_by_[tile], sizes_[tile], far_[tile];
    alignas(32) u32 encoded_[tile], moving_[2][2 * slots];
};

void map_letters(const u64* a, std::size_t width, LetterRules initials, LetterRules others, const u8* counts,
                 std::size_t most, u64* out, std::size_t out_width, std::size_t rows, u64* flags) noexcept {
    const std::size_t bytes = 8 * (width - 1), out_words = out_width - 1;
    std::size_t at_once = 1;
    while ((at_once + 1) * bytes <= tile) ++at_once;
    Flags raised;
    Letters letters;
    u16 totals[tile / 8];
    for (std::size_t start = 0; start < rows; start += at_once) {
        const std::size_t here = rows - start < at_once ? rows - start : at_once;
        letters.read(a + start * width, width, here);
        letters.map(initials, others);
        letters.encode();
        letters.place(bytes, here, totals);
        const u32* made = letters.without_gaps(bytes);
        for (std::size_t i = 0; i < here; ++i) {
            u64* row = out + (start + i) * out_width;
            for (std::size_t j = 0; j < out_words; ++j) {
                u64 word = 0;
                for (std::size_t k = 0; k < 8; ++k) {
                    // What there is no room for stands behind the row's own places, and is nobody's.
                    const std::size_t place = 8 * j + k;
                    word = (word << 8) | (place < 2 * bytes ? made[2 * i * bytes + place] & 0xff : 0);
                }
                row[j] = word;
            }
            // A zero behind the text is a letter of one byte.
            const Word length = Word(totals[i]) + Word(a[(start + i) * width + width - 1]) - Word(bytes);
            raised.raise(Flag::bound_exceeded, Mask::from_bit(counts[start + i]) & (length > Word(most)));
            row[out_words] = length.bits();
        }
    }
    raised.raise_in(flags);
}

// --- moments

// What is left of a text, and whether all before it was what was asked for.
class Rest {
public:
    MC2_INLINE Rest(const u64* row, std::size_t words) noexcept : words_(words), left_(row[words]) {
        for (std::size_t j = 0; j < words; ++j) text_[j] = row[j];
    }

    MC2_INLINE void take(const ReadText& text) noexcept {
        good_ = good_ & stands(text);
        drop(text.size, Mask::constant(true));
    }

    // So many digits, or as many as there are up to `most`.
    MC2_INLINE Word take_digits(unsigned least, unsigned most) noexcept {
        Word value(0);
        Mask more = Mask::constant(true);
        for (unsigned k = 0; k < most; ++k) {
            const Word digit = Word(text_[0] >> 56) - Word('0');
            more = more & (digit < Word(10));
            if (k < least) good_ = good_ & more;
            value = select(more, value * Word(10) + digit, value);
            drop(1, more);
        }
        return value;
    }

    // The place of the name that stands here: no two of them begin alike.
    MC2_INLINE Word take_name(const ReadText* names, std::size_t count) noexcept {
        Word found(0), size(0);
        Mask any = Mask::constant(false);
        for (std::size_t k = 0; k < count; ++k) {
            const Mask here = stands(names[k]);
            found = select(here, Word(k), found);
            size = select(here, Word(names[k].size), size);
            any = any | here;
        }
        good_ = good_ & any;
        for (unsigned bit = 0; bit < 5; ++bit) drop(1u << bit, Mask::from_bit(size.bits() >> bit));
        return found;
    }

    MC2_INLINE u8 all_read() const noexcept { return (good_ & (left_ == Word(0))).byte(); }

private:
    MC2_INLINE Mask stands(const ReadText& text) const noexcept {
        u64 differs = 0;
        const u64 asked[2] = {text.high, text.low};
        for (unsigned j = 0; j < 2; ++j) {
            const unsigned bytes = text.size > 8 * j ? text.size - 8 * j : 0;
            const u64 mask = bytes == 0 ? 0 : bytes >= 8 ? ~u64{0} : ~(~u64{0} >> (8 * bytes));
            differs |= ((j < words_ ? text_[j] : 0) ^ asked[j]) & mask;
        }
        return (Word(differs) == Word(0)) & (left_ >= Word(text.size));
    }

    // A public number of bytes, up to 16, where they are taken.
    MC2_INLINE void drop(std::size_t bytes, Mask when) noexcept {
        const std::size_t whole = bytes / 8;
        const unsigned rest = 8 * (bytes % 8);
        for (std::size_t j = 0; j < words_; ++j) {
            const u64 here = j + whole < words_ ? text_[j + whole] : 0;
            const u64 next = j + whole + 1 < words_ ? text_[j + whole + 1] : 0;
            const u64 moved = rest == 0 ? here : (here << rest) | (next >> (64 - rest));
            text_[j] ^= when.word() & (text_[j] ^ moved);
        }
        left_ = left_ - (Word(bytes) & Word(when.word()));
    }

    u64 text_[most_words];
    std::size_t words_;
    Word left_;
    Mask good_ = Mask::constant(true);
};

void read_pieces(const u64* a, std::size_t width, const ReadPiece* pieces, std::size_t count, u64* out,
                 std::size_t out_width, u8* read, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        Rest rest(a + i * width, width - 1);
        std::size_t field = 0;
        for (std::size_t k = 0; k < count; ++k) {
            const ReadPiece& piece = pieces[k];
            switch (piece.kind) {
                case ReadPiece::Kind::text: rest.take(piece.texts[0]); break;
                case ReadPiece::Kind::digits:
                    out[i * out_width + field++] = rest.take_digits(piece.least, piece.most).bits();
                    break;
                case ReadPiece::Kind::names:
                    out[i * out_width + field++] = rest.take_name(piece.texts, piece.count).bits();
                    break;
            }
        }
        read[i] = rest.all_read();
    }
}

}  // namespace

extern const SpellingsKernels spellings_table;
const SpellingsKernels spellings_table = {map_letters, read_pieces};

}  // namespace mc2::oblivious::MC2_ISA
