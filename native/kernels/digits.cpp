#include "mc2/digits.hpp"

#include <algorithm>
#include <bit>

#include "mc2/arithmetic.hpp"
#include "mc2/bytes.hpp"
#include "mc2/lanes.hpp"
#include "mc2/power_constants.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
using Pair = Secret<u128>;
using Place = Secret<i64>;

constexpr u64 hidden_bit = u64{1} << 52, infinity_bits = 0x7ff0000000000000, nan_bits = 0x7ff8000000000000;
constexpr std::size_t lanes = 4;  // rows that powers are looked up for at once

// Significands of so many bits; the first of them is worth 2^least to 2^most.
struct Format {
    unsigned bits;
    int least, most;
    // 0.d * 10^exponent, d from 1 to 9, is nothing below the first exponent and infinite beyond the last.
    int first_exponent, last_exponent;
};
constexpr Format of_double = {53, -1022, 1023, -323, 309}, of_float = {24, -126, 127, -45, 39};

MC2_INLINE Format format_of(bool narrow) noexcept { return narrow ? of_float : of_double; }
MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }
MC2_INLINE Word word_of(Place value) noexcept { return Word(value.bits()); }
MC2_INLINE Place place_of(Word value) noexcept { return Place::from_bits(value.bits()); }
MC2_INLINE Place clamped(Place value, i64 least, i64 most) noexcept {
    return smaller(larger(value, Place(least)), Place(most));
}

// --- doubles taken apart and put together

struct Parts {
    u64 significand;  // 53 bits; the first is 0 for denormal numbers
    Place exponent;   // of the last bit
    Mask negative, finite, nan;
};

MC2_INLINE Parts parts_of(double value) noexcept {
    const u64 bits = std::bit_cast<u64>(value), raw = (bits >> 52) & 0x7ff, fraction = bits & (hidden_bit - 1);
    const Mask denormal = Word(raw) == Word(0), finite = Word(raw) != Word(0x7ff);
    const Word significand = Word(fraction) | select(denormal, Word(0), Word(hidden_bit));
    const Place exponent = Place(static_cast<i64>(raw) - 1075) + place_of(one_if(denormal));
    return {significand.bits(), exponent, Mask::from_bit(bits >> 63), finite, ~finite & (Word(fraction) != Word(0))};
}

// Shifted to the right by a secret number below 64.
MC2_INLINE Word shift_right(Word value, Place by) noexcept {
    for (unsigned bit = 0; bit < 6; ++bit) value = select(Mask::from_bit(by.bits() >> bit), value >> (1u << bit), value);
    return value;
}

// How many of the highest bits of a word are zero before the first one, which is moved there.
MC2_INLINE Word normalise(u64& value) noexcept {
    Word moved(0);
    for (unsigned step = 32; step > 0; step /= 2) {
        const Mask empty = (Word(value) >> (64 - step)) == Word(0);
        value = select(empty, Word(value) << step, Word(value)).bits();
        moved = moved + keep_if(empty, Word(step));
    }
    return moved;
}
MC2_INLINE Word normalise(u128& value) noexcept {
    const Mask empty = Word(static_cast<u64>(value >> 64)) == Word(0);
    value = select(empty, Pair(value << 64), Pair(value)).bits();
    Word moved = keep_if(empty, Word(64));
    for (unsigned step = 32; step > 0; step /= 2) {
        const Mask none = Word(static_cast<u64>(value >> (128 - step))) == Word(0);
        value = select(none, Pair(value << step), Pair(value)).bits();
        moved = moved + keep_if(none, Word(step));
    }
    return moved;
}

// So many units of 2^exponent.
struct Rounded {
    Word units;
    Place exponent;
};

// The double of such a number, which is one of the format; infinity where it is beyond all of them.
MC2_INLINE Word bits_of(Rounded value, Format format, Mask negative) noexcept {
    const i64 last = format.most - static_cast<i64>(format.bits) + 1;
    const Mask beyond = (value.exponent > Place(last)) |
                        ((value.exponent == Place(last)) & (value.units == Word(u64{1} << format.bits)));
    u64 units = value.units.bits();
    Place exponent = value.exponent;
    if (format.bits < of_double.bits) {  // all of these are doubles that are not denormal
        const Word moved = normalise(units);
        units >>= 11;
        exponent = exponent + Place(11) - place_of(moved);
    }
    // A first bit that is there adds one to the exponent, and a carry beyond it another one.
    const Word number = (word_of(exponent + Place(1074)) << 52) + Word(units);
    const Word found = select(beyond, Word(infinity_bits), keep_if(Word(units) != Word(0), number));
    return found | (one_if(negative) << 63);
}

