#include "mc2/hashes.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "text_rows.hpp"

namespace mc2::bindings {
namespace {

using oblivious::Hash;
using oblivious::i128;
using oblivious::kernels::hashes;
using Reals = Column<double>;

Hash hash_of(unsigned number) {
    require(number <= static_cast<unsigned>(Hash::xxhash64), "a hash is 0 or 1");
    return static_cast<Hash>(number);
}

}  // namespace

void bind_hashes(nb::module_& m) {
    m.def("hash_words",
          [](unsigned which, unsigned bytes, Words a, Marks known, OutWords so_far) {
              require_one_length(so_far, a, known);
              require(bytes == 4 || bytes == 8, "a number has four bytes or eight");
              const Hash hash = hash_of(which);
              nb::gil_scoped_release unlocked;
              hashes().hash_words(hash, bytes, a.data(), known.data(), so_far.data(), so_far.shape(0));
          },
          "which"_a, "bytes"_a, "a"_a.noconvert(), "known"_a.noconvert(), "so_far"_a.noconvert(),
          "MurmurHash3 (0) or XXH64 (1) of numbers, from where the values before them ended.");
    m.def("hash_texts",
          [](unsigned which, Rows a, Marks known, OutWords so_far) {
              require_one_length(so_far, a, known);
              require_text_rows(a.shape(1));
              const Hash hash = hash_of(which);
              nb::gil_scoped_release unlocked;
              hashes().hash_texts(hash, a.data(), a.shape(1), known.data(), so_far.data(), so_far.shape(0));
          },
          "which"_a, "a"_a.noconvert(), "known"_a.noconvert(), "so_far"_a.noconvert(), "The same of texts.");
    m.def("real_bits",
          [](bool half, Reals a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              hashes().real_bits(half, a.data(), out.data(), out.shape(0));
          },
          "half"_a, "a"_a.noconvert(), "out"_a.noconvert(), "The bits by which doubles are hashed, or floats.");
    m.def("number_bytes",
          [](Rows a, OutRows out) {
              require_one_length(out, a);
              require(a.shape(1) == 2 && out.shape(1) == 3, "a wide number is two words, and its bytes three");
              nb::gil_scoped_release unlocked;
              hashes().number_bytes(reinterpret_cast<const i128*>(a.data()), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The fewest bytes that hold a number with its sign, the highest first.");
}

}  // namespace mc2::bindings
