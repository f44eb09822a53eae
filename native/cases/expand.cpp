#include "mc2/expand.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

void add(std::vector<Case>& cases, const char* name, std::size_t width, std::size_t numerator, std::size_t divisor) {
    cases.push_back({name, {1, 8, 100}, [=](Probe& p) {
        const std::size_t n = p.rows(), bound = n * numerator / divisor;
        const auto* rows = p.words(width * n);
        const auto* counts = p.words(n, 4);
        auto* out = p.room<u64>(width * bound);
        auto *copy = p.room<u64>(bound), *flags = p.room<u64>(1);
        auto* valid = p.room<u8>(bound);
        p.kernel([=] { kernels::expand().expand(rows, width, n, counts, out, bound, copy, valid, flags); });
    }});
}

}  // namespace

void expand_cases(std::vector<Case>& cases) {
    add(cases, "expand.expand/more", 2, 3, 1);
    add(cases, "expand.expand/fewer", 3, 1, 2);
}

}  // namespace mc2::oblivious
