#include "mc2/sort.hpp"

#include <string>
#include <vector>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

constexpr u64 flip_unsigned = u64{1} << 63;

constexpr std::size_t power_at_most(std::size_t n) {
    std::size_t power = 1;
    while (power * 2 <= n) power *= 2;
    return power;
}

// Columns, each with `stride` words to a row.
std::vector<SortWord> made_up(Probe& p, std::size_t count, std::size_t keys, std::size_t rows, std::size_t stride = 1) {
    std::vector<SortWord> words;
    for (std::size_t w = 0; w < count; ++w) {
        u64* column = p.words(rows * stride);
        words.push_back({column, column, stride, stride, w < keys ? flip_unsigned : 0});
    }
    return words;
}

}  // namespace

void sort_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {1, 33, 64, 300, 1000};
    // Each number of keys has a network of its own, some also without a payload or with one word of it.
    for (const auto& [count, keys] : {std::pair<std::size_t, std::size_t>{1, 1}, {2, 1}, {2, 2}, {3, 2}, {4, 1}, {5, 3},
                                      {5, 4}, {5, 5}, {7, 6}, {8, 7}, {9, 8}}) {
        std::string shape = "/";
        shape.append(std::to_string(keys)).append("of").append(std::to_string(count));
        const bool often = keys < 4 || keys == 8;  // the others are of one template
        std::vector<std::size_t> rows = often ? sizes : std::vector<std::size_t>{33, 1000};
        if (count < 4) rows.push_back(4200);  // more than what is done in one go, near the processor
        // One block that is larger than what is near, blocks that are, and the last of them cut.
        const std::size_t block = power_at_most(30000 / count);
        const std::vector<std::size_t> large = {block, block / 2, 16 * block + 5, 12 * block};
        cases.push_back({"sort.sort" + shape, rows, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().sort(words.data(), count, keys, p.rows()); });
        }, large});
        cases.push_back({"sort.sort" + shape + "/strided", {33, 300}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows(), 3);
            p.kernel([&] { kernels::sort().sort(words.data(), count, keys, p.rows()); });
        }});
        cases.push_back({"sort.merge" + shape, {1, 33, 300}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().merge(words.data(), count, keys, p.rows(), p.rows() / 3); });
        }, {block, 2 * block + 5}});
        cases.push_back({"sort.top" + shape, {33, 300}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().top(words.data(), count, keys, p.rows(), 10); });
        }});
        cases.push_back({"sort.top_many" + shape, {300}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().top(words.data(), count, keys, p.rows(), p.rows() / 3); });
        }, {3 * block}});
    }
    // Rows so wide that few of them are more than what is near.
    for (std::size_t keys = 1; keys <= 8; ++keys) {
        constexpr std::size_t count = 130;
        const std::string shape = "/" + std::to_string(keys) + "of130";
        cases.push_back({"sort.sort" + shape, {33}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().sort(words.data(), count, keys, p.rows()); });
        }, {64, 256, 600}});
        cases.push_back({"sort.merge" + shape, {33}, [=](Probe& p) {
            const auto words = made_up(p, count, keys, p.rows());
            p.kernel([&] { kernels::sort().merge(words.data(), count, keys, p.rows(), p.rows() / 3); });
        }, {64, 256}});
    }
}

}  // namespace mc2::oblivious
