#include "mc2/curves.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void curves_cases(std::vector<Case>& cases) {
    static const char* const names[] = {"exp", "ln", "log2", "log10"};
    for (const Curve what : {Curve::exp, Curve::ln, Curve::log2, Curve::log10}) {
        cases.push_back({std::string("curves.curve/").append(names[static_cast<u32>(what)]), {1, 7}, [what](Probe& p) {
            const std::size_t n = p.rows();
            const double* a = p.doubles(n);
            double* out = p.room<double>(n);
            p.kernel([=] { kernels::curves().curve(what, a, out, n); });
        }});
    }
    cases.push_back({"curves.power", {1, 7}, [](Probe& p) {
        const std::size_t n = p.rows();
        const double *a = p.doubles(n), *b = p.doubles(n);
        double* out = p.room<double>(n);
        p.kernel([=] { kernels::curves().power(a, b, out, n); });
    }});
}

}  // namespace mc2::oblivious
