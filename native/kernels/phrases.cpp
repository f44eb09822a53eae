#include "mc2/phrases.hpp"

#include "mc2/bytes.hpp"
#include "mc2/texts.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
constexpr std::size_t most_words = most_text_bytes / 8;

MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }

void substring_at(Unit unit, const u64* a, std::size_t width, const i64* start, const i64* count, u64* out,
                  std::size_t rows) noexcept {
    using Place = Secret<i64>;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Place begin(start[i]), most = larger(Place(count[i]), Place(0));
        const Place from_start = larger(begin - Place(1), Place(0));
        const Word units = unit == Unit::byte ? Word(row[width - 1]) : characters_of(row, width - 1);
        const Place length = Place::from_bits(units.bits());
        const Place from = select(begin < Place(0), length + begin, from_start);
        if (unit == Unit::character) {
            cut_characters(row, width, from, most, out + i * width);
            continue;
        }
        const Place first = within(from, length);
        const Place last = larger(within(from + most, length), first);
        cut_out(row, width, Word(first.bits()), Word(last.bits()), out + i * width);
    }
}

void position(Unit unit, const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, u64* out,
              std::size_t rows) noexcept {
    const std::size_t words = a_width - 1, wanted = b_width - 1, most = 8 * words;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 *row = a + i * a_width, *text = b + i * b_width;
        const Word length(row[words]), size(text[wanted]);
        u64 moving[most_words + 1], masks[most_words];
        for (std::size_t j = 0; j < words; ++j) moving[j] = row[j];
        for (std::size_t j = 0; j < wanted; ++j) masks[j] = bytes_before(size, 8 * j);
        Word found(0), before(0);
        Mask open = Mask::constant(true);
        for (std::size_t place = 0; place <= most; ++place) {
            u64 other = 0;
            for (std::size_t j = 0; j < wanted; ++j) other |= ((j < words ? moving[j] : 0) ^ text[j]) & masks[j];
            const Mask here = open & (Word(other) == Word(0)) & (Word(place) + size <= length);
            found = select(here, before + Word(1), found);
            open = open & ~here;
            before = before + (unit == Unit::byte ? Word(1) : Word(character_starts(moving[0]) >> 56));
            for (std::size_t j = 0; j < words; ++j) moving[j] = (moving[j] << 8) | (j + 1 < words ? moving[j + 1] >> 56 : 0);
        }
        out[i] = found.bits();
    }
}

// The bytes of a row and of nothing after it, so that each has three that follow.
constexpr std::size_t most_size = 4;
MC2_INLINE void spread_bytes(const u64* row, std::size_t words, Word* bytes) noexcept {
    for (std::size_t place = 0; place < 8 * words; ++place) bytes[place] = byte_at(row, place);
    for (std::size_t more = 0; more < most_size; ++more) bytes[8 * words + more] = Word(0);
}
MC2_INLINE Mask continues(Word byte) noexcept { return (byte & Word(0xc0)) == Word(0x80); }

// The bytes of each character from its last to its first.
MC2_INLINE void turn_characters(Word* bytes, std::size_t count) noexcept {
    Mask more[most_size];  // whether the byte so many places on continues what stands here
    for (std::size_t k = 0; k < most_size; ++k) more[k] = continues(bytes[k]);
    for (std::size_t place = 0; place < count; ++place) {
        const Mask two = ~more[0] & more[1], three = two & more[2], four = three & more[3];
        // Turned only where it starts; what has been turned is not looked at again, its kind being known before.
        const Mask next = place + most_size < count ? continues(bytes[place + most_size]) : Mask::constant(false);
        swap_if(two & ~three, bytes[place], bytes[place + 1]);
        swap_if(three & ~four, bytes[place], bytes[place + 2]);
        swap_if(four, bytes[place], bytes[place + 3]);
        swap_if(four, bytes[place + 1], bytes[place + 2]);
        for (std::size_t k = 0; k + 1 < most_size; ++k) more[k] = more[k + 1];
        more[most_size - 1] = next;
    }
}

