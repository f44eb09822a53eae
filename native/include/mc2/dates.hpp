// The proleptic Gregorian calendar: dates are days since 1970-01-01, times microseconds since then.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

enum class DateField : u32 { year, quarter, month, day, day_of_week, day_of_year, week };
enum class DateUnit : u32 { year, quarter, month, week };

struct DatesKernels {
    // Days of week are 1 for Sunday to 7 for Saturday; weeks those of ISO 8601.
    void (*date_field)(DateField what, const i64* days, i64* out, std::size_t rows) noexcept;
    // The first day of the unit.
    void (*truncate_date)(DateUnit unit, const i64* days, i64* out, std::size_t rows) noexcept;
    void (*last_day)(const i64* days, i64* out, std::size_t rows) noexcept;
    // The same day so many months later, or the last one of a month that is shorter.
    void (*add_months)(const i64* days, const i64* months, i64* out, std::size_t rows) noexcept;
    // Raises bad_cast where there is no such day.
    void (*make_date)(const i64* year, const i64* month, const i64* day, const u8* counts, i64* out,
                      std::size_t rows, u64* flags) noexcept;
    // Whole numbers over a public divisor of at least 2, towards minus infinity, and what is left.
    void (*floor_divide)(const i64* a, u64 divisor, i64* out, std::size_t rows) noexcept;
    void (*modulo)(const i64* a, u64 divisor, i64* out, std::size_t rows) noexcept;
};

}  // namespace mc2::oblivious
