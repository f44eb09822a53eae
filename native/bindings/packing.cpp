#include "mc2/packing.hpp"

#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {
namespace {

using oblivious::kernels::packing;

constexpr unsigned word_bits = 64;

std::uint64_t mask_of(unsigned bits) {
    require(bits >= 1 && bits <= word_bits, "a value takes 1 to 64 bits of a word");
    return ~std::uint64_t{0} >> (word_bits - bits);
}

void require_within(unsigned bits, unsigned place) {
    require(place < word_bits && bits + place <= word_bits, "bits lie within a word");
}

// word, low, flip, right, bits, left
using ValuePlace = std::tuple<std::size_t, std::uint64_t, std::uint64_t, unsigned, unsigned, unsigned>;
// word, left, bits, right
using PartPlace = std::tuple<std::size_t, unsigned, unsigned, unsigned>;

void pack_bits(const std::vector<Rows>& values, const std::vector<ValuePlace>& value_places,
               const std::vector<Marks>& marks, const std::vector<unsigned>& mark_places, OutWords out) {
    require(values.size() == value_places.size() && marks.size() == mark_places.size(), "each value has one place");
    std::vector<oblivious::PackedValue> from;
    std::vector<oblivious::PackedMark> bits_from;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto [word, low, flip, right, bits, left] = value_places[i];
        require_one_length(out, values[i]);
        require(word < values[i].shape(1), "the rows do not have that word");
        require_within(bits, right);
        require_within(bits, left);
        from.push_back({values[i].data() + word, values[i].shape(1), low, flip, right, mask_of(bits), left});
    }
    for (std::size_t i = 0; i < marks.size(); ++i) {
        require_one_length(out, marks[i]);
        require_within(1, mark_places[i]);
        bits_from.push_back({marks[i].data(), mark_places[i]});
    }
    nb::gil_scoped_release unlocked;
    packing().pack_bits(from.data(), from.size(), bits_from.data(), bits_from.size(), out.data(), out.shape(0));
}

void unpack_bits(const std::vector<Rows>& packed, const std::vector<PartPlace>& places, std::uint64_t flip,
                 std::uint64_t low, Marks keep, std::size_t word, OutRows out) {
    require(packed.size() == places.size(), "each part has one place");
    require_one_length(out, keep);
    require(word < out.shape(1), "the rows do not have that word");
    std::vector<oblivious::PackedPart> from;
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const auto [column, left, bits, right] = places[i];
        require(packed[i].shape(0) >= out.shape(0) && column < packed[i].shape(1), "the rows do not have that word");
        require_within(bits, left);
        require_within(bits, right);
        from.push_back({packed[i].data() + column, packed[i].shape(1), left, mask_of(bits), right});
    }
    nb::gil_scoped_release unlocked;
    packing().unpack_bits(from.data(), from.size(), flip, low, keep.data(), out.data() + word, out.shape(1), out.shape(0));
}

void match_few(Words keys, Marks keep, Words few_keys, Marks few_keep, Rows few_words, const std::vector<OutWords>& out,
               OutMarks found) {
    require_one_length(found, keys, keep);
    require_one_length(few_words, few_keys, few_keep);
    require(few_words.shape(1) == out.size() && out.size() <= oblivious::most_few_words,
            "there must be one column for each word of a row, at most 64");
    std::vector<std::uint64_t*> columns;
    for (const OutWords& column : out) {
        require_one_length(found, column);
        columns.push_back(column.data());
    }
    nb::gil_scoped_release unlocked;
    packing().match_few(keys.data(), keep.data(), keys.shape(0), few_keys.data(), few_keep.data(), few_words.data(),
                        few_keys.shape(0), out.size(), columns.data(), found.data());
}

void match_rows(Rows rows, Rows few_rows, OutWords out, OutMarks found) {
    require_one_length(rows, out, found);
    require(rows.shape(1) == few_rows.shape(1), "rows must have one width");
    nb::gil_scoped_release unlocked;
    packing().match_rows(rows.data(), rows.shape(1), rows.shape(0), few_rows.data(), few_rows.shape(0), out.data(),
                         found.data());
}

}  // namespace

void bind_packing(nb::module_& m) {
    m.def("pack_bits", pack_bits, "values"_a.noconvert(), "value_places"_a, "marks"_a.noconvert(), "mark_places"_a,
          "out"_a.noconvert(),
          "One word a row from bits of others. A value's place: its word, what is subtracted, what is XORed,\n"
          "how far it is moved right, how many bits are kept, how far they are moved left.");
    m.def("unpack_bits", unpack_bits, "packed"_a.noconvert(), "places"_a, "flip"_a, "low"_a, "keep"_a.noconvert(),
          "word"_a, "out"_a.noconvert(),
          "One word of each row from bits of others, zero where `keep` is 0. A place: the word, how far its\n"
          "bits are moved right, how many are kept, how far they are moved left.");
    m.def("match_few", match_few, "keys"_a.noconvert(), "keep"_a.noconvert(), "few_keys"_a.noconvert(),
          "few_keep"_a.noconvert(), "few_words"_a.noconvert(), "out"_a.noconvert(), "found"_a.noconvert(),
          "For each row the words of the row with its key among few, all of which are looked at.");
    m.def("match_rows", match_rows, "rows"_a.noconvert(), "few_rows"_a.noconvert(), "out"_a.noconvert(),
          "found"_a.noconvert(), "For each row which one of few different ones it is: its number, 0 if it is none.");
}

}  // namespace mc2::bindings
