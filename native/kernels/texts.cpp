#include "mc2/texts.hpp"

#include "mc2/bytes.hpp"

#if MC2_ISA_avx2
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

constexpr std::size_t most_words = most_text_bytes / 8;

// The top bit of each byte of the result says that the byte of `word` is zero (Hacker's Delight,
// section 6-1, the exact form).
MC2_INLINE u64 zero_bytes(u64 word) noexcept {
    return value_barrier(~(((word & ~top_bits) + ~top_bits) | word | ~top_bits));
}

// Eight top bits as the lowest bits of a word, that of the first byte (the highest place) first.
MC2_INLINE u64 gather_tops(u64 tops) noexcept { return ((tops >> 7) * u64{0x8040201008040201}) >> 56; }

void count_characters(const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = characters_of(a + i * width, width - 1).bits();
}

// --- sets of positions in a text, a bit each

template <unsigned words>
struct Places {
    u64 bits[words];

    MC2_INLINE static Places none() noexcept { return Places{}; }
    MC2_INLINE static Places all() noexcept {
        Places p;
        for (u64& word : p.bits) word = ~u64{0};
        return p;
    }
    MC2_INLINE Places operator&(const Places& other) const noexcept {
        Places p;
        for (unsigned i = 0; i < words; ++i) p.bits[i] = bits[i] & other.bits[i];
        return p;
    }
    MC2_INLINE Places operator~() const noexcept {
        Places p;
        for (unsigned i = 0; i < words; ++i) p.bits[i] = ~bits[i];
        return p;
    }
    // Each place moved by a public number of bytes, towards the start or the end.
    MC2_INLINE Places earlier(std::size_t by) const noexcept {
        Places p;
        const std::size_t whole = by / 64, rest = by % 64;
        for (std::size_t i = 0; i < words; ++i) {
            const u64 low = i + whole < words ? bits[i + whole] : 0;
            const u64 high = i + whole + 1 < words ? bits[i + whole + 1] : 0;
            p.bits[i] = rest == 0 ? low : (low >> rest) | (high << (64 - rest));
        }
        return p;
    }
    MC2_INLINE Places later(std::size_t by) const noexcept {
        Places p;
        const std::size_t whole = by / 64, rest = by % 64;
        for (std::size_t i = 0; i < words; ++i) {
            const u64 high = i >= whole ? bits[i - whole] : 0;
            const u64 low = i >= whole + 1 ? bits[i - whole - 1] : 0;
            p.bits[i] = rest == 0 ? high : (high << rest) | (low >> (64 - rest));
        }
        return p;
    }
    // The first place and all after it: x | -x.
    MC2_INLINE Places from_first() const noexcept {
        Places p;
        u64 carry = 1;
        for (unsigned i = 0; i < words; ++i) {
            const u128 negated = static_cast<u128>(~bits[i]) + carry;
            carry = static_cast<u64>(negated >> 64);
            p.bits[i] = bits[i] | static_cast<u64>(negated);
        }
        return p;
    }
    MC2_INLINE Mask any() const noexcept {
        u64 all = 0;
        for (const u64 word : bits) all |= word;
        return Secret<u64>(all) != Secret<u64>(0);
    }
};

// A text's bytes in the order of memory, and its length.
template <unsigned words>
class Text {
public:
    MC2_INLINE Text(const u64* row, std::size_t width) noexcept : count_(width - 1) {
        for (std::size_t i = 0; i < 8 * words; ++i) bytes_[i] = i < count_ ? __builtin_bswap64(row[i]) : 0;
        const Secret<u64> length(row[count_]);
        inside_ = Places<words>::none();
        for (std::size_t i = 0; i < count_; ++i) {
            inside_.bits[i / 8] |= gather_tops(bytes_before(length, 8 * i) & top_bits) << (8 * (i % 8));
        }
    }

