#include "mc2/digits.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 7};

// Any doubles: also denormal ones, infinities and NaN.
const double* doubles_of(Probe& p) { return reinterpret_cast<const double*>(p.words(p.rows())); }

// Texts of the bytes that numbers have; the last word, the length, is within the text.
const u64* numbers_of(Probe& p, std::size_t width) {
    static constexpr char alphabet[] = "0123456789.e-+00";
    u64* rows = p.words(p.rows() * width);
    for (std::size_t i = 0; i < p.rows() * width; ++i) {
        u64 word = 0;
        for (unsigned k = 0; k < 64; k += 8) word = (word << 8) | static_cast<u8>(alphabet[(rows[i] >> k) % 16]);
        rows[i] = i % width + 1 == width ? rows[i] % (8 * width - 7) : word;
    }
    return rows;
}

}  // namespace

void digits_cases(std::vector<Case>& cases) {
    using N = std::size_t;
    for (const bool narrow : {false, true}) {
        const std::string kind = narrow ? "float" : "double";
        cases.push_back({"digits.spell_double/" + kind, sizes, [narrow](Probe& p) {
            const N n = p.rows(), width = narrow ? 3 : 4;
            const double* a = doubles_of(p);
            u64* out = p.room<u64>(n * width);
            p.kernel([=] { kernels::digits().spell_double(a, narrow, out, width, n); });
        }});
        for (const N width : {2, 3, 4, 7, 20}) {
            cases.push_back({"digits.read_double/" + kind + std::to_string(8 * (width - 1)), sizes, [=](Probe& p) {
                const N n = p.rows();
                const u64* a = numbers_of(p, width);
                double* out = p.room<double>(n);
                u8* read = p.room<u8>(n);
                p.kernel([=] { kernels::digits().read_double(a, width, narrow, out, read, n); });
            }});
        }
        for (const unsigned scale : {0u, 5u, 38u}) {
            cases.push_back({"digits.decimal_to_double/" + kind + std::to_string(scale), sizes, [=](Probe& p) {
                const N n = p.rows();
                const i128* a = reinterpret_cast<const i128*>(p.words(2 * n));
                double* out = p.room<double>(n);
                p.kernel([=] { kernels::digits().decimal_to_double(a, scale, narrow, out, n); });
            }});
        }
    }
    for (const unsigned scale : {0u, 38u}) {
        cases.push_back({std::string("digits.double_to_decimal/").append(std::to_string(scale)), sizes, [=](Probe& p) {
            const N n = p.rows();
            const double* a = doubles_of(p);
            i128* out = p.room<i128>(n);
            u8* fits = p.room<u8>(n);
            p.kernel([=] { kernels::digits().double_to_decimal(a, scale, 38, out, fits, n); });
        }});
    }
    cases.push_back({"digits.double_to_float", sizes, [](Probe& p) {
        const N n = p.rows();
        const double* a = doubles_of(p);
        double* out = p.room<double>(n);
        u8* fits = p.room<u8>(n);
        p.kernel([=] { kernels::digits().double_to_float(a, out, fits, n); });
    }});
}

}  // namespace mc2::oblivious
