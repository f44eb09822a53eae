#include "mc2/chunks.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::kernels::chunks;
using Lengths = Column<std::uint32_t>;
using OutLengths = OutColumn<std::uint32_t>;

void require_size(std::size_t size) { require(size == 1 || size == 2 || size == 4 || size == 8, "numbers have 1, 2, 4 or 8 bytes"); }
void require_width(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}

void bind_reading(nb::module_& m) {
    m.def("filled",
          [](Lengths counts, std::size_t capacity, OutMarks out, OutWords flags) {
              require(capacity > 0 && capacity <= most_rows, "a chunk has room for a row");
              require(counts.shape(0) <= most_rows && out.shape(0) <= counts.shape(0) * capacity, "there are no more rows than places");
              require(flags.shape(0) == 1, "flags are one word");
              nb::gil_scoped_release unlocked;
              chunks().filled(counts.data(), counts.shape(0), capacity, out.data(), out.shape(0), flags.data());
          },
          "counts"_a.noconvert(), "capacity"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
          "1 for the places that are filled, of chunks of so many places each.");
    m.def("bits_to_marks",
          [](Marks bits, OutMarks out) {
              require(bits.shape(0) >= (out.shape(0) + 7) / 8, "there is a bit for each row");
              nb::gil_scoped_release unlocked;
              chunks().bits_to_marks(bits.data(), out.data(), out.shape(0));
          },
          "bits"_a.noconvert(), "out"_a.noconvert(), "Bits of bytes, the lowest first, as marks.");
    m.def("widen_bytes",
          [](Marks bytes, std::size_t size, OutWords out) {
              require_size(size);
              require(bytes.shape(0) == size * out.shape(0), "there are as many bytes as the numbers take");
              nb::gil_scoped_release unlocked;
              chunks().widen_bytes(bytes.data(), size, out.data(), out.shape(0));
          },
          "bytes"_a.noconvert(), "size"_a, "out"_a.noconvert(), "Signed numbers of so many bytes as words.");
    m.def("widen_floats",
          [](Marks bytes, OutWords out) {
              require(bytes.shape(0) == 4 * out.shape(0), "a float has four bytes");
              nb::gil_scoped_release unlocked;
              chunks().widen_floats(bytes.data(), out.data(), out.shape(0));
          },
          "bytes"_a.noconvert(), "out"_a.noconvert(), "Floats as the bits of doubles.");
    m.def("read_texts",
          [](Marks bytes, Lengths lengths, std::size_t most, bool utf8, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, lengths, counts);
              require_width(out.shape(1));
              require(bytes.shape(0) == 8 * (out.shape(1) - 1) * out.shape(0), "there are as many bytes as the texts take");
              require(flags.shape(0) == 1, "flags are one word");
              nb::gil_scoped_release unlocked;
              chunks().read_texts(bytes.data(), lengths.data(), out.shape(1), most, utf8, counts.data(), out.data(), out.shape(0),
                                  flags.data());
          },
          "bytes"_a.noconvert(), "lengths"_a.noconvert(), "most"_a, "utf8"_a, "counts"_a.noconvert(), "out"_a.noconvert(),
          "flags"_a.noconvert(), "Texts of a chunk as rows of words; flags[0] |= 32 for what is no such text.");
}

void bind_writing(nb::module_& m) {
    m.def("marks_to_bits",
          [](Marks marks, OutMarks out) {
              require(out.shape(0) == (marks.shape(0) + 7) / 8, "there is a bit for each row");
              nb::gil_scoped_release unlocked;
              chunks().marks_to_bits(marks.data(), out.data(), marks.shape(0));
          },
          "marks"_a.noconvert(), "out"_a.noconvert(), "Marks as bits of bytes, the lowest first.");
    m.def("narrow_bytes",
          [](Words words, std::size_t size, OutMarks out) {
              require_size(size);
              require(out.shape(0) == size * words.shape(0), "there are as many bytes as the numbers take");
              nb::gil_scoped_release unlocked;
              chunks().narrow_bytes(words.data(), size, out.data(), words.shape(0));
          },
          "words"_a.noconvert(), "size"_a, "out"_a.noconvert(), "The lowest bytes of words.");
    m.def("narrow_floats",
          [](Words words, OutMarks out) {
              require(out.shape(0) == 4 * words.shape(0), "a float has four bytes");
              nb::gil_scoped_release unlocked;
              chunks().narrow_floats(words.data(), out.data(), words.shape(0));
          },
          "words"_a.noconvert(), "out"_a.noconvert(), "Doubles by their bits as floats.");
    m.def("write_texts",
          [](Rows rows, OutMarks bytes, OutLengths lengths) {
              require_one_length(rows, lengths);
              require_width(rows.shape(1));
              require(bytes.shape(0) == 8 * (rows.shape(1) - 1) * rows.shape(0), "there are as many bytes as the texts take");
              nb::gil_scoped_release unlocked;
              chunks().write_texts(rows.data(), rows.shape(1), bytes.data(), lengths.data(), rows.shape(0));
          },
          "rows"_a.noconvert(), "bytes"_a.noconvert(), "lengths"_a.noconvert(), "Rows of texts as a chunk has them.");
}

}  // namespace

void bind_chunks(nb::module_& m) {
    bind_reading(m);
    bind_writing(m);
}

}  // namespace mc2::bindings