    MC2_INLINE const Places<words>& inside() const noexcept { return inside_; }
    // The one place after the last byte.
    MC2_INLINE Places<words> end() const noexcept {
        Places<words> after = inside_.later(1);
        after.bits[0] |= 1;
        return after & ~inside_;
    }
    // Where bytes stand that do not begin a character.
    MC2_INLINE Places<words> continued() const noexcept {
        Places<words> found = Places<words>::none();
        for (std::size_t i = 0; i < count_; ++i) {
            const u64 tops = (character_starts(__builtin_bswap64(bytes_[i])) ^ every_byte) << 7;
            found.bits[i / 8] |= gather_tops(tops) << (8 * (i % 8));
        }
        return found & inside_;
    }
    // Where this byte stands.
    MC2_INLINE Places<words> places_of(u8 byte) const noexcept {
        Places<words> found = Places<words>::none();
#if MC2_ISA_avx2
        const __m256i wanted = _mm256_set1_epi8(static_cast<char>(byte));
        for (unsigned i = 0; i < 2 * words; ++i) {
            const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes_ + 4 * i));
            const u32 hits = static_cast<u32>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(here, wanted)));
            found.bits[i / 2] |= static_cast<u64>(hits) << (32 * (i % 2));
        }
#else
        for (unsigned i = 0; i < 8 * words; ++i) {
            const u64 hits = zero_bytes(__builtin_bswap64(bytes_[i]) ^ (every_byte * byte));
            found.bits[i / 8] |= gather_tops(hits) << (8 * (i % 8));
        }
#endif
        return found & inside_;
    }

private:
    u64 bytes_[8 * words];
    std::size_t count_;
    Places<words> inside_;
};

// A stretch of a pattern without runs.
struct Segment {
    const PatternStep* steps;
    std::size_t count;
};

// Where a segment can begin.
template <unsigned words>
MC2_INLINE Places<words> occurrences(const Text<words>& text, Segment segment) noexcept {
    Places<words> found = Places<words>::all();
    for (std::size_t k = 0; k < segment.count; ++k) {
        const PatternStep step = segment.steps[k];
        const Places<words> here = step.kind == PatternStep::Kind::byte ? text.places_of(step.byte) : text.inside();
        found = found & here.earlier(k);
    }
    return found;
}

MC2_INLINE Segment next_segment(const PatternStep* steps, std::size_t count, std::size_t from) noexcept {
    std::size_t end = from;
    while (end < count && steps[end].kind != PatternStep::Kind::any_run) ++end;
    return {steps + from, end - from};
}

// Segments are found one after the other, each as early as possible; the first is bound to the
// start and the last to the end.
template <unsigned words>
MC2_INLINE Mask matches(const Text<words>& text, const PatternStep* steps, std::size_t count) noexcept {
    Places<words> reach = Places<words>::none();  // where the next segment may begin
    reach.bits[0] = 1;
    std::size_t at = 0;
    for (;;) {
        const Segment segment = next_segment(steps, count, at);
        Places<words> begins = occurrences(text, segment) & reach;
        at += segment.count;
        if (at == count) return (begins & text.end().earlier(segment.count)).any();
        ++at;  // the run
        reach = begins.from_first().later(segment.count);
    }
}

// The same where a step may be any one character, of one byte to four: step by step, all places that
// can be reached. A place within a character is reached only where its start is, and goes the same way.
template <unsigned words>
MC2_INLINE Mask matches_characters(const Text<words>& text, const PatternStep* steps, std::size_t count) noexcept {
    constexpr unsigned most_continued = 3;
    const Places<words> continued = text.continued();
    Places<words> reach = Places<words>::none();
    reach.bits[0] = 1;
    for (std::size_t k = 0; k < count; ++k) {
        switch (steps[k].kind) {
            case PatternStep::Kind::byte: reach = (reach & text.places_of(steps[k].byte)).later(1); break;
            case PatternStep::Kind::any_run: reach = reach.from_first(); break;
            case PatternStep::Kind::any_one:
                reach = (reach & text.inside()).later(1);
                for (unsigned more = 0; more < most_continued; ++more) {
                    const Places<words> moved = (reach & continued).later(1);
                    for (unsigned i = 0; i < words; ++i) reach.bits[i] = (reach.bits[i] & ~continued.bits[i]) | moved.bits[i];
                }
                break;
        }
    }
    return (reach & text.end()).any();
}

template <unsigned words>
MC2_INLINE void like_rows(const u64* a, std::size_t width, const PatternStep* steps, std::size_t count, u8* out,
                          std::size_t rows) noexcept {
    bool one = false;
    for (std::size_t k = 0; k < count; ++k) one = one || steps[k].kind == PatternStep::Kind::any_one;
    for (std::size_t i = 0; i < rows; ++i) {
        const Text<words> text(a + i * width, width);
        out[i] = (one ? matches_characters(text, steps, count) : matches(text, steps, count)).byte();
    }
}

