#include "mc2/likeness.hpp"

#include <string>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
void likeness_cases(std::vector<Case>& cases) {
    using N = std::size_t;
    for (const auto& [a_width, b_width] : {std::pair<N, N>{2, 2}, {2, 4}, {4, 3}}) {
        const std::string of = std::to_string(a_width - 1).append("and").append(std::to_string(b_width - 1));
        cases.push_back({"likeness.count_edits/" + of, {1, 19}, [a_width = a_width, b_width = b_width](Probe& p) {
            const N n = p.rows();
            const u64 *a = p.texts(a_width - 1), *b = p.texts(b_width - 1);
            u64* out = p.room<u64>(n);
            p.kernel([=] { kernels::likeness().count_edits(a, a_width, b, b_width, out, n); });
        }});
    }
    for (const N width : {N{2}, N{4}, N{9}}) {
        cases.push_back({"likeness.soundex/" + std::to_string(width - 1), {1, 7}, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = p.texts(width - 1);
            u64* out = p.room<u64>(2 * n);
            u8* sounds = p.room<u8>(n);
            p.kernel([=] { kernels::likeness().soundex(a, width, out, sounds, n); });
        }});
    }
}

}  // namespace mc2::oblivious
