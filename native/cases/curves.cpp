#include "mc2/curves.hpp"

#include <iterator>
#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void curves_cases(std::vector<Case>& cases) {
    static const char* const names[] = {"exp",  "ln",   "log2", "log10", "expm1", "log1p", "cbrt",
                                        "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"};
    static const char* const pairs[] = {"power", "logarithm", "hypotenuse"};
    // Numbers, and any bits: NaN, infinities and numbers near zero are among those.
    static const auto doubles = [](Probe& p, bool any) {
        return any ? reinterpret_cast<const double*>(p.words(p.rows())) : p.doubles(p.rows());
    };
    for (const bool any : {false, true}) {
        const std::string of = any ? "/any_bits" : "";
        for (u32 what = 0; what < std::size(names); ++what) {
            cases.push_back({std::string("curves.curve/").append(names[what]) + of, {1, 7}, [=](Probe& p) {
                const std::size_t n = p.rows();
                const double* a = doubles(p, any);
                double* out = p.room<double>(n);
                p.kernel([=] { kernels::curves().curve(static_cast<Curve>(what), a, out, n); });
            }});
        }
        for (u32 what = 0; what < std::size(pairs); ++what) {
            cases.push_back({std::string("curves.curve_of_two/").append(pairs[what]) + of, {1, 7}, [=](Probe& p) {
                const std::size_t n = p.rows();
                const double *a = doubles(p, any), *b = doubles(p, any);
                double* out = p.room<double>(n);
                p.kernel([=] { kernels::curves().curve_of_two(static_cast<CurveOfTwo>(what), a, b, out, n); });
            }});
        }
    }
}

}  // namespace mc2::oblivious