void like(const u64* a, std::size_t width, const PatternStep* steps, std::size_t count, u8* out,
          std::size_t rows) noexcept {
    const std::size_t places = 8 * (width - 1) + 1;
    if (places <= 64) {
        like_rows<1>(a, width, steps, count, out, rows);
    } else if (places <= 128) {
        like_rows<2>(a, width, steps, count, out, rows);
    } else if (places <= 256) {
        like_rows<4>(a, width, steps, count, out, rows);
    } else {
        like_rows<16>(a, width, steps, count, out, rows);
    }
}

// --- texts made of texts

void change_case(LetterCase to, const u64* a, std::size_t width, const u8* counts, u64* out, std::size_t rows,
                 u64* flags) noexcept {
    Flags raised;
    const u64 first = every_byte * (to == LetterCase::lower ? 'A' : 'a'), past = every_byte * (to == LetterCase::lower ? 'Z' + 1 : 'z' + 1);
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        raised.raise(Flag::out_of_domain, Mask::from_bit(counts[i]) & beyond_ascii(row, width - 1));
        for (std::size_t j = 0; j + 1 < width; ++j) {
            // Bytes are below 128, so sums stay in their bytes: the top bit says "at least".
            const u64 word = row[j] & ~top_bits;
            const u64 at_least = word + (top_bits - first), beyond = word + (top_bits - past);
            const u64 letters = at_least & ~beyond & top_bits;
            out[i * width + j] = row[j] ^ (letters >> 2);  // 0x20 is what upper and lower case differ in
        }
        out[i * width + width - 1] = row[width - 1];
    }
    raised.raise_in(flags);
}

void substring(const u64* a, std::size_t width, i64 start, i64 count, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        Secret<i64> from(start == 0 ? 0 : start - 1);
        if (start < 0) from = Secret<i64>::from_bits(characters_of(row, width - 1).bits()) + Secret<i64>(start);
        cut_characters(row, width, from, Secret<i64>(count), out + i * width);
    }
}

void trim(const u64* a, std::size_t width, bool start, bool end, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Secret<u64> length(row[width - 1]);
        Secret<u64> first = length, last(0);  // of the bytes that are no spaces: the first, and after the last
        for (std::size_t j = 0; j + 1 < width; ++j) {
            for (unsigned k = 0; k < 8; ++k) {
                const Secret<u64> place(8 * j + k);
                const Secret<u64> byte((row[j] >> (56 - 8 * k)) & 0xff);
                const Mask counts = (byte != Secret<u64>(' ')) & (place < length);
                first = select(counts, smaller(first, place), first);
                last = select(counts, place + Secret<u64>(1), last);
            }
        }
        const Secret<u64> from = start ? first : Secret<u64>(0);
        const Secret<u64> to = end ? larger(last, from) : length;
        cut_out(row, width, from, to, out + i * width);
    }
}

void concat(const u64* a, std::size_t a_width, const u64* b, std::size_t b_width, const u8* counts, u64* out,
            std::size_t out_width, std::size_t rows, u64* flags) noexcept {
    Flags raised;
    const std::size_t words = out_width - 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 *left = a + i * a_width, *right = b + i * b_width;
        u64* row = out + i * out_width;
        u64 moved[most_words];
        for (std::size_t j = 0; j < words; ++j) moved[j] = j + 1 < b_width ? right[j] : 0;
        const Secret<u64> offset(left[a_width - 1]);
        move_bytes(moved, words, offset, false);
        for (std::size_t j = 0; j < words; ++j) row[j] = moved[j] | (j + 1 < a_width ? left[j] : 0);
        const Secret<u64> length = offset + Secret<u64>(right[b_width - 1]);
        raised.raise(Flag::bound_exceeded, Mask::from_bit(counts[i]) & (length > Secret<u64>(8 * words)));
        row[words] = length.bits();
    }
    raised.raise_in(flags);
}

}  // namespace

extern const TextsKernels texts_table;
const TextsKernels texts_table = {count_characters, like, change_case, substring, trim, concat};

}  // namespace mc2::oblivious::MC2_ISA