// The nearest of a format: the first bit of `top` is 1 and worth 2^exponent; `lost`: more than `top`.
MC2_INLINE Rounded nearest(u64 top, Mask lost, Place exponent, Format format) noexcept {
    const Place below = clamped(Place(format.least) - exponent, 0, 63);
    const Word shifted = shift_right(Word(top), below);
    const unsigned dropped = 64 - format.bits;
    const Word units = shifted >> dropped, rest = shifted & Word((u64{1} << dropped) - 1), half(u64{1} << (dropped - 1));
    // What the shift has lost is a part of the lowest bit that stayed.
    u64 back = shifted.bits();
    for (unsigned bit = 0; bit < 6; ++bit) {
        back = select(Mask::from_bit(below.bits() >> bit), Word(back << (1u << bit)), Word(back)).bits();
    }
    const Mask more = lost | (Word(back) != Word(top));
    const Mask up = (rest > half) | ((rest == half) & (more | Mask::from_bit(units.bits())));
    const Place last = larger(exponent, Place(format.least)) - Place(static_cast<i64>(format.bits) - 1);
    return {units + one_if(up), last};
}

void double_to_float(const double* a, double* out, u8* fits, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const Parts parts = parts_of(a[i]);
        // Denormal doubles are nothing beside floats, whatever their first bits are.
        const Rounded found = nearest(parts.significand << 11, Mask::constant(false), parts.exponent + Place(52), of_float);
        const Word bits = bits_of(found, of_float, parts.negative);
        const Word payload(std::bit_cast<u64>(a[i]) & ~((u64{1} << 29) - 1));
        const Word special = payload | keep_if(parts.nan, Word(nan_bits));
        out[i] = std::bit_cast<double>(select(parts.finite, bits, special).bits());
        fits[i] = (~parts.finite | ((bits << 1) != Word(infinity_bits << 1))).byte();
    }
}

void decimal_to_double(const i128* a, unsigned scale, bool narrow, double* out, std::size_t rows) noexcept {
    // value / 10^scale with the divisor's first bit at 127: the quotient of value's 128 bits and 128
    // zeros by it has its first one at bit 128 or 127.
    const Format format = format_of(narrow);
    u128 divisor = power_of_ten(scale);
    unsigned raised = 0;
    while ((divisor >> 127) == 0) {
        divisor <<= 1;
        ++raised;
    }
    for (std::size_t i = 0; i < rows; ++i) {
        const Secret<i128> value(a[i]);
        const Mask nothing = value == Secret<i128>(0);
        u128 size = magnitude(value).bits();
        const Word moved = normalise(size);
        const WideDivision found = divide_wide<4>({{0, 0, static_cast<u64>(size), static_cast<u64>(size >> 64)}}, Pair(divisor));
        // The quotient is 129 bits at most: the first of them is limb 2.
        const u64* limbs = found.quotient.limbs;
        const Mask large = Word(limbs[2]) != Word(0);
        const Word top = select(large, Word((limbs[1] >> 1) | (u64{1} << 63)), Word(limbs[1]));
        const Mask lost = (found.remainder != Pair(0)) | (Word(limbs[0]) != Word(0)) | (large & Mask::from_bit(limbs[1]));
        // value = quotient * 2^(raised - 128 - moved).
        const Place exponent = Place(static_cast<i64>(raised) - 1) + place_of(one_if(large)) - place_of(moved);
        const Word bits = bits_of(nearest(top.bits(), lost, exponent, format), format, is_negative(value));
        out[i] = std::bit_cast<double>(select(nothing, Word(0), bits).bits());
    }
}

// --- powers of ten

// The first 128 bits of 5^n, and whether there are more.
struct Power {
    u128 bits;
    Mask cut;
};

// 5^n for n from first_power to 350: each is a product of two, which are looked for among all.
MC2_INLINE void powers_of_five(const Place* n, Power* out) noexcept {
    u64 coarse[lanes], fine[lanes], found[4][lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
        const u64 index = (n[l] - Place(first_power)).bits();
        coarse[l] = (index * 2428) >> 16;  // a 27th, for all below 3,276
        fine[l] = index - powers_in_step * coarse[l];
    }
    V words[4] = {all64(0), all64(0), all64(0), all64(0)};
    for (unsigned i = 0; i < coarse_powers; ++i) {
        const V here = equal64(load(coarse), all64(i));
        for (unsigned j = 0; j < 3; ++j) words[j] = either(words[j], both(here, all64(coarse_five[i][j])));
    }
    for (unsigned i = 0; i < powers_in_step; ++i) {
        words[3] = either(words[3], both(equal64(load(fine), all64(i)), all64(fine_five[i])));
    }
    for (unsigned j = 0; j < 4; ++j) store(found[j], words[j]);
    for (std::size_t l = 0; l < lanes; ++l) {
        const u128 first = static_cast<u128>(found[0][l]) * found[3][l];
        const u128 second = static_cast<u128>(found[1][l]) * found[3][l] + (first >> 64);
        const u128 third = static_cast<u128>(found[2][l]) * found[3][l] + (second >> 64);
        const Mask large = Mask::from_bit(static_cast<u64>(third >> 127));
        const u64 next = static_cast<u64>(second);
        out[l].bits = select(large, Pair(third), Pair((third << 1) | (next >> 63))).bits();
        out[l].cut = (Word(static_cast<u64>(first)) | select(large, Word(next), Word(next << 1))) != Word(0);
    }
}

