#include "mc2/digits.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::i128;
using oblivious::kernels::digits;

constexpr unsigned most_digits = 38;

void require_digits(unsigned scale, unsigned precision = most_digits) {
    require(scale <= precision && precision >= 1 && precision <= most_digits, "decimals have at most 38 digits");
}

const double* doubles_of(const Words& words) { return reinterpret_cast<const double*>(words.data()); }
double* doubles_of(const OutWords& words) { return reinterpret_cast<double*>(words.data()); }

void bind_texts(nb::module_& m) {
    m.def("spell_double",
          [](Words a, bool narrow, OutRows out) {
              require_one_length(out, a);
              require(out.shape(1) == (narrow ? 3 : 4), "a double has up to 24 bytes, a float up to 15");
              nb::gil_scoped_release unlocked;
              digits().spell_double(doubles_of(a), narrow, out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "narrow"_a, "out"_a.noconvert(), "The shortest texts that read back as these doubles, or floats if `narrow`.");
    m.def("read_double",
          [](Rows a, bool narrow, OutWords out, OutMarks read) {
              require_one_length(out, a, read);
              require(a.shape(1) >= 2 && a.shape(1) <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
              nb::gil_scoped_release unlocked;
              digits().read_double(a.data(), a.shape(1), narrow, doubles_of(out), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "narrow"_a, "out"_a.noconvert(), "read"_a.noconvert(),
          "The nearest doubles, or floats if `narrow`, and 1 where the text is a number.");
}

void bind_decimals(nb::module_& m) {
    m.def("double_to_decimal",
          [](Words a, unsigned scale, unsigned precision, OutRows out, OutMarks fits) {
              require_one_length(out, a, fits);
              require(out.shape(1) == 2, "a wide number is two words");
              require_digits(scale, precision);
              nb::gil_scoped_release unlocked;
              digits().double_to_decimal(doubles_of(a), scale, precision, reinterpret_cast<i128*>(out.data()), fits.data(), out.shape(0));
          },
          "a"_a.noconvert(), "scale"_a, "precision"_a, "out"_a.noconvert(), "fits"_a.noconvert(),
          "Their shortest digits times ten to the power of `scale`, rounded, and 1 where these are `precision` at most.");
    m.def("decimal_to_double",
          [](Rows a, unsigned scale, bool narrow, OutWords out) {
              require_one_length(out, a);
              require(a.shape(1) == 2, "a wide number is two words");
              require_digits(scale);
              nb::gil_scoped_release unlocked;
              digits().decimal_to_double(reinterpret_cast<const i128*>(a.data()), scale, narrow, doubles_of(out), out.shape(0));
          },
          "a"_a.noconvert(), "scale"_a, "narrow"_a, "out"_a.noconvert(), "The nearest doubles, or floats if `narrow`.");
    m.def("double_to_float",
          [](Words a, OutWords out, OutMarks fits) {
              require_one_length(out, a, fits);
              nb::gil_scoped_release unlocked;
              digits().double_to_float(doubles_of(a), doubles_of(out), fits.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "fits"_a.noconvert(), "The nearest floats, as doubles, and 1 where there is one.");
}

}  // namespace

void bind_digits(nb::module_& m) {
    bind_texts(m);
    bind_decimals(m);
}

}  // namespace mc2::bindings
