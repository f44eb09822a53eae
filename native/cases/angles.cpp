#include "mc2/angles.hpp"

#include <iterator>
#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void angles_cases(std::vector<Case>& cases) {
    static const char* const names[] = {"sin", "cos", "tan", "asin", "acos", "atan"};
    // Numbers, and any bits: NaN, infinities, and numbers of very many turns are among those.
    static const auto doubles = [](Probe& p, bool any) {
        return any ? reinterpret_cast<const double*>(p.words(p.rows())) : p.doubles(p.rows());
    };
    for (const bool any : {false, true}) {
        const std::string of = any ? "/any_bits" : "";
        for (u32 what = 0; what < std::size(names); ++what) {
            cases.push_back({std::string("angles.angle/").append(names[what]) + of, {1, 7}, [=](Probe& p) {
                const std::size_t n = p.rows();
                const double* a = doubles(p, any);
                double* out = p.room<double>(n);
                p.kernel([=] { kernels::angles().angle(static_cast<Angle>(what), a, out, n); });
            }});
        }
        cases.push_back({"angles.angle_of_point" + of, {1, 7}, [=](Probe& p) {
            const std::size_t n = p.rows();
            const double *y = doubles(p, any), *x = doubles(p, any);
            double* out = p.room<double>(n);
            p.kernel([=] { kernels::angles().angle_of_point(y, x, out, n); });
        }});
    }
}

}  // namespace mc2::oblivious
