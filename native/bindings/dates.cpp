#include "mc2/dates.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {
namespace {

using oblivious::DateField;
using oblivious::DateUnit;
using oblivious::i64;
using oblivious::kernels::dates;

const i64* in(const Words& words) { return reinterpret_cast<const i64*>(words.data()); }
i64* into(const OutWords& words) { return reinterpret_cast<i64*>(words.data()); }

}  // namespace

void bind_dates(nb::module_& m) {
    m.def("date_field",
          [](unsigned what, Words days, OutWords out) {
              require(what <= static_cast<unsigned>(DateField::week), "no such field");
              require_one_length(out, days);
              nb::gil_scoped_release unlocked;
              dates().date_field(static_cast<DateField>(what), in(days), into(out), out.shape(0));
          },
          "what"_a, "days"_a.noconvert(), "out"_a.noconvert(),
          "Of dates: 0 year, 1 quarter, 2 month, 3 day, 4 day of week (1 is Sunday), 5 day of year, 6 ISO week.");
    m.def("truncate_date",
          [](unsigned unit, Words days, OutWords out) {
              require(unit <= static_cast<unsigned>(DateUnit::week), "no such unit");
              require_one_length(out, days);
              nb::gil_scoped_release unlocked;
              dates().truncate_date(static_cast<DateUnit>(unit), in(days), into(out), out.shape(0));
          },
          "unit"_a, "days"_a.noconvert(), "out"_a.noconvert(), "The first day of the 0 year, 1 quarter, 2 month, 3 week.");
    m.def("last_day",
          [](Words days, OutWords out) {
              require_one_length(out, days);
              nb::gil_scoped_release unlocked;
              dates().last_day(in(days), into(out), out.shape(0));
          },
          "days"_a.noconvert(), "out"_a.noconvert(), "The last day of the month.");
    m.def("add_months",
          [](Words days, Words months, OutWords out) {
              require_one_length(out, days, months);
              nb::gil_scoped_release unlocked;
              dates().add_months(in(days), in(months), into(out), out.shape(0));
          },
          "days"_a.noconvert(), "months"_a.noconvert(), "out"_a.noconvert(),
          "The same day so many months later, or the last of a month that is shorter.");
    m.def("make_date",
          [](Words year, Words month, Words day, Marks counts, OutWords out, OutWords flags) {
              require_one_length(out, year, month, day, counts);
              require(flags.shape(0) == 1, "flags are one word");
              nb::gil_scoped_release unlocked;
              dates().make_date(in(year), in(month), in(day), counts.data(), into(out), out.shape(0), flags.data());
          },
          "year"_a.noconvert(), "month"_a.noconvert(), "day"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(),
          "flags"_a.noconvert(), "Days since 1970-01-01.");
    m.def("floor_divide",
          [](Words a, std::uint64_t divisor, OutWords out) {
              require_one_length(out, a);
              require(divisor >= 2, "the divisor is at least 2");
              nb::gil_scoped_release unlocked;
              dates().floor_divide(in(a), divisor, into(out), out.shape(0));
          },
          "a"_a.noconvert(), "divisor"_a, "out"_a.noconvert(), "Over a public divisor, towards minus infinity.");
    m.def("modulo",
          [](Words a, std::uint64_t divisor, OutWords out) {
              require_one_length(out, a);
              require(divisor >= 2, "the divisor is at least 2");
              nb::gil_scoped_release unlocked;
              dates().modulo(in(a), divisor, into(out), out.shape(0));
          },
          "a"_a.noconvert(), "divisor"_a, "out"_a.noconvert(), "What `floor_divide` leaves: 0 to divisor - 1.");
}

}  // namespace mc2::bindings
