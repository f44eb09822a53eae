#include "mc2/groups.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void groups_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {1, 29};
    cases.push_back({"groups.gather_bits", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u8 *a = p.marks(n), *b = p.marks(n), *c = p.marks(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] {
            const u8* all[] = {a, b, c};
            kernels::groups().gather_bits(all, 3, out, n);
        });
    }});
    cases.push_back({"groups.spread_bit", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u64* words = p.words(n);
        auto* out = p.room<u8>(n);
        p.kernel([=] { kernels::groups().spread_bit(words, 7, out, n); });
    }});
    for (const bool greatest : {false, true}) {
        cases.push_back({greatest ? "groups.extreme_rows/greatest" : "groups.extreme_rows/least", sizes, [=](Probe& p) {
            const std::size_t n = p.rows(), width = 3;
            const u8 *starts = p.marks(n), *keep = p.marks(n);
            const u64* values = p.words(n * width);
            auto* out = p.room<u64>(n * width);
            p.kernel([=] {
                const u64 flips[] = {0, u64{1} << 63, 0};
                kernels::groups().extreme_rows(starts, keep, values, flips, width, greatest, out, n);
            });
        }});
    }
    cases.push_back({"groups.exact_sum", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u8 *starts = p.marks(n), *keep = p.marks(n);
        const double* values = p.doubles(n);
        auto* out = p.room<double>(n);
        p.kernel([=] { kernels::groups().exact_sum(starts, keep, values, out, n); });
    }});
    cases.push_back({"groups.exact_states", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u8 *starts = p.marks(n), *keep = p.marks(n);
        const double* values = p.doubles(n);
        auto* state = p.words(state_words);
        auto *next = p.room<u64>(state_words), *out = p.room<u64>(n * state_words);
        p.kernel([=] {
            for (std::size_t i = 0; i < state_words; ++i) next[i] = state[i];
            kernels::groups().exact_states(starts, keep, values, next, out, n);
        });
    }});
    cases.push_back({"groups.sum_states", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u8 *starts = p.marks(n), *keep = p.marks(n);
        const u64* states = p.words(n * state_words);
        auto* out = p.room<double>(n);
        p.kernel([=] { kernels::groups().sum_states(starts, keep, states, out, n); });
    }});
}

}  // namespace mc2::oblivious
