#include "mc2/curves.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

using oblivious::Curve;
using oblivious::CurveOfTwo;
using oblivious::kernels::curves;

void bind_curves(nb::module_& m) {
    m.def("curve",
          [](unsigned what, Words a, OutWords out) {
              require_one_length(out, a);
              require(what <= 12, "there are 13 curves");
              nb::gil_scoped_release unlocked;
              curves().curve(static_cast<Curve>(what), reinterpret_cast<const double*>(a.data()),
                             reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "what"_a, "a"_a.noconvert(), "out"_a.noconvert(),
          "exp, ln, log2, log10, expm1, log1p, cbrt, sinh, cosh, tanh, asinh, acosh or atanh of doubles.");
    m.def("curve_of_two",
          [](unsigned what, Words a, Words b, OutWords out) {
              require_one_length(out, a, b);
              require(what <= 2, "there are powers, logarithms to a base and hypotenuses");
              nb::gil_scoped_release unlocked;
              curves().curve_of_two(static_cast<CurveOfTwo>(what), reinterpret_cast<const double*>(a.data()),
                                    reinterpret_cast<const double*>(b.data()), reinterpret_cast<double*>(out.data()),
                                    out.shape(0));
          },
          "what"_a, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "The first to the power of the second, the logarithm of the second to the base that the first is, or the "
          "root of the sum of both squares.");
}

}  // namespace mc2::bindings
