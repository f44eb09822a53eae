#include "mc2/compact.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void compact_cases(std::vector<Case>& cases) {
    for (const std::size_t width : {1, 2, 3, 4, 5, 8, 11, 12}) {
        // The last is more than what is done in one go, near the processor.
        const std::vector<std::size_t> sizes = {1, 7, 8, 100, 1000, width < 3 ? std::size_t{4200} : std::size_t{1100}};
        // Four and sixteen times as much as what is near.
        const std::vector<std::size_t> large = {std::size_t{8192} / width + 5, std::size_t{65536} / width};
        std::string of = "/";
        of.append(std::to_string(8 * width)).append("B");
        cases.push_back({"compact.compact" + of, sizes, [=](Probe& p) {
            auto* rows = p.words(width * p.rows());
            const auto* keep = p.marks(p.rows());
            p.kernel([=, &p] { kernels::compact().compact(rows, width, p.rows(), keep); });
        }, large});
        cases.push_back({"compact.compact_counted" + of, sizes, [=](Probe& p) {
            auto* rows = p.words(width * p.rows());
            const auto* before = p.halves(p.rows() + 1, static_cast<u32>(p.rows()) + 1);
            p.kernel([=, &p] { kernels::compact().compact_counted(rows, width, p.rows(), before); });
        }, large});
        cases.push_back({"compact.restore" + of, sizes, [=](Probe& p) {
            auto* rows = p.words(width * p.rows());
            const auto* keep = p.marks(p.rows());
            p.kernel([=, &p] { kernels::compact().restore(rows, width, p.rows(), keep); });
        }, large});
        cases.push_back({"compact.distribute" + of, sizes, [=](Probe& p) {
            auto* rows = p.words(width * p.rows());
            auto* to = p.halves(p.rows());
            p.kernel([=, &p] { kernels::compact().distribute(rows, width, p.rows(), to); });
        }, large});
    }
    cases.push_back({"compact.ranks", {1, 7, 100, 1003}, [](Probe& p) {
        const auto* keep = p.marks(p.rows());
        auto* out = p.room<u64>(p.rows());
        p.kernel([=, &p] { kernels::compact().ranks(keep, out, p.rows()); });
    }});
    for (const std::size_t width : {3, 4, 6}) {
        const std::string of = "/" + std::to_string(width);
        cases.push_back({"compact.pack" + of, {1, 101}, [=](Probe& p) {
            const auto* from = p.words(width * p.rows());
            auto* rows = p.room<u64>(width * p.rows());
            p.kernel([=, &p] {
                const u64* columns[6];
                for (std::size_t w = 0; w < width; ++w) columns[w] = from + w * p.rows();
                kernels::compact().pack(columns, width, p.rows(), rows);
            });
        }});
        cases.push_back({"compact.unpack" + of, {1, 101}, [=](Probe& p) {
            const auto* rows = p.words(width * p.rows());
            auto* to = p.room<u64>(width * p.rows());
            p.kernel([=, &p] {
                u64* columns[6];
                for (std::size_t w = 0; w < width; ++w) columns[w] = to + w * p.rows();
                kernels::compact().unpack(rows, width, p.rows(), columns);
            });
        }});
    }
}

}  // namespace mc2::oblivious
