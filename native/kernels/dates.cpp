#include "mc2/dates.hpp"

#include "mc2/arithmetic.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

using Word = Secret<i64>;

MC2_INLINE Word times(Word a, i64 factor) noexcept { return a * Word(factor); }
MC2_INLINE Word plus(Word a, i64 more) noexcept { return a + Word(more); }
MC2_INLINE Word one_if(Mask when) noexcept { return Word(static_cast<i64>(when.word() & 1)); }

struct Civil {
    Word year, month, day;
};

// Days and years that begin in March, so that the leap day is the last; after Howard Hinnant,
// "chrono-compatible low-level date algorithms". All divisors are public.
class Calendar {
public:
    MC2_INLINE Civil civil(Word days) const noexcept {
        const Word shifted = plus(days, 719468);
        const Word era = era_.floor(shifted);
        const Word of_era = shifted - times(era, 146097);
        const Word leaps = by_1460_.floor(of_era) - by_36524_.floor(of_era) + by_146096_.floor(of_era);
        const Word year_of_era = by_365_.floor(of_era - leaps);
        const Word of_year = of_era - start_of(year_of_era);
        const Word from_march = by_153_.floor(plus(times(of_year, 5), 2));
        const Word day = plus(of_year - by_5_.floor(plus(times(from_march, 153), 2)), 1);
        const Mask next_year = from_march >= Word(10);
        const Word month = plus(from_march, 3) - times(one_if(next_year), 12);
        return {times(era, 400) + year_of_era + one_if(next_year), month, day};
    }

    MC2_INLINE Word days(Civil civil) const noexcept {
        const Mask early = civil.month <= Word(2);
        const Word year = civil.year - one_if(early);
        const Word era = by_400_.floor(year);
        const Word year_of_era = year - times(era, 400);
        const Word from_march = plus(civil.month, -3) + times(one_if(early), 12);
        const Word of_year = by_5_.floor(plus(times(from_march, 153), 2)) + plus(civil.day, -1);
        return plus(times(era, 146097) + start_of(year_of_era) + of_year, -719468);
    }

    MC2_INLINE Word days_in_month(Word year, Word month) const noexcept {
        const Word next = plus(month, 1);
        const Mask wraps = next > Word(12);
        const Civil after = {year + one_if(wraps), select(wraps, Word(1), next), Word(1)};
        return days(after) - days({year, month, Word(1)});
    }

    // Monday is 0. 1970-01-01 was a Thursday.
    MC2_INLINE Word weekday(Word days) const noexcept { return by_7_.modulo(plus(days, 3)); }

    MC2_INLINE Word iso_week(Word days_since) const noexcept {
        // A week belongs to the year of its Thursday, and is numbered by it.
        const Word thursday = plus(days_since - weekday(days_since), 3);
        const Word start = days({civil(thursday).year, Word(1), Word(1)});
        return plus(by_7_.floor(thursday - start), 1);
    }

    MC2_INLINE Word quarter(Word month) const noexcept { return plus(by_3_.floor(plus(month, -1)), 1); }
    MC2_INLINE Word floor_years(Word months) const noexcept { return by_12_.floor(months); }

private:
    MC2_INLINE Word start_of(Word year_of_era) const noexcept {
        return times(year_of_era, 365) + by_4_.floor(year_of_era) - by_100_.floor(year_of_era);
    }

    PublicDivisor era_{146097}, by_1460_{1460}, by_36524_{36524}, by_146096_{146096}, by_365_{365}, by_153_{153},
        by_5_{5}, by_400_{400}, by_100_{100}, by_4_{4}, by_7_{7}, by_3_{3}, by_12_{12};
};

template <typename Row>
MC2_INLINE void each(const i64* in, i64* out, std::size_t rows, Row row) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) out[i] = static_cast<i64>(row(Word(in[i])).bits());
    });
}