// floor(log2(10^n)) and floor(log10(2^n)), the latter of 3/4 of it too, for n from -1,233 to 1,233.
MC2_INLINE Place floor_log2_of_ten(Place n) noexcept { return Place(static_cast<i64>(n.bits() * 1741647)) >> 19; }
MC2_INLINE Place floor_log10_of_two(Place n, Mask three_quarters) noexcept {
    return Place::from_bits(n.bits() * 1262611 - (three_quarters.word() & 524031)) >> 22;
}

// --- the fewest digits

// digits * 10^exponent; there is no digit to take away from them but zeros at their end.
struct Shortest {
    Word digits;  // at most 10^17
    Place exponent;
};

// A number's place among decimals (Giulietti, "The Schubfach way to render doubles", 2020).
struct Interval {
    Word units;      // significand
    Place exponent;  // of its last bit
    Mask narrow_below;  // the number below is nearer than that above: a power of two
};

MC2_INLINE Interval interval_of(const Parts& parts, Format format) noexcept {
    const unsigned spare = of_double.bits - format.bits;
    const i64 least = format.least - static_cast<i64>(format.bits) + 1;
    Place exponent = parts.exponent + Place(spare);
    const Place below = clamped(Place(least) - exponent, 0, 63);
    const Word units = shift_right(Word(parts.significand) >> spare, below);
    exponent = larger(exponent, Place(least));
    const Mask power = units == Word(u64{1} << (format.bits - 1));
    return {units, exponent, power & (exponent != Place(least))};
}

// The upper 64 bits of a product of 192, the lowest of them set if there are more: exact enough for all
// that is compared (section 9.9).
MC2_INLINE Word round_to_odd(u128 power, Word by) noexcept {
    const u128 low = static_cast<u128>(static_cast<u64>(power)) * by.bits();
    const u128 high = static_cast<u128>(static_cast<u64>(power >> 64)) * by.bits() + (low >> 64);
    return Word(static_cast<u64>(high >> 64)) | one_if(Word(static_cast<u64>(high)) > Word(1));
}

MC2_INLINE Shortest shortest_of(const Interval& v, Place k, const Power& power) noexcept {
    const Place shift = v.exponent + floor_log2_of_ten(Place(0) - k) + Place(1);  // 1 to 4
    const u128 factor = power.bits + (power.cut.word() & 1);
    const auto scaled = [&](Word quarters) {
        for (unsigned bit = 0; bit < 3; ++bit) {
            quarters = select(Mask::from_bit(shift.bits() >> bit), quarters << (1u << bit), quarters);
        }
        return round_to_odd(factor, quarters);
    };
    // Quarters of units of 10^k: the number, and the middles between it and its neighbours.
    const Word quarters = v.units << 2, odd = v.units & Word(1);
    const Word low = scaled(quarters - Word(2) + one_if(v.narrow_below)) + odd, here = scaled(quarters);
    const Word high = scaled(quarters + Word(2)) - odd;
    const Word down = here >> 2, up = down + Word(1);
    const Word ten_down = PublicDivisor(10).quotient(down) * Word(10), ten_up = ten_down + Word(10);
    const Mask ten_down_in = low <= (ten_down << 2), ten_up_in = (ten_up << 2) <= high;
    const Mask down_in = low <= (down << 2), up_in = (up << 2) <= high;
    const Word middle = (down << 2) + Word(2);
    const Mask nearer_up = (here > middle) | ((here == middle) & Mask::from_bit(down.bits()));
    const Word one = select((down_in ^ up_in) & down_in, down, select((down_in ^ up_in) | nearer_up, up, down));
    return {select(ten_down_in ^ ten_up_in, select(ten_down_in, ten_down, ten_up), one), k};
}

