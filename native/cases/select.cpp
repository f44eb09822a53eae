#include "mc2/select.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void select_cases(std::vector<Case>& cases) {
    cases.push_back({"select.select", {1, 100}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *keep = p.marks(n);
        const auto *a = p.words(n), *b = p.words(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::select().select(keep, a, b, out, n); });
    }});
    cases.push_back({"select.equal", {1, 100}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *a = p.words(n), *b = p.words(n);
        auto* out = p.room<u8>(n);
        p.kernel([=] { kernels::select().equal(a, b, out, n); });
    }});
    cases.push_back({"select.less", {1, 100}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *a = p.words(n), *b = p.words(n);
        auto* out = p.room<u8>(n);
        p.kernel([=] { kernels::select().less(a, b, out, n); });
    }});
}

}  // namespace mc2::oblivious
