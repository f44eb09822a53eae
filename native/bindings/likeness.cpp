#include "mc2/likeness.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "text_rows.hpp"

namespace mc2::bindings {

using oblivious::kernels::likeness;

void bind_likeness(nb::module_& m) {
    m.def("count_edits",
          [](Rows a, Rows b, OutWords out) {
              require_one_length(out, a, b);
              require_text_rows(a.shape(1));
              require_text_rows(b.shape(1));
              nb::gil_scoped_release unlocked;
              likeness().count_edits(a.data(), a.shape(1), b.data(), b.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "How many edits of a character lie between.");
    m.def("soundex",
          [](Rows a, OutRows out, OutMarks sounds) {
              require_one_length(out, a, sounds);
              require_text_rows(a.shape(1));
              require(out.shape(1) == 2, "a row is a word and a length");
              nb::gil_scoped_release unlocked;
              likeness().soundex(a.data(), a.shape(1), out.data(), sounds.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "sounds"_a.noconvert(),
          "The Soundex code, and 1 where the text begins with a letter of ASCII.");
}

}  // namespace mc2::bindings
