#include "mc2/packing.hpp"

#include <string>
#include <utility>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void packing_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {1, 2, 29, 30, 513, 600};
    cases.push_back({"packing.pack_bits", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u64 *a = p.words(n), *b = p.words(2 * n);
        const u8 *c = p.marks(n), *d = p.marks(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] {
            const PackedValue values[] = {{a, 1, 7, 0, 0, 0xffff, 48}, {b + 1, 2, 0, 0xff, 3, 0xff, 20}};
            const PackedMark marks[] = {{c, 0}, {d, 1}};
            kernels::packing().pack_bits(values, 2, marks, 2, out, n);
        });
    }});
    for (const std::size_t value_count : {0, 1}) {  // marks alone, values alone
        cases.push_back({value_count == 0 ? "packing.pack_bits/marks" : "packing.pack_bits/values", sizes, [=](Probe& p) {
            const std::size_t n = p.rows();
            const u64* a = p.words(3 * n);
            const u8* c = p.marks(n);
            auto* out = p.room<u64>(n);
            p.kernel([=] {
                const PackedValue values[] = {{a + 2, 3, 0, 0, 0, ~u64{0}, 0}};
                const PackedMark marks[] = {{c, 63}};
                kernels::packing().pack_bits(values, value_count, marks, 1 - value_count, out, n);
            });
        }});
    }
    for (const std::size_t stride : {1, 2, 3}) {
        cases.push_back({"packing.unpack_bits/" + std::to_string(stride), sizes, [=](Probe& p) {
            const std::size_t n = p.rows();
            const u64 *a = p.words(n), *b = p.words(2 * n);
            const u8* keep = p.marks(n);
            auto* out = p.room<u64>(stride * n);
            p.kernel([=] {
                const PackedPart parts[] = {{a, 1, 48, 0xffff, 8}, {b + 1, 2, 20, 0xff, 0}};
                kernels::packing().unpack_bits(parts, 2, 0xff, 7, keep, out, stride, n);
            });
        }});
    }
    for (const auto& [width, few] : {std::pair<std::size_t, std::size_t>{0, 5}, {1, 5}, {2, 5}, {3, 5}, {4, 1}, {5, 5}, {4, 0}}) {
        const std::string of = std::to_string(few).append("of").append(std::to_string(width));
        cases.push_back({"packing.match_few/" + of, {1, 4, 29, 30}, [width = width, few = few](Probe& p) {
            const std::size_t n = p.rows();
            const u64 *keys = p.words(n, 8), *few_keys = p.words(few, 8), *words = p.words(few * width);
            const u8 *keep = p.marks(n), *few_keep = p.marks(few);
            auto* room = p.room<u64>(5 * n);
            auto* found = p.room<u8>(n);
            p.kernel([=] {
                u64* out[] = {room, room + n, room + 2 * n, room + 3 * n, room + 4 * n};
                kernels::packing().match_few(keys, keep, n, few_keys, few_keep, words, few, width, out, found);
            });
        }});
    }
    for (const std::size_t width : {1, 3, 9}) {
        cases.push_back({"packing.match_rows/" + std::to_string(width), {1, 4, 29, 30}, [=](Probe& p) {
            const std::size_t n = p.rows(), few = 5;
            const u64 *rows = p.words(width * n, 3), *few_rows = p.words(width * few, 3);
            auto* out = p.room<u64>(n);
            auto* found = p.room<u8>(n);
            p.kernel([=] { kernels::packing().match_rows(rows, width, n, few_rows, few, out, found); });
        }});
    }
}

}  // namespace mc2::oblivious
