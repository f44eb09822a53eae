#include "mc2/digests.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "text_rows.hpp"

namespace mc2::bindings {

using oblivious::Digest;
using oblivious::kernels::digests;

void bind_digests(nb::module_& m) {
    m.def("digest",
          [](unsigned which, Rows a, OutRows out) {
              require_one_length(out, a);
              require_text_rows(a.shape(1));
              require(which <= static_cast<unsigned>(Digest::sha512), "a digest is a number 0 to 5");
              require(out.shape(1) == oblivious::digest_digits(static_cast<Digest>(which)) / 8 + 1, "a row has one byte for each digit");
              nb::gil_scoped_release unlocked;
              digests().digest(static_cast<Digest>(which), a.data(), a.shape(1), out.data(), out.shape(0));
          },
          "which"_a, "a"_a.noconvert(), "out"_a.noconvert(),
          "MD5 (0), SHA-1 (1), SHA-2 of 224, 256, 384 or 512 bits (2 to 5), in hexadecimal digits.");
    m.def("crc32",
          [](Rows a, OutWords out) {
              require_one_length(out, a);
              require_text_rows(a.shape(1));
              nb::gil_scoped_release unlocked;
              digests().crc32(a.data(), a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "CRC-32.");
}

}  // namespace mc2::bindings
