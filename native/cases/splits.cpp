#include "mc2/splits.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

void find(Probe& p, const SplitRules& rules, i8 direction) {
    const std::size_t nodes = p.rows(), features = 3, all = 23;
    const auto* histograms = reinterpret_cast<const i64*>(p.words(2 * nodes * all, u64{1} << 40));
    const auto* totals = reinterpret_cast<const i64*>(p.words(2 * nodes, u64{1} << 45));
    const auto* bounds = reinterpret_cast<const double*>(p.words(2 * nodes, u64{0x7fe0} << 48));
    const u8* allowed = p.marks(nodes * features);
    const auto* units = reinterpret_cast<const double*>(p.words(2, u64{0x4000} << 48));
    const Splits out{p.room<u32>(nodes), p.room<u8>(nodes), p.room<u8>(nodes), p.room<double>(nodes), p.room<i64>(4 * nodes), p.room<double>(4 * nodes)};
    p.kernel([=] {
        const u32 counts[] = {5, 17, 1};
        const u8 one_hot[] = {1, 0, 0}, nullable[] = {1, 1, 0};
        const i8 monotone[] = {0, direction, 0};
        kernels::splits().find(histograms, totals, bounds, allowed, nodes, {features, counts, one_hot, nullable, monotone}, rules, units, out);
    });
}

void refine(Probe& p, const SplitRules& rules, i8 direction) {
    const std::size_t nodes = p.rows(), features = 3;
    const auto* windows = reinterpret_cast<const i64*>(p.words(2 * nodes * (window + 1), u64{1} << 40));
    const auto* totals = reinterpret_cast<const i64*>(p.words(2 * nodes, u64{1} << 45));
    const auto* bounds = reinterpret_cast<const double*>(p.words(2 * nodes, u64{0x7fe0} << 48));
    const auto* units = reinterpret_cast<const double*>(p.words(2, u64{0x4000} << 48));
    u32* chosen = p.halves(nodes, static_cast<u32>(features));
    u8 *thresholds = p.bytes(nodes), *flags = p.bytes(nodes, 8);
    const Splits out{chosen, thresholds, flags, p.room<double>(nodes), p.room<i64>(4 * nodes), p.room<double>(4 * nodes)};
    p.kernel([=] {
        const u8 one_hot[] = {1, 0, 0};
        const i8 monotone[] = {0, direction, 0};
        kernels::splits().refine(windows, totals, bounds, nodes, 3, 255, {features, nullptr, one_hot, nullptr, monotone}, rules, units, out);
    });
}

}  // namespace

void splits_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {1, 4};
    cases.push_back({"splits.find/plain", sizes, [](Probe& p) { find(p, {1, 0, 0, 1, 0}, 0); }});
    cases.push_back({"splits.find/limited", sizes, [](Probe& p) { find(p, {0, 0.5, 0.1, 1, 0.7}, 1); }});
    cases.push_back({"splits.find/falling", sizes, [](Probe& p) { find(p, {1, 0, 0, 0, 0}, -1); }});
    cases.push_back({"splits.refine/plain", sizes, [](Probe& p) { refine(p, {1, 0, 0, 1, 0}, 0); }});
    cases.push_back({"splits.refine/rising", sizes, [](Probe& p) { refine(p, {0, 0.5, 0.1, 1, 0.7}, 1); }});
    cases.push_back({"splits.leaf_values", {2, 8}, [](Probe& p) {
        const std::size_t leaves = p.rows();
        const auto* sums = reinterpret_cast<const i64*>(p.words(2 * leaves, u64{1} << 45));
        const auto* bounds = reinterpret_cast<const double*>(p.words(2 * leaves, u64{0x7fe0} << 48));
        const auto* units = reinterpret_cast<const double*>(p.words(2, u64{0x4000} << 48));
        const auto* offset = reinterpret_cast<const double*>(p.words(1, u64{0x4000} << 48));
        auto* out = p.room<float>(leaves);
        p.kernel([=] { kernels::splits().leaf_values(sums, bounds, leaves, {1, 0.1, 0, 1, 0.5}, units, 0.3, offset, out); });
    }});
}

}  // namespace mc2::oblivious