// Of up to four doubles; what is found for zeros, NaN and infinities is of no meaning.
MC2_INLINE void shortest_of_four(const double* a, std::size_t rows, Format format, Parts* parts, Shortest* out) noexcept {
    Interval intervals[lanes];
    Place k[lanes], n[lanes];
    Power powers[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
        parts[l] = parts_of(l < rows ? a[l] : 0.0);
        intervals[l] = interval_of(parts[l], format);
        k[l] = floor_log10_of_two(intervals[l].exponent, intervals[l].narrow_below);
        n[l] = Place(0) - k[l];
    }
    powers_of_five(n, powers);
    for (std::size_t l = 0; l < lanes; ++l) out[l] = shortest_of(intervals[l], k[l], powers[l]);
}

template <typename Row>
MC2_INLINE void for_shortest(const double* a, std::size_t rows, Format format, Row row) noexcept {
    for (std::size_t start = 0; start < rows; start += lanes) {
        Parts parts[lanes];
        Shortest found[lanes];
        const std::size_t here = std::min(lanes, rows - start);
        shortest_of_four(a + start, here, format, parts, found);
        for (std::size_t l = 0; l < here; ++l) row(start + l, parts[l], found[l]);
    }
}

// digits * 10^by, by from 0 to 63, below 10^38: else `fits` becomes no.
MC2_INLINE Pair raised(Word digits, Word by, Mask& fits) noexcept {
    Pair value(digits.bits());
    for (unsigned bit = 0; bit < 6; ++bit) {
        const unsigned tens = 1u << bit;
        const Mask when = Mask::from_bit(by.bits() >> bit);
        const u128 below = power_of_ten(tens < 38 ? 38 - tens : 0), times = power_of_ten(tens < 38 ? tens : 0);
        fits = fits & (~when | (value < Pair(below)));
        value = select(when, value * Pair(times), value);
    }
    return value;
}

// digits / 10^by, by from 0 to 31, rounded half up.
MC2_INLINE Word lowered(Word digits, Word by) noexcept {
    Word halves = digits << 1;
    for (unsigned bit = 0; bit < 5; ++bit) {
        const PublicDivisor tens(static_cast<u64>(power_of_ten(std::min(1u << bit, 18u))));
        halves = select(Mask::from_bit(by.bits() >> bit), tens.quotient(halves), halves);
    }
    return (halves + Word(1)) >> 1;
}

void double_to_decimal(const double* a, unsigned scale, unsigned precision, i128* out, u8* fits, std::size_t rows) noexcept {
    const Pair end(power_of_ten(precision));
    for_shortest(a, rows, of_double, [&](std::size_t i, const Parts& parts, const Shortest& found) {
        const Mask zero = Word(parts.significand) == Word(0);
        const Place tens = found.exponent + Place(scale);
        const Mask down = tens < Place(0);
        Mask good = Mask::constant(true);
        const Pair up = raised(found.digits, word_of(clamped(tens, 0, 63)), good);
        const Word low = lowered(found.digits, word_of(clamped(Place(0) - tens, 0, 31)));
        const Pair size = select(zero, Pair(0), select(down, Pair(low.bits()), up));
        fits[i] = (parts.finite & (good | zero) & (size < end)).byte();
        out[i] = static_cast<i128>(negate_if(parts.negative, Secret<i128>::from_bits(size.bits())).bits());
    });
}

// --- texts of doubles

// The eight digits of a number below 10^8, a byte each, the highest first.
MC2_INLINE u64 digit_bytes(Word number) noexcept {
    const u64 upper = (number.bits() * 109951163) >> 40;  // over 10^4
    const u64 fours = (upper << 32) | (number.bits() - upper * 10000);
    const u64 hundreds = ((fours * 10486) >> 20) & 0x7f0000007f;
    const u64 twos = (hundreds << 16) | (fours - hundreds * 100);
    const u64 tens = ((twos * 103) >> 10) & 0x000f000f000f000f;
    return (tens << 8) | (twos - tens * 10);
}

// How many bytes stand up to the last one that is not 0; none of them is above 127.
MC2_INLINE Word bytes_up_to_last(u64 word) noexcept {
    u64 marks = ((word + ~top_bits) & top_bits) >> 7;
    for (unsigned step = 8; step < 64; step *= 2) marks |= marks << step;
    return Word((marks * every_byte) >> 56);
}

struct Spelled {
    u64 words[spelled_real_words];
    Word length;
};

MC2_INLINE void join(Spelled& text, u64* tail, Word length) noexcept {
    move_bytes(tail, spelled_real_words, text.length, false);
    for (std::size_t j = 0; j < spelled_real_words; ++j) text.words[j] |= tail[j];
    text.length = text.length + length;
}

