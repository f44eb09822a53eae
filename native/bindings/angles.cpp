#include "mc2/angles.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

using oblivious::Angle;
using oblivious::kernels::angles;

void bind_angles(nb::module_& m) {
    m.def("angle",
          [](unsigned what, Words a, OutWords out) {
              require_one_length(out, a);
              require(what <= 5, "there are sin, cos, tan, asin, acos and atan");
              nb::gil_scoped_release unlocked;
              angles().angle(static_cast<Angle>(what), reinterpret_cast<const double*>(a.data()),
                             reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "what"_a, "a"_a.noconvert(), "out"_a.noconvert(), "sin, cos, tan, asin, acos or atan of doubles.");
    m.def("angle_of_point",
          [](Words y, Words x, OutWords out) {
              require_one_length(out, y, x);
              nb::gil_scoped_release unlocked;
              angles().angle_of_point(reinterpret_cast<const double*>(y.data()), reinterpret_cast<const double*>(x.data()),
                                      reinterpret_cast<double*>(out.data()), out.shape(0));
          },
          "y"_a.noconvert(), "x"_a.noconvert(), "out"_a.noconvert(), "The angle of each point.");
}

}  // namespace mc2::bindings
