#include "mc2/texts.hpp"

#include <string>
#include <tuple>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 19};

// Rows of random bytes; the last word, the length, is within the text.
const u64* texts_of(Probe& p, std::size_t width) {
    u64* rows = p.words(p.rows() * width);
    for (std::size_t i = 1; i <= p.rows(); ++i) rows[i * width - 1] = rows[i * width - 1] % (8 * width - 7);
    return rows;
}

// A kernel from one column of texts to another.
template <typename Run>
Case one_column(std::string name, std::size_t width, Run run) {
    return {std::move(name), sizes, [=](Probe& p) {
        const std::size_t n = p.rows();
        const u64* a = texts_of(p, width);
        const u8* counts = p.marks(n);
        u64* out = p.room<u64>(n * width);
        u64* flags = p.room<u64>(1);
        p.kernel([=] { run(kernels::texts(), a, width, counts, out, n, flags); });
    }};
}

}  // namespace

void texts_cases(std::vector<Case>& cases) {
    using K = const TextsKernels&;
    using In = const u64*;
    using N = std::size_t;
    using Kind = PatternStep::Kind;
    static constexpr PatternStep pattern[] = {
        {Kind::byte, 'a'}, {Kind::any_run, 0}, {Kind::byte, 'b'}, {Kind::any_one, 0}, {Kind::byte, 'c'}, {Kind::any_run, 0}, {Kind::byte, 'd'}};
    for (const N width : {N{2}, N{9}, N{17}, N{20}, N{33}, N{40}, N{128}}) {
        const std::string suffix = std::string("/").append(std::to_string(8 * (width - 1)));
        cases.push_back({"texts.like" + suffix, sizes, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, width);
            u8* out = p.room<u8>(n);
            p.kernel([=] { kernels::texts().like(a, width, pattern, 7, out, n); });
        }});
        // No step for any one character; no steps; a run alone.
        for (const auto& [from, count] : {std::pair<N, N>{0, 3}, {0, 0}, {1, 1}, {3, 1}}) {
            const std::string steps = "/steps_" + std::to_string(from) + "_" + std::to_string(count);
            cases.push_back({"texts.like" + suffix + steps, sizes, [=, from = from, count = count](Probe& p) {
                const N n = p.rows();
                const u64* a = texts_of(p, width);
                u8* out = p.room<u8>(n);
                p.kernel([=] { kernels::texts().like(a, width, pattern + from, count, out, n); });
            }});
        }
    }
    for (N width = 3; width < 32; ++width) {  // loops over few words are written out, each with an end
        if (width == 9 || width == 17 || width == 20) continue;
        cases.push_back({std::string("texts.like/").append(std::to_string(8 * (width - 1))), {5}, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, width);
            u8 *out = p.room<u8>(n), *characters = p.room<u8>(n);
            p.kernel([=] {
                kernels::texts().like(a, width, pattern, 3, out, n);
                kernels::texts().like(a, width, pattern, 7, characters, n);
            });
        }});
    }
    for (const N width : {N{2}, N{4}, N{9}, N{20}}) {
        const std::string of = std::string("/").append(std::to_string(8 * (width - 1)));
        cases.push_back({"texts.count_characters" + of, sizes, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, width);
            u64* out = p.room<u64>(n);
            p.kernel([=] { kernels::texts().count_characters(a, width, out, n); });
        }});
        for (const LetterCase to : {LetterCase::lower, LetterCase::upper}) {
            cases.push_back(one_column((to == LetterCase::lower ? "texts.change_case/lower" : "texts.change_case/upper") + of, width,
                [to](K k, In a, N w, const u8* counts, u64* out, N n, u64* flags) { k.change_case(to, a, w, counts, out, n, flags); }));
        }
        for (const i64 start : {i64{3}, i64{-5}, i64{0}}) {
            cases.push_back(one_column(std::string("texts.substring/").append(std::to_string(start)) + of, width,
                [start](K k, In a, N w, const u8*, u64* out, N n, u64*) { k.substring(a, w, start, 4, out, n); }));
        }
        for (const auto& [start, end] : {std::pair{true, true}, {true, false}, {false, true}}) {
            cases.push_back(one_column((start ? end ? "texts.trim/both" : "texts.trim/start" : "texts.trim/end") + of, width,
                [start = start, end = end](K k, In a, N w, const u8*, u64* out, N n, u64*) { k.trim(a, w, start, end, out, n); }));
        }
    }
    for (const auto& [a_width, b_width, out_width] : {std::tuple<N, N, N>{3, 4, 5}, {2, 2, 3}, {9, 2, 9}, {2, 9, 4}}) {
        const std::string of = std::to_string(a_width - 1).append("and").append(std::to_string(b_width - 1));
        cases.push_back({"texts.concat/" + of, sizes, [a_width = a_width, b_width = b_width, out_width = out_width](Probe& p) {
            const N n = p.rows();
            const u64 *a = texts_of(p, a_width), *b = texts_of(p, b_width);
            const u8* counts = p.marks(n);
            u64* out = p.room<u64>(n * out_width);
            u64* flags = p.room<u64>(1);
            p.kernel([=] { kernels::texts().concat(a, a_width, b, b_width, counts, out, out_width, n, flags); });
        }});
    }
}

}  // namespace mc2::oblivious
