#include "mc2/remainders.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void remainders_cases(std::vector<Case>& cases) {
    // Numbers, and any bits: some are a whole table of powers apart.
    for (const bool any : {false, true}) {
        const std::string of = any ? "/any_bits" : "";
        cases.push_back({"remainders.remainders" + of, {1, 7}, [=](Probe& p) {
            const std::size_t n = p.rows();
            const auto doubles = [&] { return any ? reinterpret_cast<const double*>(p.words(n)) : p.doubles(n); };
            const double *a = doubles(), *b = doubles();
            const u8* counts = p.marks(n);
            double* out = p.room<double>(n);
            u64* flags = p.room<u64>(1);
            p.kernel([=] { kernels::remainders().remainders(a, b, counts, out, n, flags); });
        }});
    }
}

}  // namespace mc2::oblivious
