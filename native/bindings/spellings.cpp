#include "mc2/spellings.hpp"

#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {
namespace {

using oblivious::LetterRule;
using oblivious::LetterRules;
using oblivious::ReadPiece;
using oblivious::ReadText;
using oblivious::kernels::spellings;

// First and last code point, stride, and what is added.
using GivenRule = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::int32_t>;
// The fewest and the most digits, or zeros and texts: one that stands for itself if `names` is false.
using GivenPiece = std::tuple<unsigned, unsigned, bool, std::vector<nb::bytes>>;

constexpr std::uint32_t plane_size = 0x10000;
constexpr unsigned most_digits = 8;

void require_texts(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}

std::vector<LetterRule> rules_of(const std::vector<GivenRule>& given) {
    std::vector<LetterRule> rules;
    for (const auto& [first, last, stride, delta] : given) {
        const std::uint32_t plane = first / plane_size;
        require(first <= last && plane <= 1 && last / plane_size == plane, "a rule is for code points of plane 0 or 1");
        require(first % plane_size != 0 && (stride == 1 || stride == 2), "a rule begins after 0 and takes every one or second");
        rules.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last - first),
                         static_cast<std::uint16_t>(delta), static_cast<std::uint8_t>(plane), stride == 2});
    }
    return rules;
}

ReadText text_of(const nb::bytes& text) {
    require(text.size() >= 1 && text.size() <= 16, "a text of a pattern has 1 to 16 bytes");
    std::uint64_t words[2] = {0, 0};
    for (std::size_t k = 0; k < text.size(); ++k) {
        words[k / 8] |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(text.c_str()[k])) << (56 - 8 * (k % 8));
    }
    return {words[0], words[1], static_cast<std::uint8_t>(text.size())};
}

// The texts stay where they are: the pieces point to them.
std::vector<ReadPiece> pieces_of(const std::vector<GivenPiece>& given, std::vector<std::vector<ReadText>>& kept) {
    std::vector<ReadPiece> pieces;
    kept.reserve(given.size());
    for (const auto& [least, most, names, texts] : given) {
        require(least <= most && most <= most_digits, "a field has at most 8 digits");
        require(texts.empty() == (most > 0) && (names || texts.size() <= 1), "a piece is digits, a text or names");
        std::vector<ReadText>& words = kept.emplace_back();
        for (const nb::bytes& text : texts) words.push_back(text_of(text));
        const ReadPiece::Kind kind = most > 0 ? ReadPiece::Kind::digits : names ? ReadPiece::Kind::names : ReadPiece::Kind::text;
        pieces.push_back({kind, static_cast<std::uint8_t>(least), static_cast<std::uint8_t>(most), words.data(), words.size()});
    }
    return pieces;
}

}  // namespace

void bind_spellings(nb::module_& m) {
    m.def("map_letters",
          [](Rows a, const std::vector<GivenRule>& initials, const std::vector<GivenRule>& others, Marks counts,
             std::size_t most, OutRows out, OutWords flags) {
              require_one_length(out, a, counts);
              require_texts(a.shape(1));
              require_texts(out.shape(1));
              require(flags.shape(0) == 1, "flags are one word");
              require(most <= 8 * (out.shape(1) - 1), "a text has room in its row");
              const std::vector<LetterRule> first = rules_of(initials), rest = rules_of(others);
              nb::gil_scoped_release unlocked;
              spellings().map_letters(a.data(), a.shape(1), {first.data(), first.size()}, {rest.data(), rest.size()},
                                      counts.data(), most, out.data(), out.shape(1), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "initials"_a, "others"_a, "counts"_a.noconvert(), "most"_a, "out"_a.noconvert(), "flags"_a.noconvert(),
          "Letters by rules: first and last code point, stride, and what is added; no initials: those of others.");
    m.def("read_pieces",
          [](Rows a, const std::vector<GivenPiece>& given, OutRows out, OutMarks read) {
              require_one_length(out, a, read);
              require_texts(a.shape(1));
              std::vector<std::vector<ReadText>> kept;
              const std::vector<ReadPiece> pieces = pieces_of(given, kept);
              const auto fields = std::count_if(pieces.begin(), pieces.end(), [](const ReadPiece& p) { return p.kind != ReadPiece::Kind::text; });
              require(static_cast<std::size_t>(fields) == out.shape(1), "a row has one number for each field");
              nb::gil_scoped_release unlocked;
              spellings().read_pieces(a.data(), a.shape(1), pieces.data(), pieces.size(), out.data(), out.shape(1), read.data(), out.shape(0));
          },
          "a"_a.noconvert(), "pieces"_a, "out"_a.noconvert(), "read"_a.noconvert(),
          "Numbers and places of names by pieces: fewest and most digits, whether texts are names, and texts.");
}

}  // namespace mc2::bindings
