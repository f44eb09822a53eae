#include "mc2/dates.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 33};

const i64* as(const u64* words) { return reinterpret_cast<const i64*>(words); }

// A kernel from one column of dates to another.
template <typename Run>
Case one_column(std::string name, Run run) {
    return {std::move(name), sizes, [run](Probe& p) {
        const std::size_t n = p.rows();
        const auto* days = p.words(n, 1 << 20);
        auto* out = p.room<i64>(n);
        p.kernel([=] { run(kernels::dates(), as(days), out, n); });
    }};
}

}  // namespace

void dates_cases(std::vector<Case>& cases) {
    using K = const DatesKernels&;
    const char* fields[] = {"year", "quarter", "month", "day", "day_of_week", "day_of_year", "week"};
    for (u32 what = 0; what < 7; ++what) {
        cases.push_back(one_column(std::string("dates.date_field/") + fields[what],
            [what](K k, const i64* a, i64* out, std::size_t n) { k.date_field(static_cast<DateField>(what), a, out, n); }));
    }
    const char* units[] = {"year", "quarter", "month", "week"};
    for (u32 unit = 0; unit < 4; ++unit) {
        cases.push_back(one_column(std::string("dates.truncate_date/") + units[unit],
            [unit](K k, const i64* a, i64* out, std::size_t n) { k.truncate_date(static_cast<DateUnit>(unit), a, out, n); }));
    }
    cases.push_back(one_column("dates.last_day", [](K k, const i64* a, i64* out, std::size_t n) { k.last_day(a, out, n); }));
    cases.push_back(one_column("dates.floor_divide", [](K k, const i64* a, i64* out, std::size_t n) { k.floor_divide(a, 86400, out, n); }));
    cases.push_back(one_column("dates.modulo", [](K k, const i64* a, i64* out, std::size_t n) { k.modulo(a, 86400, out, n); }));
    cases.push_back({"dates.add_months", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *days = p.words(n, 1 << 20), *months = p.words(n, 500);
        auto* out = p.room<i64>(n);
        p.kernel([=] { kernels::dates().add_months(as(days), as(months), out, n); });
    }});
    cases.push_back({"dates.make_date", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *year = p.words(n, 3000), *month = p.words(n, 20), *day = p.words(n, 40);
        const auto* counts = p.marks(n);
        auto* out = p.room<i64>(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::dates().make_date(as(year), as(month), as(day), counts, out, n, flags); });
    }});
}

}  // namespace mc2::oblivious
