#include "mc2/encodings.hpp"

#include <string>
#include <tuple>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 7};

// A kernel from one column of texts to another, and marks.
template <typename Run>
Case two_columns(std::string name, std::size_t width, std::size_t out_width, Run run) {
    return {name.append("/").append(std::to_string(width - 1)).append("to").append(std::to_string(out_width - 1)), sizes, [=](Probe& p) {
        const std::size_t n = p.rows();
        const u64* a = p.texts(width - 1);
        u64* out = p.room<u64>(n * out_width);
        u8* read = p.room<u8>(n);
        p.kernel([=] { run(kernels::encodings(), a, width, out, out_width, read, n); });
    }};
}

}  // namespace

void encodings_cases(std::vector<Case>& cases) {
    using K = const EncodingsKernels&;
    using In = const u64*;
    using N = std::size_t;
    for (const auto& [width, out_width] : {std::pair<N, N>{2, 2}, {2, 3}, {4, 7}, {9, 17}}) {
        cases.push_back(two_columns("encodings.hex", width, out_width, [](K k, In a, N w, u64* out, N o, u8*, N n) { k.hex(a, w, out, o, n); }));
        cases.push_back(two_columns("encodings.base64", width, out_width, [](K k, In a, N w, u64* out, N o, u8*, N n) { k.base64(a, w, out, o, n); }));
    }
    for (const auto& [width, out_width] : {std::pair<N, N>{2, 2}, {3, 2}, {5, 3}, {7, 5}, {9, 7}, {12, 8}, {21, 16}}) {
        cases.push_back(two_columns("encodings.unhex", width, out_width, [](K k, In a, N w, u64* out, N o, u8* read, N n) { k.unhex(a, w, out, o, read, n); }));
        cases.push_back(two_columns("encodings.unbase64", width, out_width, [](K k, In a, N w, u64* out, N o, u8* read, N n) { k.unbase64(a, w, out, o, read, n); }));
    }
    for (const Charset set : {Charset::ascii, Charset::latin1, Charset::utf8, Charset::utf16be, Charset::utf16le}) {
        const std::string of = std::to_string(static_cast<u32>(set));
        for (const auto& [width, out_width] : {std::pair<N, N>{2, 2}, {3, 5}, {4, 7}, {6, 6}, {9, 9}, {11, 15}, {20, 30}}) {
            if (set != Charset::utf8) {
                cases.push_back(two_columns("encodings.encode/" + of, width, out_width,
                    [set](K k, In a, N w, u64* out, N o, u8* read, N n) { k.encode(set, a, w, out, o, read, n); }));
            }
            const N same = set == Charset::ascii || set == Charset::utf8 ? width : out_width;
            cases.push_back(two_columns("encodings.decode/" + of, width, same,
                [set](K k, In a, N w, u64* out, N o, u8* read, N n) { k.decode(set, a, w, out, o, read, n); }));
        }
    }
    for (const unsigned bits : {1u, 4u}) {
        cases.push_back({"encodings.spell_word/" + std::to_string(bits), sizes, [bits](Probe& p) {
            const N n = p.rows(), width = 8 / bits + 1;
            const u64* a = p.words(n);
            u64* out = p.room<u64>(n * width);
            p.kernel([=] { kernels::encodings().spell_word(bits, a, out, width, n); });
        }});
    }
    for (const N width : {N{2}, N{5}}) {
        cases.push_back({"encodings.code_point/" + std::to_string(width - 1), {1, 7, 19}, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = p.texts(width - 1);
            u64* out = p.room<u64>(n);
            p.kernel([=] { kernels::encodings().code_point(a, width, out, n); });
        }});
    }
    cases.push_back({"encodings.character", {1, 7, 19}, [](Probe& p) {
        const N n = p.rows();
        const i64* a = reinterpret_cast<const i64*>(p.words(n));
        u64* out = p.room<u64>(2 * n);
        p.kernel([=] { kernels::encodings().character(a, out, n); });
    }});
}

}  // namespace mc2::oblivious
