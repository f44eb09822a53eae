#include "mc2/trees.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void trees_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {64, 192};
    for (const std::size_t features : {std::size_t{3}, std::size_t{300}}) {
        cases.push_back({features == 3 ? "trees.predict/few" : "trees.predict/many", sizes, [=](Probe& p) {
            constexpr std::size_t count = 2, depth = 3, nodes = 7, leaves = 8;
            const u8* bins = p.bytes(features * p.rows());
            const u32* used = p.halves(count * nodes, static_cast<u32>(features));
            const u8 *thresholds = p.bytes(count * nodes), *flags = p.bytes(count * nodes, 8);
            const auto* values = reinterpret_cast<const float*>(p.halves(count * leaves, 0x7f000000));
            auto* margins = p.room<float>(p.rows());
            auto* numbers = p.room<u8>(count * p.rows());
            p.kernel([=, &p] {
                const u32 classes[count] = {0, 0};
                const BinnedColumns columns{bins, p.rows(), features, nullptr};
                const Trees trees{count, depth, used, thresholds, flags, values, classes};
                kernels::trees().predict(columns, p.rows(), trees, margins);
                kernels::trees().leaves(columns, p.rows(), trees, numbers);
            });
        }});
    }
    for (const std::size_t features : {std::size_t{3}, std::size_t{1}}) {
        cases.push_back({features == 3 ? "trees.route" : "trees.route/one", sizes, [=](Probe& p) {
            constexpr std::size_t count = 32;
            const u8* bins = p.bytes(features * p.rows());
            const u32* used = p.halves(count, static_cast<u32>(features));
            const u8 *thresholds = p.bytes(count), *flags = p.bytes(count, 8);
            u8* nodes = p.bytes(p.rows(), count);
            const auto* values = reinterpret_cast<const float*>(p.halves(2 * count, 0x7f000000));
            auto* margins = p.room<float>(p.rows());
            p.kernel([=, &p] {
                kernels::trees().route({bins, p.rows(), features, nullptr}, p.rows(), used, thresholds, flags, count, nodes);
                kernels::trees().add_leaves(nodes, p.rows(), values, 2 * count, margins);
            });
        }});
    }
    cases.push_back({"trees.places", sizes, [](Probe& p) {
        constexpr std::size_t features = 3, count = 32;
        const u8* bins = p.bytes(features * p.rows());
        const u32* used = p.halves(count, features);
        const u8* thresholds = p.bytes(count, 32);
        const u8* nodes = p.bytes(p.rows(), count);
        auto* out = p.room<u8>(p.rows());
        auto* chosen = p.room<u8>(p.rows());
        p.kernel([=, &p] {
            kernels::trees().places({bins, p.rows(), features, nullptr}, p.rows(), used, thresholds, 3, count, nodes, out, chosen);
        });
    }});
}

}  // namespace mc2::oblivious
