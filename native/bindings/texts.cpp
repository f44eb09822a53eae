#include "mc2/texts.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {
namespace {

using oblivious::LetterCase;
using oblivious::PatternStep;
using oblivious::kernels::texts;

void require_texts(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}

void require_flags(const OutWords& flags) { require(flags.shape(0) == 1, "flags are one word"); }

std::vector<PatternStep> pattern_of(const std::vector<std::pair<unsigned, unsigned>>& steps) {
    std::vector<PatternStep> pattern;
    for (const auto& [kind, byte] : steps) {
        require(kind <= 2 && byte <= 255, "a step is a kind 0 to 2 and a byte");
        pattern.push_back({static_cast<PatternStep::Kind>(kind), static_cast<std::uint8_t>(byte)});
    }
    require(pattern.size() <= 2 * oblivious::most_text_bytes, "the pattern is too long");
    return pattern;
}

void bind_reading(nb::module_& m) {
    m.def("count_characters",
          [](Rows a, OutWords out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              nb::gil_scoped_release unlocked;
              texts().count_characters(a.data(), a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "How many characters of UTF-8.");
    m.def("like",
          [](Rows a, const std::vector<std::pair<unsigned, unsigned>>& steps, OutMarks out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              const std::vector<PatternStep> pattern = pattern_of(steps);
              nb::gil_scoped_release unlocked;
              texts().like(a.data(), a.shape(1), pattern.data(), pattern.size(), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "steps"_a, "out"_a.noconvert(),
          "1 where the text matches steps (kind, byte): 0 this byte, 1 any character, 2 any run of them.");
}

void bind_making(nb::module_& m) {
    m.def("change_case",
          [](bool lower, Rows a, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, counts);
              require_texts(a.shape(1));
              require(a.shape(1) == out.shape(1), "all rows must have one width");
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              texts().change_case(lower ? LetterCase::lower : LetterCase::upper, a.data(), a.shape(1), counts.data(),
                                  out.data(), out.shape(0), flags.data());
          },
          "lower"_a, "a"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Letters of ASCII in lower or upper case.");
    m.def("substring",
          [](Rows a, std::int64_t start, std::int64_t count, OutRows out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              require(a.shape(1) == out.shape(1), "all rows must have one width");
              require(start >= -(1 << 30) && start <= 1 << 30 && count >= 0 && count <= 1 << 30, "places and counts are small");
              nb::gil_scoped_release unlocked;
              texts().substring(a.data(), a.shape(1), start, count, out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "start"_a, "count"_a, "out"_a.noconvert(),
          "At most `count` characters from place `start`: 1 is the first, -1 the last.");
    m.def("trim",
          [](Rows a, bool start, bool end, OutRows out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              require(a.shape(1) == out.shape(1), "all rows must have one width");
              nb::gil_scoped_release unlocked;
              texts().trim(a.data(), a.shape(1), start, end, out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "start"_a, "end"_a, "out"_a.noconvert(), "Without spaces at the start, the end, or both.");
    m.def("concat",
          [](Rows a, Rows b, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_texts(a.shape(1));
              require_texts(b.shape(1));
              require_texts(out.shape(1));
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              texts().concat(a.data(), a.shape(1), b.data(), b.shape(1), counts.data(), out.data(), out.shape(1), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "One text after the other.");
}

}  // namespace

void bind_texts(nb::module_& m) {
    bind_reading(m);
    bind_making(m);
}

}  // namespace mc2::bindings