void reverse(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    const std::size_t words = width - 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u64* made = out + i * width;
        Word bytes[most_text_bytes + most_size];
        spread_bytes(row, words, bytes);
        turn_characters(bytes, 8 * words);
        for (std::size_t j = 0; j < words; ++j) {
            u64 word = 0;
            for (std::size_t k = 0; k < 8; ++k) word = (word << 8) | bytes[8 * (words - j) - 1 - k].bits();
            made[j] = word;
        }
        move_bytes(made, words, Word(8 * words) - Word(row[words]), true);
        made[words] = row[words];
    }
}

// A text that is written from its end on: bytes are put before it.
class Growing {
public:
    MC2_INLINE explicit Growing(std::size_t words) noexcept : words_(words) {
        for (std::size_t j = 0; j < words_; ++j) text_[j] = 0;
    }
    // Up to eight bytes, a public number of them: the lowest bytes of a word.
    MC2_INLINE void put_before(Mask when, u64 bytes, unsigned count) noexcept {
        const u64 mask = when.word();
        const unsigned bits = 8 * count;
        u64 carried = count == 0 ? 0 : bytes << (64 - bits);
        for (std::size_t j = 0; j < words_; ++j) {
            const u64 here = text_[j];
            const u64 moved = count == 0 ? here : count == 8 ? carried : carried | (here >> bits);
            carried = count == 0 ? 0 : count == 8 ? here : here << (64 - bits);
            text_[j] ^= mask & (here ^ moved);
        }
        length_ = length_ + (Word(count) & Word(mask));
    }
    MC2_INLINE void give(u64* row) const noexcept {
        for (std::size_t j = 0; j < words_; ++j) row[j] = text_[j];
        row[words_] = length_.bits();
    }

private:
    u64 text_[most_words];
    Word length_{0};
    std::size_t words_;
};

void replace(const u64* a, std::size_t width, const u8* old_text, std::size_t old_size, const u8* new_text,
             std::size_t new_size, u64* out, std::size_t out_width, std::size_t rows) noexcept {
    const std::size_t most = 8 * (width - 1);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        u8 begins[most_text_bytes], inside[most_text_bytes];  // of an occurrence that is taken
        Word left(0);
        for (std::size_t place = 0; place < most; ++place) {
            Mask here = Word(place + old_size) <= length;
            for (std::size_t k = 0; k < old_size; ++k) {
                here = here & (place + k < most ? byte_at(row, place + k) == Word(old_text[k]) : Mask::constant(false));
            }
            here = here & (left == Word(0));
            left = select(here, Word(old_size), left);
            begins[place] = here.byte();
            const Mask within_one = left != Word(0);
            inside[place] = within_one.byte();
            left = left - one_if(within_one);
        }
        Growing made(out_width - 1);
        for (std::size_t place = most; place-- > 0;) {
            const Mask stays = ~Mask::from_bit(inside[place]) & (Word(place) < length);
            made.put_before(stays, byte_at(row, place).bits(), 1);
            for (std::size_t end = new_size; end > 0;) {
                const std::size_t start = end > 8 ? end - 8 : 0;
                u64 bytes = 0;
                for (std::size_t k = start; k < end; ++k) bytes = (bytes << 8) | new_text[k];
                made.put_before(Mask::from_bit(begins[place]), bytes, static_cast<unsigned>(end - start));
                end = start;
            }
        }
        made.give(out + i * out_width);
    }
}

// Whether one of the characters of a set stands at a place.
MC2_INLINE Mask stands(const Word* bytes, Character character) noexcept {
    Mask here = Mask::constant(character.size > 0);
    for (unsigned k = 0; k < character.size; ++k) {
        here = here & (bytes[k] == Word((character.bytes >> (8 * (character.size - 1 - k))) & 0xff));
    }
    return here;
}