// E and a number of up to three digits.
MC2_INLINE void join_exponent(Spelled& text, Place power, Mask shown) noexcept {
    const Mask below = power < Place(0);
    const Word size = magnitude(power);
    const Word short_of = one_if(size < Word(100)) + one_if(size < Word(10));
    u64 digits = digit_bytes(size) | (u64{'0'} * every_byte);
    digits = select(short_of == Word(2), Word(digits << 56), select(short_of == Word(1), Word(digits << 48), Word(digits << 40))).bits();
    const u64 letter = u64{'E'} << 56;
    const Word signed_text(letter | (u64{'-'} << 48) | (digits >> 16)), plain(letter | (digits >> 8));
    u64 tail[spelled_real_words] = {keep_if(shown, select(below, signed_text, plain)).bits(), 0, 0};
    join(text, tail, keep_if(shown, Word(4) - short_of + one_if(below)));
}

// Digits as a fraction of one word after the other, with their first one not 0, and its power of ten.
struct Fraction {
    u64 words[spelled_real_words];
    Place power;
    Word count;
};

MC2_INLINE Fraction fraction_of(const Shortest& found) noexcept {
    Word digits = found.digits;
    Word moved(0);
    for (unsigned tens = 16; tens > 0; tens /= 2) {  // 18 digits
        const Mask few = digits < Word(static_cast<u64>(power_of_ten(18 - tens)));
        digits = select(few, digits * Word(static_cast<u64>(power_of_ten(tens))), digits);
        moved = moved + keep_if(few, Word(tens));
    }
    const Word first = PublicDivisor(static_cast<u64>(power_of_ten(10))).quotient(digits);
    const Word behind = digits - first * Word(static_cast<u64>(power_of_ten(10)));
    const Word second = PublicDivisor(100).quotient(behind), third = behind - second * Word(100);
    Fraction text = {{digit_bytes(first), digit_bytes(second), digit_bytes(third) << 48},
                     found.exponent + Place(17) - place_of(moved), Word(0)};
    for (unsigned j = 0; j < spelled_real_words; ++j) {
        text.count = select(Word(text.words[j]) != Word(0), Word(8 * j) + bytes_up_to_last(text.words[j]), text.count);
    }
    return text;
}

constexpr i64 plain_least = -3, plain_end = 7;  // powers of ten between which there is no exponent

MC2_INLINE Spelled spell(const Shortest& found, Mask negative) noexcept {
    Fraction digits = fraction_of(found);
    const Mask plain = (digits.power >= Place(plain_least)) & (digits.power < Place(plain_end));
    const Mask small = plain & (digits.power < Place(0));
    const Word zeros = keep_if(small, magnitude(digits.power));
    const Word before = select(plain & ~small, word_of(digits.power) + Word(1), Word(1));  // the point
    move_bytes(digits.words, spelled_real_words, zeros, false);
    const Word length = larger(zeros + digits.count, before + Word(1)) + Word(1);
    Spelled text = {{}, length};
    u64 last = 0;
    for (unsigned j = 0; j < spelled_real_words; ++j) {
        const u64 left = bytes_before(before, 8 * j), upto = bytes_before(before + Word(1), 8 * j);
        const u64 here = digits.words[j], moved = (here >> 8) | (last << 56);
        const u64 shown = ((here & left) | (moved & ~upto) | (u64{'0'} * every_byte & ~(left ^ upto))) & bytes_before(length, 8 * j);
        text.words[j] = shown | (u64{'.'} * every_byte & (left ^ upto));
        last = here;
    }
    join_exponent(text, digits.power, ~plain);
    u64 minus = u64{'-'} << 56;
    const u64 mask = negative.word();
    for (u64& word : text.words) {
        const u64 moved = (word >> 8) | minus;
        minus = word << 56;
        word = (mask & moved) | (~mask & word);
    }
    text.length = text.length + one_if(negative);
    return text;
}

MC2_INLINE u64 word_of_text(const char* text, std::size_t from, std::size_t length) noexcept {
    u64 word = 0;
    for (std::size_t i = from; i < from + 8; ++i) word = (word << 8) | (i < length ? static_cast<u8>(text[i]) : 0);
    return word;
}

template <std::size_t size>
MC2_INLINE void put_if(Mask when, const char (&text)[size], Spelled& out) noexcept {
    constexpr std::size_t length = size - 1;
    for (std::size_t j = 0; j < spelled_real_words; ++j) {
        out.words[j] = select(when, Word(word_of_text(text, 8 * j, length)), Word(out.words[j])).bits();
    }
    out.length = select(when, Word(length), out.length);
}

