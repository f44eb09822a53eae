#include "mc2/logic.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {
namespace {

using oblivious::kernels::logic;

void bind_marks(nb::module_& m) {
    m.def("and_marks",
          [](Marks a, Marks b, OutMarks out) {
              require_one_length(out, a, b);
              nb::gil_scoped_release unlocked;
              logic().and_marks(a.data(), b.data(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "1 where both are.");
    m.def("or_marks",
          [](Marks a, Marks b, OutMarks out) {
              require_one_length(out, a, b);
              nb::gil_scoped_release unlocked;
              logic().or_marks(a.data(), b.data(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "1 where one is.");
    m.def("not_marks",
          [](Marks a, OutMarks out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              logic().not_marks(a.data(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "1 where it is 0.");
    m.def("and_known",
          [](Marks a, Marks a_known, Marks b, Marks b_known, OutMarks out, OutMarks out_known) {
              require_one_length(out, a, a_known, b, b_known, out_known);
              nb::gil_scoped_release unlocked;
              logic().and_known(a.data(), a_known.data(), b.data(), b_known.data(), out.data(), out_known.data(), out.shape(0));
          },
          "a"_a.noconvert(), "a_known"_a.noconvert(), "b"_a.noconvert(), "b_known"_a.noconvert(), "out"_a.noconvert(),
          "out_known"_a.noconvert(), "SQL's AND of truth values that may be unknown.");
    m.def("or_known",
          [](Marks a, Marks a_known, Marks b, Marks b_known, OutMarks out, OutMarks out_known) {
              require_one_length(out, a, a_known, b, b_known, out_known);
              nb::gil_scoped_release unlocked;
              logic().or_known(a.data(), a_known.data(), b.data(), b_known.data(), out.data(), out_known.data(), out.shape(0));
          },
          "a"_a.noconvert(), "a_known"_a.noconvert(), "b"_a.noconvert(), "b_known"_a.noconvert(), "out"_a.noconvert(),
          "out_known"_a.noconvert(), "SQL's OR of truth values that may be unknown.");
    m.def("marks_to_words",
          [](Marks a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              logic().marks_to_words(a.data(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Marks as words 0 and 1.");
    m.def("words_to_marks",
          [](Words a, OutMarks out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              logic().words_to_marks(a.data(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The lowest bits of words.");
    m.def("raise_flag",
          [](Marks when, std::uint64_t flag, OutWords flags) {
              require(flags.shape(0) == 1, "flags are one word");
              nb::gil_scoped_release unlocked;
              logic().raise_flag(when.data(), when.shape(0), flag, flags.data());
          },
          "when"_a.noconvert(), "flag"_a, "flags"_a.noconvert(), "Raise a flag if a mark is 1.");
}

void bind_choices(nb::module_& m) {
    m.def("select_marks",
          [](Marks keep, Marks a, Marks b, OutMarks out) {
              require_one_length(out, keep, a, b);
              nb::gil_scoped_release unlocked;
              logic().select_marks(keep.data(), a.data(), b.data(), out.data(), out.shape(0));
          },
          "keep"_a.noconvert(), "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "out[i] = a[i] if keep[i] else b[i].");
    m.def("select_rows",
          [](Marks keep, Rows a, Rows b, OutRows out) {
              require_one_length(out, keep, a, b);
              require(a.shape(1) == out.shape(1) && b.shape(1) == out.shape(1), "all rows must have one width");
              nb::gil_scoped_release unlocked;
              logic().select_rows(keep.data(), a.data(), b.data(), out.shape(1), out.data(), out.shape(0));
          },
          "keep"_a.noconvert(), "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "Row i of a if keep[i], else of b.");
    m.def("clear_rows",
          [](Marks keep, Rows a, OutRows out) {
              require_one_length(out, keep, a);
              require(a.shape(1) == out.shape(1), "all rows must have one width");
              nb::gil_scoped_release unlocked;
              logic().clear_rows(keep.data(), a.data(), out.shape(1), out.data(), out.shape(0));
          },
          "keep"_a.noconvert(), "a"_a.noconvert(), "out"_a.noconvert(), "Row i of a if keep[i], else zeros.");
}

// One row stands for all, or there is one for each.
std::size_t step_of(const Rows& a, const Rows& b) {
    require(a.shape(1) == b.shape(1), "all rows must have one width");
    require(b.shape(0) == a.shape(0) || b.shape(0) == 1, "the second column has as many rows as the first, or one");
    return b.shape(0) == a.shape(0) ? b.shape(1) : 0;
}

void bind_comparisons(nb::module_& m) {
    m.def("equal_rows",
          [](Rows a, Rows b, OutMarks out) {
              require_one_length(out, a);
              const std::size_t step = step_of(a, b);
              nb::gil_scoped_release unlocked;
              logic().equal_rows(a.data(), b.data(), step, a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "1 where the rows are equal; b may be one row.");
    m.def("less_rows",
          [](Rows a, Rows b, OutMarks out) {
              require_one_length(out, a);
              const std::size_t step = step_of(a, b);
              nb::gil_scoped_release unlocked;
              logic().less_rows(a.data(), b.data(), step, a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "1 where the row of a comes first, by unsigned words from the left; b may be one row.");
}

}  // namespace

void bind_logic(nb::module_& m) {
    bind_marks(m);
    bind_choices(m);
    bind_comparisons(m);
}

}  // namespace mc2::bindings
