#include "mc2/spellings.hpp"

#include <string>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 9};

// Rows of random bytes; the last word, the length, is within the text.
const u64* texts_of(Probe& p, std::size_t width) {
    u64* rows = p.words(p.rows() * width);
    for (std::size_t i = 1; i <= p.rows(); ++i) rows[i * width - 1] = rows[i * width - 1] % (8 * width - 7);
    return rows;
}

}  // namespace

void spellings_cases(std::vector<Case>& cases) {
    static constexpr LetterRule rules[] = {{'A', 25, 32, 0, false}, {0x400, 40, 0, 1, false}, {0x100, 46, 1, 0, true}, {0x1e00, 0, 9, 0, true}};
    static constexpr LetterRule firsts[] = {{'a', 25, 0xffe0, 0, false}};
    for (const auto& [width, out_width] : {std::pair<std::size_t, std::size_t>{2, 3}, {4, 6}, {5, 3}, {16, 16}}) {
        for (const bool initials : {false, true}) {
            const std::string name = "spellings.map_letters/" + std::to_string(8 * (width - 1)) + (initials ? "/initials" : "");
            cases.push_back({name, sizes, [width = width, out_width = out_width, initials](Probe& p) {
                const std::size_t n = p.rows();
                const u64* a = texts_of(p, width);
                const u8* counts = p.marks(n);
                u64 *out = p.room<u64>(n * out_width), *flags = p.room<u64>(1);
                const LetterRules first{firsts, initials ? std::size_t{1} : 0}, others{rules, 4};
                p.kernel([=] { kernels::spellings().map_letters(a, width, first, others, counts, 8 * (out_width - 1), out, out_width, n, flags); });
            }});
        }
    }
    static constexpr ReadText dash = {u64{'-'} << 56, 0, 1}, names[] = {{u64{0x4d6179} << 40, 0, 3}, {0x53657074656d6265, u64{'r'} << 56, 9}};
    static constexpr ReadPiece pieces[] = {
        {ReadPiece::Kind::digits, 4, 4, nullptr, 0}, {ReadPiece::Kind::text, 0, 0, &dash, 1}, {ReadPiece::Kind::names, 0, 0, names, 2},
        {ReadPiece::Kind::digits, 1, 2, nullptr, 0}};
    for (const std::size_t width : {2, 3, 5, 12}) {
        cases.push_back({"spellings.read_pieces/" + std::to_string(8 * (width - 1)), sizes, [width](Probe& p) {
            const std::size_t n = p.rows();
            const u64* a = texts_of(p, width);
            u64* out = p.room<u64>(3 * n);
            u8* read = p.room<u8>(n);
            p.kernel([=] { kernels::spellings().read_pieces(a, width, pieces, 4, out, 3, read, n); });
        }});
    }
}

}  // namespace mc2::oblivious
