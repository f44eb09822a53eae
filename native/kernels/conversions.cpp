#include "mc2/conversions.hpp"

#include "mc2/arithmetic.hpp"
#include "mc2/bytes.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<u64>;
using Pair = Secret<u128>;

constexpr u64 ten_to_19 = 10000000000000000000u;

MC2_INLINE Mask is_byte(Word byte, char wanted) noexcept { return byte == Word(static_cast<u8>(wanted)); }
MC2_INLINE Word digit_of(Word byte) noexcept { return byte - Word('0'); }
MC2_INLINE Word one_if(Mask when) noexcept { return Word(when.word() & 1); }

// --- numbers

// A number as it is read, one byte after the other.
class Reading {
public:
    MC2_INLINE Reading(bool point, unsigned scale) noexcept : point_allowed_(Mask::constant(point)), scale_(scale) {}

    MC2_INLINE void take(Word byte, Mask inside, bool first) noexcept {
        const Word digit = digit_of(byte);
        const Mask is_digit = inside & (digit < Word(10));
        const Mask minus = is_byte(byte, '-') & Mask::constant(first), plus = is_byte(byte, '+') & Mask::constant(first);
        const Mask is_point = inside & is_byte(byte, '.') & ~point_ & point_allowed_;
        negative_ = negative_ | (inside & minus);
        good_ = good_ & (~inside | is_digit | is_point | minus | plus);
        some_ = some_ | is_digit;
        const Mask after = is_digit & point_;
        append(is_digit & (~point_ | (fraction_ < Word(scale_))), digit);
        up_ = up_ | (after & (fraction_ == Word(scale_)) & (digit >= Word(5)));
        fraction_ = fraction_ + one_if(after);
        point_ = point_ | is_point;
    }
    MC2_INLINE Mask finish(i128& out) noexcept {
        for (unsigned place = 0; place < scale_; ++place) append(fraction_ <= Word(place), Word(0));
        const Pair rounded = value_ + Pair(one_if(up_).bits());
        out = static_cast<i128>(negate_if(negative_, Secret<i128>::from_bits(rounded.bits())).bits());
        return good_ & some_ & (rounded < Pair(power_of_ten(38)));
    }

private:
    MC2_INLINE void append(Mask when, Word digit) noexcept {
        good_ = good_ & ~(when & (value_ >= Pair(power_of_ten(37))));
        value_ = select(when, value_ * Pair(10) + Pair(digit.bits()), value_);
    }

    Pair value_{0};
    Word fraction_{0};
    Mask good_ = Mask::constant(true), some_ = Mask::constant(false), point_ = Mask::constant(false),
         negative_ = Mask::constant(false), up_ = Mask::constant(false), point_allowed_;
    unsigned scale_;
};

void read_decimal(const u64* a, std::size_t width, bool point, unsigned scale, i128* out, u8* read,
                  std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        const Word length(row[width - 1]);
        Reading number(point, scale);
        for (std::size_t place = 0; place < 8 * (width - 1); ++place) {
            number.take(byte_at(row, place), Word(place) < length, place == 0);
        }
        read[i] = number.finish(out[i]).byte();
    }
}

// Digits of a magnitude, the lowest first.
template <unsigned count>
MC2_INLINE void digits_of(Word value, Word* out) noexcept {
    const PublicDivisor ten(10);
    for (unsigned place = 0; place < count; ++place) {
        const Word rest = ten.quotient(value);
        out[place] = value - rest * Word(10);
        value = rest;
    }
}

template <unsigned count>
MC2_INLINE void spell_row(const Word* digits, unsigned scale, Mask negative, u64* out, std::size_t width) noexcept {
    constexpr unsigned words = (count + 2 + 7) / 8;
    const unsigned point = scale > 0 ? 1 : 0, end = count + point + 1;  // a place for the sign stands first
    Word used(scale + 1);
    for (unsigned place = scale + 1; place < count; ++place) {
        used = select(digits[place] != Word(0), Word(place + 1), used);
    }
    const Word start = Word(end - point) - used;
    u64 whole[words + 1] = {}, cut[words + 1];
    const auto put = [&](unsigned at, Word byte) {
        const Word shown = select(Word(at) == start - Word(1), Word('-'), byte);
        whole[at / 8] |= shown.bits() << (56 - 8 * (at % 8));
    };
    put(0, Word('0'));
    for (unsigned place = 0; place < count; ++place) {
        const unsigned past = point != 0 && place >= scale ? 1 : 0;
        put(end - 1 - place - past, digits[place] + Word('0'));
    }
    if (point != 0) put(end - 1 - scale, Word('.'));
    cut_out(whole, words + 1, start - one_if(negative), Word(end), cut);
    for (std::size_t j = 0; j + 1 < width; ++j) out[j] = j < words ? cut[j] : 0;
    out[width - 1] = cut[words];
}

