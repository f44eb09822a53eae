#include "mc2/groups.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

void bind_groups(nb::module_& m) {
    using oblivious::kernels::groups;
    m.def("gather_bits",
          [](const std::vector<Marks>& marks, OutWords out) {
              require(marks.size() <= 64, "a word has 64 bits");
              std::vector<const std::uint8_t*> all;
              for (const Marks& column : marks) {
                  require_one_length(out, column);
                  all.push_back(column.data());
              }
              nb::gil_scoped_release unlocked;
              groups().gather_bits(all.data(), all.size(), out.data(), out.shape(0));
          },
          "marks"_a.noconvert(), "out"_a.noconvert(), "Bit k of each word is the mark of column k.");
    m.def("spread_bit",
          [](Words words, unsigned place, OutMarks out) {
              require_one_length(out, words);
              require(place < 64, "a word has 64 bits");
              nb::gil_scoped_release unlocked;
              groups().spread_bit(words.data(), place, out.data(), out.shape(0));
          },
          "words"_a.noconvert(), "place"_a, "out"_a.noconvert(), "One bit of each word.");
    m.def("extreme_rows",
          [](Marks starts, Marks keep, Rows values, const std::vector<std::uint64_t>& flips, bool greatest, OutRows out) {
              require_one_length(out, starts, keep, values);
              require(values.shape(1) == out.shape(1) && flips.size() == out.shape(1), "all rows must have one width");
              nb::gil_scoped_release unlocked;
              groups().extreme_rows(starts.data(), keep.data(), values.data(), flips.data(), out.shape(1), greatest,
                                    out.data(), out.shape(0));
          },
          "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "flips"_a, "greatest"_a,
          "out"_a.noconvert(), "The least or greatest row of the group so far, by unsigned words after XOR with their flips.");
    m.def("exact_sum",
          [](Marks starts, Marks keep, Words values, OutWords out) {
              require_one_length(out, starts, keep, values);
              nb::gil_scoped_release unlocked;
              groups().exact_sum(starts.data(), keep.data(), reinterpret_cast<const double*>(values.data()),
                                 reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "out"_a.noconvert(),
          "Sums of doubles, by their bits: exact, and rounded once.");
    m.def("exact_states",
          [](Marks starts, Marks keep, Words values, OutWords state, OutRows out) {
              require_one_length(out, starts, keep, values);
              require(state.shape(0) == oblivious::state_words && out.shape(1) == oblivious::state_words,
                      "an exact sum takes 36 words");
              nb::gil_scoped_release unlocked;
              groups().exact_states(starts.data(), keep.data(), reinterpret_cast<const double*>(values.data()),
                                    state.data(), out.data(), out.shape(0));
          },
          "starts"_a.noconvert(), "keep"_a.noconvert(), "values"_a.noconvert(), "state"_a.noconvert(),
          "out"_a.noconvert(), "Exact sums of doubles that go on in other rows: not rounded, 36 words each.");
    m.def("sum_states",
          [](Marks starts, Marks keep, Rows states, OutWords out) {
              require_one_length(out, starts, keep, states);
              require(states.shape(1) == oblivious::state_words, "an exact sum takes 36 words");
              nb::gil_scoped_release unlocked;
              groups().sum_states(starts.data(), keep.data(), states.data(), reinterpret_cast<double*>(out.data()),
                                  out.shape(0));
          },
          "starts"_a.noconvert(), "keep"_a.noconvert(), "states"_a.noconvert(), "out"_a.noconvert(),
          "Sums of exact sums, by the bits of doubles: rounded once.");
}

}  // namespace mc2::bindings
