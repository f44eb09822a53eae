#include "mc2/remainders.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

void bind_remainders(nb::module_& m) {
    m.def("remainders",
          [](Words a, Words b, Marks counts, OutWords out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require(flags.shape(0) == 1, "flags are one word");
              nb::gil_scoped_release unlocked;
              oblivious::kernels::remainders().remainders(
                  reinterpret_cast<const double*>(a.data()), reinterpret_cast<const double*>(b.data()), counts.data(),
                  reinterpret_cast<double*>(out.data()), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Remainders of doubles by their bits, exact, with the sign of the dividend.");
}

}  // namespace mc2::bindings