void spell_decimal(const i128* a, bool wide, unsigned scale, u64* out, std::size_t width, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const Secret<i128> value(a[i]);
        const u128 size = magnitude(value).bits();
        Word digits[39];
        if (wide) {
            const WideDivision both = divide_wide<2>({{static_cast<u64>(size), static_cast<u64>(size >> 64), 0, 0}}, Pair(ten_to_19));
            digits_of<19>(Word(static_cast<u64>(both.remainder.bits())), digits);
            digits_of<20>(Word(both.quotient.limbs[0]), digits + 19);
            spell_row<39>(digits, scale, is_negative(value), out + i * width, width);
        } else {
            digits_of<20>(Word(static_cast<u64>(size)), digits);
            spell_row<20>(digits, scale, is_negative(value), out + i * width, width);
        }
    }
}

// --- moments

constexpr unsigned fields = 7;
constexpr unsigned last_of_date = 2, last_of_time = 5;
constexpr u64 least_digits[fields] = {4, 1, 1, 1, 2, 2, 1}, most_digits[fields] = {4, 2, 2, 2, 2, 2, 6};

// What stands after field `field`.
MC2_INLINE Mask parts_fields(Word byte, unsigned field) noexcept {
    if (field < last_of_date) return is_byte(byte, '-');
    if (field == last_of_date) return is_byte(byte, ' ') | is_byte(byte, 'T');
    return is_byte(byte, field == last_of_time ? '.' : ':');
}

class Moment {
public:
    MC2_INLINE explicit Moment(unsigned count) noexcept : count_(count) {
        for (unsigned field = 0; field < fields; ++field) {
            at_[field] = Mask::constant(field == 0);
            value_[field] = Word(0);
        }
    }

    MC2_INLINE void take(Word byte, Mask inside) noexcept {
        const Word digit = digit_of(byte);
        const Mask is_digit = inside & (digit < Word(10));
        Mask moved = Mask::constant(false), room = Mask::constant(false);
        for (unsigned field = count_; field-- > 0;) {
            room = room | (at_[field] & (digits_ < Word(most_digits[field])));
            value_[field] = select(at_[field] & is_digit, value_[field] * Word(10) + digit, value_[field]);
            if (field + 1 < count_) {
                const Mask goes = inside & at_[field] & parts_fields(byte, field) & (digits_ >= Word(least_digits[field]));
                at_[field + 1] = at_[field + 1] | goes;
                at_[field] = at_[field] & ~goes;
                moved = moved | goes;
            }
        }
        good_ = good_ & (~inside | moved | (is_digit & room));
        digits_ = select(moved, Word(0), digits_ + one_if(is_digit));
    }
    MC2_INLINE Mask finish(u64* out) noexcept {
        Mask ends = Mask::constant(false);
        for (unsigned field = 0; field < count_; ++field) {
            const bool may_end = field == last_of_date || field >= last_of_time;
            ends = ends | (at_[field] & Mask::constant(may_end) & (digits_ >= Word(least_digits[field])));
        }
        for (u64 digits = 0; digits < most_digits[fields - 1]; ++digits) {  // 5 is 500,000 microseconds
            const Mask short_of = at_[fields - 1] & (digits_ <= Word(digits));
            value_[fields - 1] = select(short_of, value_[fields - 1] * Word(10), value_[fields - 1]);
        }
        for (unsigned field = 0; field < fields; ++field) out[field] = value_[field].bits();
        return good_ & ends;
    }

private:
    Mask at_[fields];
    Word value_[fields], digits_{0};
    Mask good_ = Mask::constant(true);
    unsigned count_;
};

void read_moment(const u64* a, std::size_t width, bool time, bool zoned, u64* out, u8* read, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64* row = a + i * width;
        Word length(row[width - 1]);
        if (zoned) {  // without its last byte, if that is a Z
            Mask named = Mask::constant(false);
            for (std::size_t place = 0; place < 8 * (width - 1); ++place) {
                named = named | (is_byte(byte_at(row, place), 'Z') & (length == Word(place + 1)));
            }
            length = length - one_if(named);
        }
        Moment moment(time ? fields : last_of_date + 1);
        for (std::size_t place = 0; place < 8 * (width - 1); ++place) {
            moment.take(byte_at(row, place), Word(place) < length);
        }
        read[i] = moment.finish(out + i * fields).byte();
    }
}

void spell_parts(const u64* a, const SpelledPart* parts, std::size_t count, u64* out, std::size_t width,
                 std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64* row = out + i * width;
        for (std::size_t j = 0; j < width; ++j) row[j] = 0;
        std::size_t place = 0;
        const auto put = [&](std::size_t at, u64 byte) { row[at / 8] |= byte << (56 - 8 * (at % 8)); };
        for (std::size_t part = 0; part < count; ++part) {
            if (parts[part].before != 0) put(place++, parts[part].before);
            Word digits[8];
            digits_of<8>(Word(a[i * count + part]), digits);
            for (unsigned digit = parts[part].digits; digit-- > 0;) put(place++, digits[digit].bits() + '0');
        }
        row[width - 1] = place;
    }
}

}  // namespace

extern const ConversionsKernels conversions_table;
const ConversionsKernels conversions_table = {read_decimal, spell_decimal, read_moment, spell_parts};

}  // namespace mc2::oblivious::MC2_ISA
