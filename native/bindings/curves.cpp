#include "mc2/curves.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

using oblivious::Curve;
using oblivious::kernels::curves;

void bind_curves(nb::module_& m) {
    m.def("curve",
          [](unsigned what, Words a, OutWords out) {
              require_one_length(out, a);
              require(what <= 3, "there are exp, ln, log2 and log10");
              nb::gil_scoped_release unlocked;
              curves().curve(static_cast<Curve>(what), reinterpret_cast<const double*>(a.data()),
                             reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "what"_a, "a"_a.noconvert(), "out"_a.noconvert(), "exp, ln, log2 or log10 of doubles.");
    m.def("power",
          [](Words a, Words b, OutWords out) {
              require_one_length(out, a, b);
              nb::gil_scoped_release unlocked;
              curves().power(reinterpret_cast<const double*>(a.data()), reinterpret_cast<const double*>(b.data()),
                             reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "The first to the power of the second.");
}

}  // namespace mc2::bindings
