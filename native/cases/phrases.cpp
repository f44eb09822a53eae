#include "mc2/phrases.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 9};
constexpr std::size_t width = 4;

// Rows of random bytes; the last word, the length, is within the text.
const u64* texts_of(Probe& p, std::size_t words) {
    u64* rows = p.words(p.rows() * words);
    for (std::size_t i = 1; i <= p.rows(); ++i) rows[i * words - 1] = rows[i * words - 1] % (8 * words - 7);
    return rows;
}

// A kernel from one column of texts to another.
template <typename Run>
Case one_column(std::string name, std::size_t out_width, Run run) {
    return {std::move(name), sizes, [=](Probe& p) {
        const std::size_t n = p.rows();
        const u64* a = texts_of(p, width);
        const u8* counts = p.marks(n);
        u64* out = p.room<u64>(n * out_width);
        u64* flags = p.room<u64>(1);
        p.kernel([=] { run(kernels::phrases(), a, counts, out, n, flags); });
    }};
}

}  // namespace

void phrases_cases(std::vector<Case>& cases) {
    using K = const PhrasesKernels&;
    using In = const u64*;
    using Marks = const u8*;
    using N = std::size_t;
    static constexpr u8 text[] = "a, b, c, d";
    static constexpr Replaced table[] = {{'a', 'b', false}, {'c', 0, true}};
    cases.push_back({"phrases.substring_at", sizes, [](Probe& p) {
        const N n = p.rows();
        const u64* a = texts_of(p, width);
        const i64 *start = reinterpret_cast<const i64*>(p.words(n, 40)), *count = reinterpret_cast<const i64*>(p.words(n, 40));
        const u8* counts = p.marks(n);
        u64* out = p.room<u64>(n * width);
        u64* flags = p.room<u64>(1);
        p.kernel([=] { kernels::phrases().substring_at(a, width, start, count, counts, out, n, flags); });
    }});
    for (const N wanted : {N{2}, N{6}}) {
        cases.push_back({std::string("phrases.position/").append(std::to_string(8 * (wanted - 1))), sizes, [wanted](Probe& p) {
            const N n = p.rows();
            const u64 *a = texts_of(p, width), *b = texts_of(p, wanted);
            const u8* counts = p.marks(n);
            u64* out = p.room<u64>(n);
            u64* flags = p.room<u64>(1);
            p.kernel([=] { kernels::phrases().position(a, width, b, wanted, counts, out, n, flags); });
        }});
    }
    cases.push_back(one_column("phrases.reverse", width,
        [](K k, In a, Marks counts, u64* out, N n, u64* flags) { k.reverse(a, width, counts, out, n, flags); }));
    for (const N added : {N{0}, N{1}, N{8}, N{10}}) {
        cases.push_back(one_column(std::string("phrases.replace/").append(std::to_string(added)), 16,
            [added](K k, In a, Marks, u64* out, N n, u64*) { k.replace(a, width, text, 3, text, added, out, 16, n); }));
    }
    cases.push_back(one_column("phrases.translate", width,
        [](K k, In a, Marks counts, u64* out, N n, u64* flags) { k.translate(a, width, table, 2, counts, out, n, flags); }));
    cases.push_back(one_column("phrases.trim_any", width,
        [](K k, In a, Marks, u64* out, N n, u64*) { k.trim_any(a, width, text, 2, true, true, out, n); }));
}

}  // namespace mc2::oblivious
