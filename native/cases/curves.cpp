#include "mc2/curves.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void curves_cases(std::vector<Case>& cases) {
    static const char* const names[] = {"exp", "ln", "log2", "log10"};
    // Numbers, and any bits: NaN, infinities and numbers near zero are among those.
    static const auto doubles = [](Probe& p, bool any) {
        return any ? reinterpret_cast<const double*>(p.words(p.rows())) : p.doubles(p.rows());
    };
    for (const bool any : {false, true}) {
        const std::string of = any ? "/any_bits" : "";
        for (const Curve what : {Curve::exp, Curve::ln, Curve::log2, Curve::log10}) {
            cases.push_back({std::string("curves.curve/").append(names[static_cast<u32>(what)]) + of, {1, 7}, [=](Probe& p) {
                const std::size_t n = p.rows();
                const double* a = doubles(p, any);
                double* out = p.room<double>(n);
                p.kernel([=] { kernels::curves().curve(what, a, out, n); });
            }});
        }
        cases.push_back({"curves.power" + of, {1, 7}, [=](Probe& p) {
            const std::size_t n = p.rows();
            const double *a = doubles(p, any), *b = doubles(p, any);
            double* out = p.room<double>(n);
            p.kernel([=] { kernels::curves().power(a, b, out, n); });
        }});
    }
}

}  // namespace mc2::oblivious
