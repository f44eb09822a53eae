#include "mc2/shuffle.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void shuffle_cases(std::vector<Case>& cases) {
    cases.push_back({"shuffle.random_words", {1, 64, 100}, [](Probe& p) {
        const auto* key = p.bytes(32);
        auto* out = p.room<u64>(p.rows());
        p.kernel([=, &p] { kernels::shuffle().random_words(key, 0, 1, out, p.rows()); });
    }});
    cases.push_back({"shuffle.shuffle", {1, 2, 33, 300}, [](Probe& p) {
        const auto* key = p.bytes(32);
        auto* rows = p.words(2 * p.rows());
        p.kernel([=, &p] { kernels::shuffle().shuffle(rows, 2, p.rows(), key, 1); });
    }});
}

}  // namespace mc2::oblivious
