#include "mc2/encodings.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "text_rows.hpp"

namespace mc2::bindings {
namespace {

using oblivious::Charset;
using oblivious::kernels::encodings;

void require_growth(const Rows& a, const OutRows& out, std::size_t most) {
    require_one_length(out, a);
    require_text_rows(a.shape(1));
    require_text_rows(out.shape(1));
    require(out.shape(1) - 1 <= most, "the answer has no use for such long rows");
}

Charset charset_of(unsigned number) {
    require(number <= static_cast<unsigned>(Charset::utf16le), "a character set is a number 0 to 4");
    return static_cast<Charset>(number);
}

void bind_digits(nb::module_& m) {
    m.def("hex_bytes",
          [](Rows a, OutRows out) {
              require_growth(a, out, 2 * (a.shape(1) - 1));
              nb::gil_scoped_release unlocked;
              encodings().hex(a.data(), a.shape(1), out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Two hexadecimal digits for each byte.");
    m.def("spell_word",
          [](unsigned bits, Words a, OutRows out) {
              require_one_length(out, a);
              require(bits == 1 || bits == 4, "a digit is one bit or four");
              require(out.shape(1) == (bits == 1 ? 9 : 3), "a row has one byte for each digit");
              nb::gil_scoped_release unlocked;
              encodings().spell_word(bits, a.data(), out.data(), out.shape(1), out.shape(0));
          },
          "bits"_a, "a"_a.noconvert(), "out"_a.noconvert(), "Words in digits of `bits` each, without zeros at the start.");
    m.def("unhex",
          [](Rows a, OutRows out, OutMarks read) {
              require_one_length(out, read);
              require_growth(a, out, a.shape(1) - 1);
              nb::gil_scoped_release unlocked;
              encodings().unhex(a.data(), a.shape(1), out.data(), out.shape(1), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "read"_a.noconvert(),
          "Bytes of hexadecimal digits, and 1 where the text has these alone.");
    m.def("base64",
          [](Rows a, OutRows out) {
              require_growth(a, out, 2 * (a.shape(1) - 1));
              nb::gil_scoped_release unlocked;
              encodings().base64(a.data(), a.shape(1), out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Bytes in base64.");
    m.def("unbase64",
          [](Rows a, OutRows out, OutMarks read) {
              require_one_length(out, read);
              require_growth(a, out, a.shape(1) - 1);
              nb::gil_scoped_release unlocked;
              encodings().unbase64(a.data(), a.shape(1), out.data(), out.shape(1), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "read"_a.noconvert(), "Bytes of base64, and 1 where the text is that.");
}

void bind_characters(nb::module_& m) {
    m.def("encode",
          [](unsigned charset, Rows a, OutRows out, OutMarks read) {
              require_one_length(out, read);
              require_growth(a, out, 2 * (a.shape(1) - 1));
              const Charset to = charset_of(charset);
              nb::gil_scoped_release unlocked;
              encodings().encode(to, a.data(), a.shape(1), out.data(), out.shape(1), read.data(), out.shape(0));
          },
          "charset"_a, "a"_a.noconvert(), "out"_a.noconvert(), "read"_a.noconvert(),
          "Texts in ASCII (0), ISO-8859-1 (1) or UTF-16 (3 the high byte first, 4 the low one); 1 where all characters are in it.");
    m.def("decode",
          [](unsigned charset, Rows a, OutRows out, OutMarks read) {
              require_one_length(out, read);
              require_growth(a, out, 2 * (a.shape(1) - 1));
              const Charset from = charset_of(charset);
              const bool alike = from == Charset::ascii || from == Charset::utf8;
              require(!alike || out.shape(1) == a.shape(1), "all rows must have one width");
              nb::gil_scoped_release unlocked;
              encodings().decode(from, a.data(), a.shape(1), out.data(), out.shape(1), read.data(), out.shape(0));
          },
          "charset"_a, "a"_a.noconvert(), "out"_a.noconvert(), "read"_a.noconvert(),
          "Texts of bytes in a character set (UTF-8 is 2), and 1 where the bytes are text.");
    m.def("code_point",
          [](Rows a, OutWords out) {
              require_one_length(out, a);
              require_text_rows(a.shape(1));
              nb::gil_scoped_release unlocked;
              encodings().code_point(a.data(), a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The number of the first character, 0 if there is none.");
    m.def("character",
          [](Words a, OutRows out) {
              require_one_length(out, a);
              require(out.shape(1) == 2, "a row is a word and a length");
              nb::gil_scoped_release unlocked;
              encodings().character(reinterpret_cast<const std::int64_t*>(a.data()), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The character of a number modulo 256; nothing below zero.");
}

}  // namespace

void bind_encodings(nb::module_& m) {
    bind_digits(m);
    bind_characters(m);
}

}  // namespace mc2::bindings
