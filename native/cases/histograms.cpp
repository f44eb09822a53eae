#include "mc2/histograms.hpp"

#include <memory>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

constexpr u32 counts[] = {5, 17, 1};
constexpr i64 worth[] = {16384, 1};
constexpr std::size_t features = 3, pairs = 2, all = 23, slots = 3;

// Digits from -64 to 63.
const i8* digits(Probe& p, std::size_t count) {
    u8* bytes = p.bytes(count, 128);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<u8>(bytes[i] - 64);
    return reinterpret_cast<const i8*>(bytes);
}

void grouped(Probe& p, const Grouping& grouping) {
    constexpr std::size_t width = 8;
    const u8* records = p.bytes(width * p.rows(), 64);
    const u8* of = p.bytes(p.rows(), 2 * slots);
    auto* out = p.room<i64>(2 * slots * all);
    auto* flags = p.room<u64>(1);
    p.kernel([=, &p] {
        const BinnedColumns columns{nullptr, 0, features, counts};
        const Planes planes{nullptr, 0, pairs, worth};
        kernels::histograms().grouped(records, width, columns, planes, of, slots, p.rows(), grouping, out, flags);
    });
}

}  // namespace

void histograms_cases(std::vector<Case>& cases) {
    const std::vector<std::size_t> sizes = {64, 192};
    cases.push_back({"histograms.direct", sizes, [](Probe& p) {
        const u8* bins = p.bytes(features * p.rows());
        const i8* planes = digits(p, 2 * pairs * p.rows());
        const u8* of = p.bytes(p.rows(), 2 * slots);
        auto* out = p.room<i64>(2 * slots * all);
        p.kernel([=, &p] {
            kernels::histograms().direct({bins, p.rows(), features, counts}, {planes, p.rows(), pairs, worth}, of, slots, p.rows(), out);
        });
    }});
    cases.push_back({"histograms.grouped/tiles", sizes, [](Probe& p) { grouped(p, {100, 60, 64}); }});
    cases.push_back({"histograms.grouped/whole", sizes, [](Probe& p) { grouped(p, {256, 256, 64}); }});
    cases.push_back({"histograms.fill", sizes, [](Probe& p) {
        const u8* bins = p.bytes(features * p.rows());
        const i8* planes = digits(p, 2 * pairs * p.rows());
        auto* records = p.room<u8>(8 * p.rows());
        p.kernel([=, &p] {
            kernels::histograms().fill_records({bins, p.rows(), features, counts}, p.rows(), records, 8);
            kernels::histograms().fill_digits({planes, p.rows(), pairs, worth}, features, p.rows(), records, 8);
        });
    }});
    cases.push_back({"histograms.nodes", sizes, [](Probe& p) {
        const u8* nodes = p.bytes(p.rows(), 8);
        auto* found = p.room<u64>(8);
        auto* smaller = p.room<u8>(4);
        auto* of = p.room<u8>(p.rows());
        p.kernel([=, &p] {
            kernels::histograms().count_nodes(nodes, p.rows(), 8, found);
            kernels::histograms().choose_smaller(found, 4, smaller);
            kernels::histograms().slots_of_smaller(nodes, smaller, 4, p.rows(), of);
        });
    }});
    cases.push_back({"histograms.unfold", {4}, [](Probe& p) {
        const auto* parents = reinterpret_cast<const i64*>(p.words(4 * all));
        const auto* small = reinterpret_cast<const i64*>(p.words(4 * all));
        const u8* smaller = p.marks(4);
        auto* out = p.room<i64>(8 * all);
        p.kernel([=] {
            kernels::histograms().unfold(parents, small, smaller, 4, all, out);
            kernels::histograms().add(out, parents, 4 * all);
        });
    }});
}

}  // namespace mc2::oblivious