void date_field(DateField what, const i64* days, i64* out, std::size_t rows) noexcept {
    static constexpr Calendar c;
    switch (what) {
        case DateField::year: each(days, out, rows, [=](Word d) { return c.civil(d).year; }); break;
        case DateField::quarter: each(days, out, rows, [=](Word d) { return c.quarter(c.civil(d).month); }); break;
        case DateField::month: each(days, out, rows, [=](Word d) { return c.civil(d).month; }); break;
        case DateField::day: each(days, out, rows, [=](Word d) { return c.civil(d).day; }); break;
        case DateField::day_of_week:
            each(days, out, rows, [=](Word d) { return plus(c.weekday(plus(d, 1)), 1); });
            break;
        case DateField::day_of_year:
            each(days, out, rows, [=](Word d) { return plus(d - c.days({c.civil(d).year, Word(1), Word(1)}), 1); });
            break;
        case DateField::week: each(days, out, rows, [=](Word d) { return c.iso_week(d); }); break;
    }
}

void truncate_date(DateUnit unit, const i64* days, i64* out, std::size_t rows) noexcept {
    static constexpr Calendar c;
    switch (unit) {
        case DateUnit::year:
            each(days, out, rows, [=](Word d) { return c.days({c.civil(d).year, Word(1), Word(1)}); });
            break;
        case DateUnit::quarter:
            each(days, out, rows, [=](Word d) {
                const Civil civil = c.civil(d);
                return c.days({civil.year, plus(times(c.quarter(civil.month), 3), -2), Word(1)});
            });
            break;
        case DateUnit::month:
            each(days, out, rows, [=](Word d) { return plus(d - c.civil(d).day, 1); });
            break;
        case DateUnit::week: each(days, out, rows, [=](Word d) { return d - c.weekday(d); }); break;
    }
}

void last_day(const i64* days, i64* out, std::size_t rows) noexcept {
    static constexpr Calendar c;
    each(days, out, rows, [=](Word d) {
        const Civil civil = c.civil(d);
        return d - civil.day + c.days_in_month(civil.year, civil.month);
    });
}

void add_months(const i64* days, const i64* months, i64* out, std::size_t rows) noexcept {
    static constexpr Calendar c;
    for (std::size_t i = 0; i < rows; ++i) {
        const Civil civil = c.civil(Word(days[i]));
        const Word total = times(civil.year, 12) + plus(civil.month, -1) + Word(months[i]);
        const Word year = c.floor_years(total);
        const Word month = plus(total - times(year, 12), 1);
        const Word day = smaller(civil.day, c.days_in_month(year, month));
        out[i] = static_cast<i64>(c.days({year, month, day}).bits());
    }
}

void make_date(const i64* year, const i64* month, const i64* day, const u8* counts, i64* out, std::size_t rows,
               u64* flags) noexcept {
    static constexpr Calendar c;
    Flags raised;
    for (std::size_t i = 0; i < rows; ++i) {
        const Word y(year[i]), m(month[i]), d(day[i]);
        const Mask month_exists = (m >= Word(1)) & (m <= Word(12));
        const Word safe = select(month_exists, m, Word(1));
        const Mask exists = month_exists & (d >= Word(1)) & (d <= c.days_in_month(y, safe));
        raised.raise(Flag::bad_cast, Mask::from_bit(counts[i]) & ~exists);
        out[i] = static_cast<i64>(c.days({y, safe, d}).bits());
    }
    raised.raise_in(flags);
}

void floor_divide(const i64* a, u64 divisor, i64* out, std::size_t rows) noexcept {
    const PublicDivisor by(divisor);
    each(a, out, rows, [=](Word value) { return by.floor(value); });
}

void modulo(const i64* a, u64 divisor, i64* out, std::size_t rows) noexcept {
    const PublicDivisor by(divisor);
    each(a, out, rows, [=](Word value) { return by.modulo(value); });
}

}  // namespace

extern const DatesKernels dates_table;
const DatesKernels dates_table = {date_field, truncate_date, last_day, add_months, make_date, floor_divide, modulo};

}  // namespace mc2::oblivious::MC2_ISA
