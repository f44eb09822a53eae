#include "mc2/phrases.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::Replaced;
using oblivious::kernels::phrases;

void require_texts(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}
void require_alike(const Rows& a, const OutRows& out) {
    require_one_length(out, a);
    require_texts(a.shape(1));
    require(a.shape(1) == out.shape(1), "all rows must have one width");
}
void require_flags(const OutWords& flags) { require(flags.shape(0) == 1, "flags are one word"); }

const std::uint8_t* bytes_of(const nb::bytes& text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

void bind_places(nb::module_& m) {
    m.def("substring_at",
          [](Rows a, Column<std::int64_t> start, Column<std::int64_t> count, Marks counts, OutRows out, OutWords flags) {
              require_alike(a, out);
              require_one_length(out, start, count, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              phrases().substring_at(a.data(), a.shape(1), start.data(), count.data(), counts.data(), out.data(), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "start"_a.noconvert(), "count"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(),
          "flags"_a.noconvert(), "At most `count` characters from place `start`, both secret.");
    m.def("position",
          [](Rows a, Rows b, Marks counts, OutWords out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_texts(a.shape(1));
              require_texts(b.shape(1));
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              phrases().position(a.data(), a.shape(1), b.data(), b.shape(1), counts.data(), out.data(), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Where one text first occurs in another, from 1; 0 if nowhere.");
    m.def("reverse",
          [](Rows a, Marks counts, OutRows out, OutWords flags) {
              require_alike(a, out);
              require_one_length(out, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              phrases().reverse(a.data(), a.shape(1), counts.data(), out.data(), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(), "Characters from the last to the first.");
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
          [](Rows a, const std::vector<std::tuple<unsigned, unsigned, bool>>& given, Marks counts, OutRows out, OutWords flags) {
              require_alike(a, out);
              require_one_length(out, counts);
              require_flags(flags);
              std::vector<Replaced> table;
              for (const auto& [byte, by, drops] : given) {
                  require(byte <= 127 && by <= 127, "characters are of ASCII");
                  table.push_back({static_cast<std::uint8_t>(byte), static_cast<std::uint8_t>(by), drops});
              }
              require(table.size() <= 128, "the table is too long");
              nb::gil_scoped_release unlocked;
              phrases().translate(a.data(), a.shape(1), table.data(), table.size(), counts.data(), out.data(), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "table"_a, "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Characters become others, or nothing: (byte, by, drops).");
    m.def("trim_any",
          [](Rows a, const nb::bytes& set, bool start, bool end, OutRows out) {
              require_alike(a, out);
              require(set.size() <= 128, "the set is too large");
              nb::gil_scoped_release unlocked;
              phrases().trim_any(a.data(), a.shape(1), bytes_of(set), set.size(), start, end, out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "set"_a, "start"_a, "end"_a, "out"_a.noconvert(), "Without bytes of a set at the start, the end, or both.");
}

}  // namespace

void bind_phrases(nb::module_& m) {
    bind_places(m);
    bind_changes(m);
}

}  // namespace mc2::bindings
