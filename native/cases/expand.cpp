#include "mc2/expand.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

void add(std::vector<Case>& cases, const char* name, std::size_t width, std::size_t numerator, std::size_t divisor) {
    cases.push_back({name, {1, 8, 100, 600}, [=](Probe& p) {
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
    add(cases, "expand.expand/8B", 1, 1, 1);
    add(cases, "expand.expand/32B", 4, 1, 1);
    add(cases, "expand.expand/40B", 5, 2, 1);
    cases.push_back({"expand.count_pairs", {1, 8, 100}, [](Probe& p) {
        const std::size_t n = p.rows();
        const u8 *starts = p.marks(n), *lefts = p.marks(n), *rights = p.marks(n);
        auto *mine = p.room<u64>(n), *theirs = p.room<u64>(n), *seats = p.room<u64>(n);
        p.kernel([=] { kernels::expand().count_pairs(starts, lefts, rights, n, 2 * n, mine, theirs, seats); });
    }});
    cases.push_back({"expand.seat_rows", {1, 8, 100}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *seats = p.words(n), *copy = p.words(n, 4);
        const u8* valid = p.marks(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::expand().seat_rows(seats, copy, valid, n, out); });
    }});
}

}  // namespace mc2::oblivious