void translate(const u64* a, std::size_t width, const Replaced* table, std::size_t count, u64* out,
               std::size_t out_width, std::size_t rows) noexcept {
    const std::size_t most = 8 * (width - 1);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        Word bytes[most_text_bytes + most_size];
        spread_bytes(row, width - 1, bytes);
        u8 goes[most_text_bytes];  // the byte is one of a character that becomes another
        Mask going = Mask::constant(false);
        for (std::size_t place = 0; place < most; ++place) {
            Mask found = Mask::constant(false);
            for (std::size_t k = 0; k < count; ++k) found = found | stands(bytes + place, table[k].old);
            going = found | (going & continues(bytes[place]));
            goes[place] = going.byte();
        }
        Growing made(out_width - 1);
        for (std::size_t place = most; place-- > 0;) {
            const Mask inside = Word(place) < length;
            made.put_before(inside & ~Mask::from_bit(goes[place]), bytes[place].bits(), 1);
            for (unsigned size = 1; size <= most_size; ++size) {
                Mask found = Mask::constant(false);
                Word by(0);
                bool any = false;
                for (std::size_t k = 0; k < count; ++k) {
                    if (table[k].by.size != size) continue;
                    const Mask here = stands(bytes + place, table[k].old);
                    by = select(here, Word(table[k].by.bytes), by);
                    found = found | here;
                    any = true;
                }
                if (any) made.put_before(inside & found, by.bits(), size);
            }
        }
        made.give(out + i * out_width);
    }
}

void trim_any(const u64* a, std::size_t width, const Character* set, std::size_t count, bool start, bool end, u64* out,
              std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        Word bytes[most_text_bytes + most_size];
        spread_bytes(row, width - 1, bytes);
        Word first = length, last(0);  // of the bytes that stay: the first, and after the last
        Mask goes = Mask::constant(false);
        for (std::size_t place = 0; place < 8 * (width - 1); ++place) {
            Mask found = Mask::constant(false);
            for (std::size_t k = 0; k < count; ++k) found = found | stands(bytes + place, set[k]);
            goes = found | (goes & continues(bytes[place]));
            const Mask stays = ~goes & (Word(place) < length);
            first = select(stays, smaller(first, Word(place)), first);
            last = select(stays, Word(place + 1), last);
        }
        const Word from = start ? first : Word(0);
        const Word to = end ? larger(last, from) : length;
        cut_out(row, width, from, to, out + i * width);
    }
}

void part(Part what, const u64* a, std::size_t width, const u8* mark, std::size_t size, i64 number, u64* out,
          std::size_t rows) noexcept {
    const std::size_t most = 8 * (width - 1), gap = what == Part::between ? size : 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        u8 marks[most_text_bytes];
        Word left(0), total(0);
        for (std::size_t place = 0; place < most; ++place) {
            Mask here = (Word(place + size) <= length) & (left == Word(0));
            for (std::size_t k = 0; k < size; ++k) {
                here = here & (place + k < most ? byte_at(row, place + k) == Word(mark[k]) : Mask::constant(false));
            }
            left = select(here, Word(gap), left);
            left = left - one_if(left != Word(0));
            marks[place] = here.byte();
            total = total + one_if(here);
        }
        // Before which mark it ends, and after which it begins; 0 is the text's start, and all after the last its end.
        const Word after(static_cast<u64>(number));
        const bool from_end = number < 0;
        const Word opens = what == Part::between ? (from_end ? total + after + Word(1) : after - Word(1))
                                                 : (from_end ? total + after + Word(1) : Word(0));
        const Word shuts = what == Part::between ? opens + Word(1) : (from_end ? total + Word(1) : after);
        const Mask before_all = Mask::from_bit(opens.bits() >> 63), beyond = opens > total;
        Word from(0), to = length, seen(0);
        for (std::size_t place = 0; place < most; ++place) {
            const Mask here = Mask::from_bit(marks[place]);
            seen = seen + one_if(here);
            from = select(here & (seen == opens), Word(place + size), from);
            to = select(here & (seen == shuts), Word(place), to);
        }
        if (what == Part::between) {
            to = select(before_all | beyond, Word(0), to);
            from = select(before_all | beyond, Word(0), from);
        }
        cut_out(row, width, from, to, out + i * width);
    }
}

}  // namespace

extern const PhrasesKernels phrases_table;
const PhrasesKernels phrases_table = {substring_at, position, reverse, replace, translate, trim_any, part};

}  // namespace mc2::oblivious::MC2_ISA
