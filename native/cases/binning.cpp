#include "mc2/binning.hpp"

#include <limits>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void binning_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {1, 37, 128};
    cases.push_back({"binning.encode", sizes, [](Probe& p) {
        constexpr std::size_t cuts = 9;
        const double* values = p.doubles(p.rows());
        const u8 *known = p.marks(p.rows()), *present = p.marks(p.rows());
        const auto* at = reinterpret_cast<const float*>(p.halves(cuts));
        auto* out = p.room<u8>(p.rows());
        auto* floats = p.room<float>(p.rows());
        auto* flags = p.room<u64>(1);
        p.kernel([=, &p] {
            kernels::binning().encode(values, known, p.rows(), at, cuts, -1.0F, out, flags);
            kernels::binning().encode_categories(values, known, p.rows(), 5, -1.0F, out, flags);
            kernels::binning().floats(values, known, present, p.rows(), true, floats, flags);
        });
    }});
    cases.push_back({"binning.cells", sizes, [](Probe& p) {
        const u8* bins = p.bytes(p.rows());
        auto* out = p.room<u8>(p.rows());
        p.kernel([=, &p] { kernels::binning().cells(bins, p.rows(), 3, out); });
    }});
    cases.push_back({"binning.cuts", sizes, [](Probe& p) {
        const double* values = p.doubles(p.rows());
        const u8* known = p.marks(p.rows());
        auto* words = p.room<u64>(p.rows());
        const double* weights = p.doubles(p.rows());
        auto* cuts = p.room<float>(15);
        auto* both = p.room<u64>(p.rows());
        p.kernel([=, &p] {
            kernels::binning().sortable(values, known, p.rows(), std::numeric_limits<float>::quiet_NaN(), words);
            kernels::binning().cuts(words, p.rows(), 16, cuts);
            kernels::binning().weighted(words, weights, known, p.rows(), both);
            kernels::binning().weighted_cuts(both, p.rows(), 16, cuts);
        });
    }});
    cases.push_back({"binning.cut_values", {1, 7}, [](Probe& p) {
        const auto* cuts = reinterpret_cast<const float*>(p.halves(3 * 5));
        const u32* wanted = p.halves(p.rows(), 3);
        const u8* thresholds = p.bytes(p.rows(), 7);
        auto* out = p.room<float>(p.rows());
        p.kernel([=, &p] { kernels::binning().cut_values(cuts, 3, 5, wanted, thresholds, p.rows(), out); });
    }});
}

}  // namespace mc2::oblivious