void spell_double(const double* a, bool narrow, u64* out, std::size_t width, std::size_t rows) noexcept {
    for_shortest(a, rows, format_of(narrow), [&](std::size_t i, const Parts& parts, Shortest found) {
        const Mask zero = Word(parts.significand) == Word(0);
        // A zero is spelled as 1 is, but for its digit.
        found = {select(zero, Word(1), found.digits), select(zero, Place(0), found.exponent)};
        Spelled text = spell(found, parts.negative);
        put_if(zero & ~parts.negative, "0.0", text);
        put_if(zero & parts.negative, "-0.0", text);
        put_if(parts.nan, "NaN", text);
        put_if(~parts.finite & ~parts.nan & ~parts.negative, "Infinity", text);
        put_if(~parts.finite & ~parts.nan & parts.negative, "-Infinity", text);
        for (std::size_t j = 0; j + 1 < width; ++j) out[i * width + j] = text.words[j];
        out[i * width + width - 1] = text.length.bits();
    });
}

// --- doubles in texts

constexpr std::size_t most_digit_words = 127;  // of the longest texts
constexpr std::size_t most_limbs = 64;
constexpr u64 far_exponent = 1000000;  // beyond all numbers, however many zeros a text has

// Where the parts of a number in a text stand.
class Outline {
public:
    MC2_INLINE explicit Outline(Word length) noexcept : mantissa_end_(length) {}

    MC2_INLINE void take(Word byte, Mask inside, std::size_t at) noexcept {
        const Word digit = byte - Word('0');
        const Mask is_digit = inside & (digit < Word(10)), in_mantissa = is_digit & ~exponent_;
        const Mask minus = inside & (byte == Word('-')), is_sign = minus | (inside & (byte == Word('+')));
        const Mask is_point = inside & ~exponent_ & ~point_ & (byte == Word('.'));
        const Mask is_letter = inside & ~exponent_ & some_ & ((byte | Word(0x20)) == Word('e'));
        const Mask first = Mask::constant(at == 0), begins = in_mantissa & ~started_ & (digit != Word(0));
        good_ = good_ & (~inside | is_digit | is_point | is_letter | (is_sign & (first | after_letter_)));
        negative_ = negative_ | (minus & first);
        down_ = down_ | (minus & after_letter_);
        some_ = some_ | in_mantissa;
        some_exponent_ = some_exponent_ | (is_digit & exponent_);
        start_ = select(begins, Word(at), start_);
        started_ = started_ | begins;
        point_at_ = select(is_point, Word(at), point_at_);
        point_ = point_ | is_point;
        const Mask counts = is_digit & exponent_ & (power_ < Word(far_exponent));
        power_ = select(counts, power_ * Word(10) + digit, power_);
        mantissa_end_ = select(is_letter, Word(at), mantissa_end_);
        exponent_ = exponent_ | is_letter;
        after_letter_ = is_letter;
    }

    MC2_INLINE Mask is_number() const noexcept { return good_ & some_ & (~exponent_ | some_exponent_); }
    MC2_INLINE Mask is_zero() const noexcept { return ~started_; }
    MC2_INLINE Mask negative() const noexcept { return negative_; }
    // The first digit that is not 0, the point, and the end of digits: without a point it stands there.
    MC2_INLINE Word start() const noexcept { return select(started_, start_, mantissa_end_); }
    MC2_INLINE Word point() const noexcept { return select(point_, point_at_, mantissa_end_); }
    MC2_INLINE Word end() const noexcept { return mantissa_end_; }
    // The number is 0.digits * 10^power.
    MC2_INLINE Place power() const noexcept {
        const Place before = place_of(point() - start()) + place_of(one_if(point() < start()));
        return before + negate_if(down_, place_of(power_));
    }

private:
    Word mantissa_end_, start_{0}, point_at_{0}, power_{0};
    Mask good_ = Mask::constant(true), some_ = Mask::constant(false), some_exponent_ = some_, started_ = some_,
         point_ = some_, exponent_ = some_, after_letter_ = some_, negative_ = some_, down_ = some_;
};

// Numbers of a public count of words, the lowest first. times * value + more, which must fit.
MC2_INLINE void multiply_add(u64* value, std::size_t words, Word times, u64 more) noexcept {
    for (std::size_t i = 0; i < words; ++i) {
        const u128 sum = static_cast<u128>(value[i]) * times.bits() + more;
        value[i] = static_cast<u64>(sum);
        more = static_cast<u64>(sum >> 64);
    }
}

MC2_INLINE void swap_if(Mask when, u64* a, u64* b, std::size_t words) noexcept {
    for (std::size_t i = 0; i < words; ++i) {
        const u64 change = (a[i] ^ b[i]) & when.word();
        a[i] ^= change;
        b[i] ^= change;
    }
}

