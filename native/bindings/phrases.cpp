#include "mc2/phrases.hpp"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::Character;
using oblivious::Part;
using oblivious::Replaced;
using oblivious::Unit;
using oblivious::kernels::phrases;

constexpr std::size_t most_characters = 256;

void require_texts(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}
void require_alike(const Rows& a, const OutRows& out) {
    require_one_length(out, a);
    require_texts(a.shape(1));
    require(a.shape(1) == out.shape(1), "all rows must have one width");
}
Unit unit_of(bool characters) { return characters ? Unit::character : Unit::byte; }

Character character_of(const nb::bytes& text) {
    require(text.size() <= 4, "a character has four bytes at most");
    Character made{0, static_cast<std::uint8_t>(text.size())};
    for (std::size_t k = 0; k < text.size(); ++k) made.bytes = (made.bytes << 8) | static_cast<std::uint8_t>(text.c_str()[k]);
    return made;
}

const std::uint8_t* bytes_of(const nb::bytes& text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

void bind_places(nb::module_& m) {
    m.def("substring_at",
          [](bool characters, Rows a, Column<std::int64_t> start, Column<std::int64_t> count, OutRows out) {
              require_alike(a, out);
              require_one_length(out, start, count);
              nb::gil_scoped_release unlocked;
              phrases().substring_at(unit_of(characters), a.data(), a.shape(1), start.data(), count.data(), out.data(), out.shape(0));
          },
          "characters"_a, "a"_a.noconvert(), "start"_a.noconvert(), "count"_a.noconvert(), "out"_a.noconvert(),
          "At most `count` characters or bytes from place `start`, both secret.");
    m.def("position",
          [](bool characters, Rows a, Rows b, OutWords out) {
              require_one_length(out, a, b);
              require_texts(a.shape(1));
              require_texts(b.shape(1));
              nb::gil_scoped_release unlocked;
              phrases().position(unit_of(characters), a.data(), a.shape(1), b.data(), b.shape(1), out.data(), out.shape(0));
          },
          "characters"_a, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "Where one text first occurs in another, from 1, in characters or bytes; 0 if nowhere.");
    m.def("reverse",
          [](Rows a, OutRows out) {
              require_alike(a, out);
              nb::gil_scoped_release unlocked;
              phrases().reverse(a.data(), a.shape(1), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Characters from the last to the first.");
}

void bind_changes(nb::module_& m) {
    m.def("replace",
          [](Rows a, const nb::bytes& old_text, const nb::bytes& new_text, OutRows out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              require_texts(out.shape(1));
              const std::size_t most = 8 * (a.shape(1) - 1), size = old_text.size(), added = new_text.size();
              require(size >= 1 && size <= oblivious::most_text_bytes && added <= oblivious::most_text_bytes, "the texts are too long or empty");
              const std::size_t times = most / size, room = 8 * (out.shape(1) - 1);
              require(times * added + (most - times * size) <= room && most <= room, "there is no room for all that it can become");
              nb::gil_scoped_release unlocked;
              phrases().replace(a.data(), a.shape(1), bytes_of(old_text), size, bytes_of(new_text), added, out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "old_text"_a, "new_text"_a, "out"_a.noconvert(), "Each occurrence of a public text becomes another.");
    m.def("translate",
          [](Rows a, const std::vector<std::pair<nb::bytes, nb::bytes>>& given, OutRows out) {
              require_one_length(out, a);
              require_texts(a.shape(1));
              require_texts(out.shape(1));
              require(given.size() <= most_characters, "the table is too long");
              std::vector<Replaced> table;
              std::size_t growth = 1;
              for (const auto& [old, by] : given) {
                  table.push_back({character_of(old), character_of(by)});
                  require(old.size() > 0, "an empty character is none");
                  growth = std::max(growth, (by.size() + old.size() - 1) / old.size());
              }
              require(std::min(growth * 8 * (a.shape(1) - 1), oblivious::most_text_bytes) <= 8 * (out.shape(1) - 1), "there is no room for all that it can become");
              nb::gil_scoped_release unlocked;
              phrases().translate(a.data(), a.shape(1), table.data(), table.size(), out.data(), out.shape(1), out.shape(0));
          },
          "a"_a.noconvert(), "table"_a, "out"_a.noconvert(), "Characters become others, or nothing: (old, by).");
    m.def("trim_any",
          [](Rows a, const std::vector<nb::bytes>& given, bool start, bool end, OutRows out) {
              require_alike(a, out);
              require(given.size() <= most_characters, "the set is too large");
              std::vector<Character> set;
              for (const nb::bytes& character : given) set.push_back(character_of(character));
              nb::gil_scoped_release unlocked;
              phrases().trim_any(a.data(), a.shape(1), set.data(), set.size(), start, end, out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "set"_a, "start"_a, "end"_a, "out"_a.noconvert(), "Without characters of a set at the start, the end, or both.");
    m.def("part",
          [](bool around, Rows a, const nb::bytes& mark, std::int64_t number, OutRows out) {
              require_alike(a, out);
              require(mark.size() >= 1 && mark.size() <= oblivious::most_text_bytes && number != 0, "there is no such part");
              require(number >= -(std::int64_t{1} << 31) && number < std::int64_t{1} << 31, "numbers have 32 bits");
              nb::gil_scoped_release unlocked;
              phrases().part(around ? Part::around : Part::between, a.data(), a.shape(1), bytes_of(mark), mark.size(), number, out.data(), out.shape(0));
          },
          "around"_a, "a"_a.noconvert(), "mark"_a, "number"_a, "out"_a.noconvert(),
          "The part of a number between marks, or all before so many marks, from the end if below zero.");
}

}  // namespace

void bind_phrases(nb::module_& m) {
    bind_places(m);
    bind_changes(m);
}

}  // namespace mc2::bindings
