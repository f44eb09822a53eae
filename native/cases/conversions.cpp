#include "mc2/conversions.hpp"

#include <string>
#include <tuple>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 7};

// Rows of random bytes, those of numbers and moments if `plain`, so that some can be read; the last
// word, the length, is within the text.
const u64* texts_of(Probe& p, std::size_t width, bool plain = true) {
    static constexpr char alphabet[] = "0123456789-:. TZ";
    u64* rows = p.words(p.rows() * width);
    for (std::size_t i = 0; i < p.rows() * width; ++i) {
        if (i % width + 1 == width) {
            rows[i] %= 8 * width - 7;
        } else if (plain) {
            u64 word = 0;
            for (unsigned k = 0; k < 64; k += 8) word = (word << 8) | static_cast<u8>(alphabet[(rows[i] >> k) % 16]);
            rows[i] = word;
        }
    }
    return rows;
}

}  // namespace

void conversions_cases(std::vector<Case>& cases) {
    using N = std::size_t;
    for (const bool point : {false, true}) {
        cases.push_back({point ? "conversions.read_decimal/point" : "conversions.read_decimal", sizes, [point](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, 4);
            i128* out = p.room<i128>(n);
            u8* read = p.room<u8>(n);
            p.kernel([=] { kernels::conversions().read_decimal(a, 4, point, point ? 3 : 0, out, read, n); });
        }});
    }
    for (const bool plain : {false, true}) {  // one word, and more than any number needs
        const N width = plain ? 2 : 8;
        cases.push_back({plain ? "conversions.read_decimal/short" : "conversions.read_decimal/long", sizes, [=](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, width, plain);
            i128* out = p.room<i128>(n);
            u8* read = p.room<u8>(n);
            p.kernel([=] { kernels::conversions().read_decimal(a, width, true, plain ? 38 : 2, out, read, n); });
        }});
    }
    for (const bool wide : {false, true}) {
        for (const unsigned scale : {0u, 2u, wide ? 38u : 18u}) {
            const std::string name = std::string(wide ? "wide" : "narrow").append("_").append(std::to_string(scale));
            cases.push_back({"conversions.spell_decimal/" + name, sizes, [=](Probe& p) {
                const N n = p.rows(), width = wide ? (scale == 38 ? 14 : 7) : scale == 0 ? 9 : 4;
                const i128* a = reinterpret_cast<const i128*>(p.words(2 * n));
                u64* out = p.room<u64>(n * width);
                p.kernel([=] { kernels::conversions().spell_decimal(a, wide, scale, out, width, n); });
            }});
        }
    }
    for (const auto& [time, zoned, name] : {std::tuple{false, false, "date"}, std::tuple{true, false, "time"}, std::tuple{true, true, "zoned"}}) {
        cases.push_back({std::string("conversions.read_moment/").append(name), sizes, [time = time, zoned = zoned](Probe& p) {
            const N n = p.rows();
            const u64* a = texts_of(p, 4);
            u64* out = p.room<u64>(7 * n);
            u8* read = p.room<u8>(n);
            p.kernel([=] { kernels::conversions().read_moment(a, 4, time, zoned, out, read, n); });
        }});
    }
    cases.push_back({"conversions.spell_parts", sizes, [](Probe& p) {
        static constexpr SpelledPart parts[] = {{0, 4}, {'-', 2}, {'-', 2}};
        const N n = p.rows();
        const u64* a = p.words(3 * n);
        u64* out = p.room<u64>(n * 3);
        p.kernel([=] { kernels::conversions().spell_parts(a, parts, 3, out, 3, n); });
    }});
    cases.push_back({"conversions.spell_parts/time", sizes, [](Probe& p) {
        static constexpr SpelledPart parts[] = {{0, 2}, {':', 2}, {':', 2}, {'.', 6}, {'+', 8}, {'Z', 1}, {' ', 3}, {0, 1}};
        const N n = p.rows();
        const u64* a = p.words(8 * n);
        u64* out = p.room<u64>(n * 5);
        p.kernel([=] { kernels::conversions().spell_parts(a, parts, 8, out, 5, n); });
    }});
}

}  // namespace mc2::oblivious