MC2_INLINE void shift_left(u64* value, std::size_t words, Word by) noexcept {
    Word times(1);
    for (unsigned bit = 0; bit < 6; ++bit) times = select(Mask::from_bit(by.bits() >> bit), times << (1u << bit), times);
    multiply_add(value, words, times, 0);
    for (unsigned bit = 0; (std::size_t{1} << bit) < words; ++bit) {
        const std::size_t step = std::size_t{1} << bit;
        const Mask when = Mask::from_bit(by.bits() >> (6 + bit));
        for (std::size_t i = words; i-- > 0;) {
            value[i] = select(when, Word(i < step ? 0 : value[i - step]), Word(value[i])).bits();
        }
    }
}

// The number that eight bytes below 10 are the digits of.
MC2_INLINE u64 number_of(u64 bytes) noexcept {
    const u64 twos = ((bytes >> 8) & 0x00ff00ff00ff00ff) * 10 + (bytes & 0x00ff00ff00ff00ff);
    const u64 fours = ((twos >> 16) & 0x0000ffff0000ffff) * 100 + (twos & 0x0000ffff0000ffff);
    return (fours >> 32) * 10000 + (fours & 0xffffffff);
}

// The digits of a text from the first that is not 0 on, a byte each, then zeros; which number they begin.
struct Digits {
    u64 bytes[most_digit_words + 1];
    Word first;  // of 19 digits
    Place power;
    Mask negative, number, zero;
};

MC2_INLINE void read_digits(const u64* row, std::size_t width, Digits& out) noexcept {
    const Word length(row[width - 1]);
    Outline outline(length);
    for (std::size_t at = 0; at < 8 * (width - 1); ++at) outline.take(byte_at(row, at), Word(at) < length, at);
    cut_out(row, width, outline.start(), outline.end(), out.bytes);
    // Without the point, if it stands among them.
    const Word left = select(outline.point() > outline.start(), outline.point() - outline.start(), length);
    out.bytes[width - 1] = 0;
    for (std::size_t j = 0; j + 1 < width; ++j) {
        const u64 keep = bytes_before(left, 8 * j), next = (out.bytes[j] << 8) | (out.bytes[j + 1] >> 56);
        out.bytes[j] = ((out.bytes[j] & keep) | (next & ~keep)) & (0x0f * every_byte);
    }
    u64 head[3];  // with 19 digits
    for (std::size_t j = 0; j < 3; ++j) head[j] = j + 1 < width ? out.bytes[j] : 0;
    out.first = Word(number_of(head[0]) * 100000000000 + number_of(head[1]) * 1000 + number_of(head[2] >> 40));
    out.power = outline.power();
    out.negative = outline.negative();
    out.number = outline.is_number();
    out.zero = outline.is_zero();
}

// What a number is to a format but for its last half: at least `units`, less than units + 3/2.
MC2_INLINE Rounded rounded_down(Word first, Place n, u64 power, Format format) noexcept {
    u64 head = first.bits();
    const Word moved = normalise(head);
    const u128 product = static_cast<u128>(head) * power;
    const Mask large = Mask::from_bit(static_cast<u64>(product >> 127));
    const u64 top = select(large, Word(static_cast<u64>(product >> 64)), Word(static_cast<u64>(product >> 63))).bits();
    const Place exponent = Place(63) - place_of(moved) + floor_log2_of_ten(n) + place_of(one_if(large));
    const Place below = clamped(Place(format.least) - exponent, 0, 63);
    const Word units = shift_right(Word(top >> (64 - format.bits)), below);
    return {units, larger(exponent, Place(format.least)) - Place(static_cast<i64>(format.bits) - 1)};
}

// Sizes of the exact numbers that texts of so many digits are compared as: all public.
struct Exact {
    std::size_t limbs;
    unsigned steps;
};

MC2_INLINE Exact exact_sizes(std::size_t digits, Format format) noexcept {
    const std::size_t fives = digits + static_cast<std::size_t>(-format.first_exponent);
    const std::size_t most = std::max<std::size_t>(digits, static_cast<std::size_t>(format.last_exponent)) - digits;
    // log2(5) is less than 149/64, log2(10) less than 213/64.
    const std::size_t bits = std::max(format.bits + 1 + ((149 * fives) >> 6), ((213 * digits) >> 6) + ((149 * most) >> 6));
    return {(bits >> 6) + 2, static_cast<unsigned>((std::max(fives, most) * 2428) >> 16)};
}

