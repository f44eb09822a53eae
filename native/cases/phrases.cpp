#include "mc2/phrases.hpp"

#include <string>
#include <tuple>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 9};
constexpr std::size_t width = 4;

// Rows of random bytes, only a, b, c and commas if `plain`, so that some are found; the last word, the
// length, is within the text.
const u64* texts_of(Probe& p, std::size_t words, bool plain = true) {
    static constexpr char alphabet[] = "ab,c";
    u64* rows = p.words(p.rows() * words);
    for (std::size_t i = 0; i < p.rows() * words; ++i) {
        if (i % words + 1 == words) {
            rows[i] %= 8 * words - 7;
        } else if (plain) {
            u64 word = 0;
            for (unsigned k = 0; k < 64; k += 8) word = (word << 8) | static_cast<u8>(alphabet[(rows[i] >> k) % 4]);
            rows[i] = word;
        }
    }
    return rows;
}

// A kernel from one column of texts of so many words to another.
template <typename Run>
Case one_column(std::string name, std::size_t words, std::size_t out_words, Run run) {
    return {std::move(name), sizes, [=](Probe& p) {
        const std::size_t n = p.rows();
        const u64* a = texts_of(p, words, words < 9);
        u64* out = p.room<u64>(n * out_words);
        p.kernel([=] { run(kernels::phrases(), a, words, out, out_words, n); });
    }};
}

constexpr Unit units[] = {Unit::byte, Unit::character};
std::string name_of(Unit unit) { return unit == Unit::byte ? "/bytes" : "/characters"; }

}  // namespace

void phrases_cases(std::vector<Case>& cases) {
    using K = const PhrasesKernels&;
    using In = const u64*;
    using N = std::size_t;
    static constexpr u8 text[] = "a, b, c, d";
    static constexpr Replaced table[] = {{{'a', 1}, {0xc3a9, 2}}, {{'c', 1}, {0, 0}}, {{0xc3a9, 2}, {'b', 1}}};
    static constexpr Character set[] = {{'a', 1}, {',', 1}, {0xe282ac, 3}};
    for (const N words : {N{2}, N{3}, width, N{5}, N{9}, N{20}}) {
        const std::string of = std::string("/").append(std::to_string(8 * (words - 1)));
        for (const Unit unit : units) {
            cases.push_back({"phrases.substring_at" + of + name_of(unit), sizes, [words, unit](Probe& p) {
                const N n = p.rows();
                const u64* a = texts_of(p, words, words < 9);
                const i64 *start = reinterpret_cast<const i64*>(p.words(n, 40)), *count = reinterpret_cast<const i64*>(p.words(n, 40));
                u64* out = p.room<u64>(n * words);
                p.kernel([=] { kernels::phrases().substring_at(unit, a, words, start, count, out, n); });
            }});
        }
        cases.push_back(one_column("phrases.reverse" + of, words, words,
            [](K k, In a, N w, u64* out, N, N n) { k.reverse(a, w, out, n); }));
        for (const N count : {N{0}, N{3}}) {
            cases.push_back(one_column("phrases.translate" + of + "/" + std::to_string(count), words, 2 * words - 1,
                [count](K k, In a, N w, u64* out, N out_w, N n) { k.translate(a, w, table, count, out, out_w, n); }));
        }
        for (const Part what : {Part::between, Part::around}) {
            for (const i64 number : {i64{2}, i64{-2}}) {
                const std::string kind = (what == Part::between ? "/between" : "/around") + std::to_string(number);
                cases.push_back(one_column("phrases.part" + of + kind, words, words,
                    [what, number](K k, In a, N w, u64* out, N, N n) { k.part(what, a, w, text + 1, number > 0 ? 1 : 2, number, out, n); }));
            }
        }
        for (const auto& [start, end] : {std::pair{true, true}, {true, false}, {false, true}}) {
            const std::string side = start ? end ? "/both" : "/start" : "/end";
            cases.push_back(one_column("phrases.trim_any" + of + side, words, words,
                [start = start, end = end](K k, In a, N w, u64* out, N, N n) { k.trim_any(a, w, set, start && end ? 3 : 1, start, end, out, n); }));
        }
    }
    for (const auto& [words, wanted] : {std::pair<N, N>{2, 2}, {width, 2}, {width, 6}, {9, 3}, {5, 3}, {3, 5}, {20, 20}}) {
        const std::string of = std::to_string(8 * (wanted - 1)).append("in").append(std::to_string(8 * (words - 1)));
        for (const Unit unit : units) {
            cases.push_back({"phrases.position/" + of + name_of(unit), sizes, [words = words, wanted = wanted, unit](Probe& p) {
                const N n = p.rows();
                const u64 *a = texts_of(p, words), *b = texts_of(p, wanted);
                u64* out = p.room<u64>(n);
                p.kernel([=] { kernels::phrases().position(unit, a, words, b, wanted, out, n); });
            }});
        }
    }
    for (const auto& [old_size, added, out_words] : {std::tuple<N, N, N>{3, 0, 4}, {1, 1, 4}, {1, 8, 26}, {3, 10, 16}, {10, 10, 6}, {2, 1, 2}}) {
        const std::string of = std::to_string(old_size).append("by").append(std::to_string(added));
        cases.push_back(one_column("phrases.replace/" + of, width, out_words,
            [old_size = old_size, added = added](K k, In a, N w, u64* out, N out_w, N n) {
                k.replace(a, w, text, old_size, text, added, out, out_w, n);
            }));
    }
}

}  // namespace mc2::oblivious
