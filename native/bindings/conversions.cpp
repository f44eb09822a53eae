#include "mc2/conversions.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::i128;
using oblivious::SpelledPart;
using oblivious::kernels::conversions;

constexpr unsigned most_scale = 38, moment_fields = 7;

void require_texts(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}
void require_pairs(std::size_t width) { require(width == 2, "a wide number is two words"); }
void require_scale(unsigned scale) { require(scale <= most_scale, "numbers have at most 38 fraction digits"); }

std::vector<SpelledPart> parts_of(const std::vector<std::pair<unsigned, unsigned>>& given, std::size_t width) {
    std::vector<SpelledPart> parts;
    std::size_t bytes = 0;
    for (const auto& [before, digits] : given) {
        require(before <= 127 && digits >= 1 && digits <= 8, "a part is a byte and 1 to 8 digits");
        parts.push_back({static_cast<std::uint8_t>(before), static_cast<std::uint8_t>(digits)});
        bytes += digits + (before != 0 ? 1 : 0);
    }
    require(parts.size() <= oblivious::most_parts && bytes <= 8 * (width - 1), "the parts are too many");
    return parts;
}

void bind_reading(nb::module_& m) {
    m.def("read_decimal",
          [](Rows a, bool point, unsigned scale, OutRows out, OutMarks read) {
              require_one_length(out, a, read);
              require_texts(a.shape(1));
              require_pairs(out.shape(1));
              require_scale(scale);
              nb::gil_scoped_release unlocked;
              conversions().read_decimal(a.data(), a.shape(1), point, scale, reinterpret_cast<i128*>(out.data()), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "point"_a, "scale"_a, "out"_a.noconvert(), "read"_a.noconvert(),
          "Numbers times ten to the power of `scale`, and 1 where the text is one.");
    m.def("read_moment",
          [](Rows a, bool time, bool zoned, OutRows out, OutMarks read) {
              require_one_length(out, a, read);
              require_texts(a.shape(1));
              require(out.shape(1) == moment_fields, "a moment is seven numbers");
              nb::gil_scoped_release unlocked;
              conversions().read_moment(a.data(), a.shape(1), time, zoned, out.data(), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "time"_a, "zoned"_a, "out"_a.noconvert(), "read"_a.noconvert(),
          "Year, month, day, hour, minute, second, microsecond, and 1 where the text has them.");
}

void bind_spelling(nb::module_& m) {
    m.def("spell_decimal",
          [](Rows a, bool wide, unsigned scale, OutRows out) {
              require_one_length(out, a);
              require_texts(out.shape(1));
              require_pairs(a.shape(1));
              require_scale(scale);
              require(wide || scale < 19, "numbers of one word have fewer digits");
              nb::gil_scoped_release unlocked;
              conversions().spell_decimal(reinterpret_cast<const i128*>(a.data()), wide, scale, out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "wide"_a, "scale"_a, "out"_a.noconvert(), "Numbers in digits, `scale` of them after a point.");
    m.def("spell_parts",
          [](Rows a, const std::vector<std::pair<unsigned, unsigned>>& given, OutRows out) {
              require_one_length(out, a);
              require_texts(out.shape(1));
              require(a.shape(1) == given.size(), "a row has one number for each part");
              const std::vector<SpelledPart> parts = parts_of(given, out.shape(1));
              nb::gil_scoped_release unlocked;
              conversions().spell_parts(a.data(), parts.data(), parts.size(), out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "parts"_a, "out"_a.noconvert(), "Numbers with leading zeros, and a byte or none before each.");
}

}  // namespace

void bind_conversions(nb::module_& m) {
    bind_reading(m);
    bind_spelling(m);
}

}  // namespace mc2::bindings