// One more unit if digits * 10^power is beyond the middle behind `down`, or there and `down` is odd.
MC2_INLINE Rounded rounded_exactly(const Digits& text, std::size_t width, Place power, Rounded down, Exact sizes) noexcept {
    u64 number[most_limbs] = {}, middle[most_limbs] = {};
    std::size_t j = 0;
    for (; j + 2 < width; j += 2) {
        multiply_add(number, sizes.limbs, Word(10000000000000000), number_of(text.bytes[j]) * 100000000 + number_of(text.bytes[j + 1]));
    }
    if (j + 1 < width) multiply_add(number, sizes.limbs, Word(100000000), number_of(text.bytes[j]));
    middle[0] = (down.units.bits() << 1) | 1;
    // number * 10^power against middle * 2^(exponent - 1): the powers of five go to one side, then
    // those of two that are left to one.
    const Mask up = power >= Place(0);
    swap_if(up, number, middle, sizes.limbs);
    const Word fives = magnitude(power), coarse = (fives * Word(2428)) >> 16;
    Word rest(1);
    for (unsigned i = 1; i < powers_in_step; ++i) {
        constexpr auto five_to = [](unsigned n) { u64 value = 1; while (n-- > 0) value *= 5; return value; };
        rest = select(fives - coarse * Word(powers_in_step) == Word(i), Word(five_to(i)), rest);
    }
    multiply_add(middle, sizes.limbs, rest, 0);
    for (unsigned step = 0; step < sizes.steps; ++step) {
        constexpr u64 five_to_27 = 7450580596923828125;
        multiply_add(middle, sizes.limbs, select(Word(step) < coarse, Word(five_to_27), Word(1)), 0);
    }
    swap_if(up, number, middle, sizes.limbs);
    const Place twos = power - down.exponent + Place(1);
    const Mask raise = twos >= Place(0);
    swap_if(raise, number, middle, sizes.limbs);
    shift_left(middle, sizes.limbs, magnitude(twos));
    swap_if(raise, number, middle, sizes.limbs);
    u64 borrow = 0, different = 0;
    for (std::size_t i = 0; i < sizes.limbs; ++i) {
        const u128 difference = static_cast<u128>(number[i]) - middle[i] - borrow;
        borrow = static_cast<u64>(difference >> 64) & 1;
        different |= static_cast<u64>(difference);
    }
    const Mask less = Mask::from_bit(borrow), tie = Word(different) == Word(0);
    const Mask more = ~less & (~tie | Mask::from_bit(down.units.bits()));
    return {down.units + one_if(more), down.exponent};
}

template <std::size_t size>
MC2_INLINE Mask says(const u64* row, std::size_t width, const char (&text)[size]) noexcept {
    constexpr std::size_t length = size - 1, words = (length + 7) / 8;
    if (words + 1 > width) return Mask::constant(false);
    u64 different = row[width - 1] ^ length;
    for (std::size_t j = 0; j < words; ++j) different |= row[j] ^ word_of_text(text, 8 * j, length);
    return Word(different) == Word(0);
}

void read_double(const u64* a, std::size_t width, bool narrow, double* out, u8* read, std::size_t rows) noexcept {
    const Format format = format_of(narrow);
    const std::size_t digits = 8 * (width - 1);
    const Exact sizes = exact_sizes(digits, format);
    for (std::size_t start = 0; start < rows; start += lanes) {
        const std::size_t here = std::min(lanes, rows - start);
        Digits texts[lanes];
        Place power[lanes], n[lanes];
        Power found[lanes];
        for (std::size_t l = 0; l < lanes; ++l) {
            read_digits(a + (start + std::min(l, here - 1)) * width, width, texts[l]);
            power[l] = clamped(texts[l].power, format.first_exponent, format.last_exponent);
            n[l] = power[l] - Place(19);
        }
        powers_of_five(n, found);
        for (std::size_t l = 0; l < here; ++l) {
            const u64* row = a + (start + l) * width;
            const Rounded down = rounded_down(texts[l].first, n[l], static_cast<u64>(found[l].bits >> 64), format);
            const Rounded whole = rounded_exactly(texts[l], width, power[l] - Place(static_cast<i64>(digits)), down, sizes);
            const Mask plus = says(row, width, "Infinity") | says(row, width, "+Infinity"), minus = says(row, width, "-Infinity");
            const Mask nan = says(row, width, "NaN");
            const Mask nothing = texts[l].zero | (texts[l].power < power[l]), beyond = texts[l].power > power[l];
            Word bits = bits_of(whole, format, Mask::constant(false));
            bits = select(nothing, Word(0), select(beyond, Word(infinity_bits), bits));
            bits = select(plus | minus, Word(infinity_bits), bits);
            bits = select(nan, Word(nan_bits), bits | (one_if(texts[l].negative | minus) << 63));
            out[start + l] = std::bit_cast<double>(bits.bits());
            read[start + l] = (texts[l].number | plus | minus | nan).byte();
        }
    }
}

}  // namespace

extern const DigitsKernels digits_table;
const DigitsKernels digits_table = {spell_double, read_double, double_to_decimal, double_to_float, decimal_to_double};

}  // namespace mc2::oblivious::MC2_ISA
