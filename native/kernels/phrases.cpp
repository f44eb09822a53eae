#include "mc2/phrases.hpp"

#include "mc2/bytes.hpp"
#include "mc2/texts.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
constexpr std::size_t most_words = most_text_bytes / 8;

MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }

void substring_at(const u64* a, std::size_t width, const i64* start, const i64* count, const u8* counts, u64* out,
                  std::size_t rows, u64* flags) noexcept {
    using Place = Secret<i64>;
    Flags raised;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & beyond_ascii(row, width - 1));
        const Place length(static_cast<i64>(row[width - 1])), begin(start[i]);
        const Place from_start = larger(begin - Place(1), Place(0));
        const Place from = select(begin < Place(0), length + begin, from_start);
        const Place first = within(from, length);
        const Place last = larger(within(from + larger(Place(count[i]), Place(0)), length), first);
        cut_out(row, width, Word(first.bits()), Word(last.bits()), out + i * width);
    }
    raised.raise_in(flags);
}

void position(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, const u8* counts, u64* out,
              std::size_t rows, u64* flags) noexcept {
    Flags raised;
    const std::size_t words = a_width - 1, wanted = b_width - 1, most = 8 * words;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 *row = a + i * a_width, *text = b + i * b_width;
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & beyond_ascii(row, words));
        const Word length(row[words]), size(text[wanted]);
        u64 moving[most_words + 1], masks[most_words];
        for (std::size_t j = 0; j < words; ++j) moving[j] = row[j];
        for (std::size_t j = 0; j < wanted; ++j) masks[j] = bytes_before(size, 8 * j);
        Word found(0);
        Mask open = Mask::constant(true);
        for (std::size_t place = 0; place <= most; ++place) {
            u64 other = 0;
            for (std::size_t j = 0; j < wanted; ++j) other |= ((j < words ? moving[j] : 0) ^ text[j]) & masks[j];
            const Mask here = open & (Word(other) == Word(0)) & (Word(place) + size <= length);
            found = select(here, Word(place + 1), found);
            open = open & ~here;
            for (std::size_t j = 0; j < words; ++j) moving[j] = (moving[j] << 8) | (j + 1 < words ? moving[j + 1] >> 56 : 0);
        }
        out[i] = found.bits();
    }
    raised.raise_in(flags);
}

void reverse(const u64* a, std::size_t width, const u8* counts, u64* out, std::size_t rows, u64* flags) noexcept {
    Flags raised;
    const std::size_t words = width - 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        u64* made = out + i * width;
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & beyond_ascii(row, words));
        for (std::size_t j = 0; j < words; ++j) made[j] = __builtin_bswap64(row[words - 1 - j]);
        move_bytes(made, words, Word(8 * words) - Word(row[words]), true);
        made[words] = row[words];
    }
    raised.raise_in(flags);
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

void translate(const u64* a, std::size_t width, const Replaced* table, std::size_t count, const u8* counts, u64* out,
               std::size_t rows, u64* flags) noexcept {
    Flags raised;
    const std::size_t most = 8 * (width - 1);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & beyond_ascii(row, width - 1));
        const Word length(row[width - 1]);
        Growing made(width - 1);
        for (std::size_t place = most; place-- > 0;) {
            const Word byte = byte_at(row, place);
            Word by = byte;
            Mask stays = Word(place) < length;
            for (std::size_t k = 0; k < count; ++k) {
                const Mask here = byte == Word(table[k].byte);
                by = select(here, Word(table[k].by), by);
                stays = stays & ~(here & Mask::constant(table[k].drops));
            }
            made.put_before(stays, by.bits(), 1);
        }
        made.give(out + i * width);
    }
    raised.raise_in(flags);
}

void trim_any(const u64* a, std::size_t width, const u8* set, std::size_t count, bool start, bool end, u64* out,
              std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        Word first = length, last(0);  // of the bytes that stay: the first, and after the last
        for (std::size_t place = 0; place < 8 * (width - 1); ++place) {
            const Word byte = byte_at(row, place);
            Mask stays = Word(place) < length;
            for (std::size_t k = 0; k < count; ++k) stays = stays & (byte != Word(set[k]));
            first = select(stays, smaller(first, Word(place)), first);
            last = select(stays, Word(place + 1), last);
        }
        const Word from = start ? first : Word(0);
        const Word to = end ? larger(last, from) : length;
        cut_out(row, width, from, to, out + i * width);
    }
}

}  // namespace

extern const PhrasesKernels phrases_table;
const PhrasesKernels phrases_table = {substring_at, position, reverse, replace, translate, trim_any};

}  // namespace mc2::oblivious::MC2_ISA
