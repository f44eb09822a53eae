#include "mc2/scan.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

// The last is cut into shares of which a later one finds much before it.
const std::vector<std::size_t> sizes = {1, 2, 100, 701};

// The inputs that nearly all scans have.
struct Groups {
    const u8 *starts, *keep;
    const i64* values;
    explicit Groups(Probe& p)
        : starts(p.marks(p.rows())), keep(p.marks(p.rows())), values(reinterpret_cast<const i64*>(p.words(p.rows()))) {}
};

using Run = void (*)(Probe& p, const Groups& g, std::size_t n);

void add(std::vector<Case>& cases, const char* name, Run run) {
    cases.push_back({name, sizes, [run](Probe& p) {
        const Groups g(p);
        run(p, g, p.rows());
    }});
}

}  // namespace

void scan_cases(std::vector<Case>& cases) {
    add(cases, "scan.starts", [](Probe& p, const Groups&, std::size_t n) {
        const u64* columns[] = {p.steps(n), p.words(n, 2)};
        auto* out = p.room<u8>(n);
        p.kernel([&] { kernels::scan().starts(columns, 2, n, out); });
    });
    add(cases, "scan.ends", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<u8>(n);
        p.kernel([&] { kernels::scan().ends(g.starts, n, out); });
    });
    add(cases, "scan.count", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<u64>(n);
        p.kernel([&] { kernels::scan().count(g.starts, g.keep, n, out); });
    });
    add(cases, "scan.sum_i64", [](Probe& p, const Groups& g, std::size_t n) {
        auto* low = p.room<u64>(n);
        auto* high = p.room<i64>(n);
        p.kernel([&] { kernels::scan().sum_i64(g.starts, g.keep, g.values, n, low, high); });
    });
    add(cases, "scan.sum_i128", [](Probe& p, const Groups& g, std::size_t n) {
        const auto* in = p.words(n);
        auto *low = p.room<u64>(n), *flags = p.room<u64>(1);
        auto* high = p.room<i64>(n);
        p.kernel([&] { kernels::scan().sum_i128(g.starts, g.keep, in, g.values, n, low, high, flags); });
    });
    add(cases, "scan.sum_f64", [](Probe& p, const Groups& g, std::size_t n) {
        const auto* in = p.doubles(n);
        auto* out = p.room<double>(n);
        p.kernel([&] { kernels::scan().sum_f64(g.starts, g.keep, in, n, out); });
    });
    add(cases, "scan.extreme/smallest", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<i64>(n);
        p.kernel([&] { kernels::scan().extreme(g.starts, g.keep, g.values, n, false, out); });
    });
    add(cases, "scan.extreme/largest", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<i64>(n);
        p.kernel([&] { kernels::scan().extreme(g.starts, g.keep, g.values, n, true, out); });
    });
    add(cases, "scan.fill_forward", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<u64>(n);
        auto* seen = p.room<u8>(n);
        p.kernel([&] { kernels::scan().fill_forward(g.starts, g.keep, reinterpret_cast<const u64*>(g.values), n, out, seen); });
    });
    add(cases, "scan.fill_backward", [](Probe& p, const Groups& g, std::size_t n) {
        auto* out = p.room<u64>(n);
        auto* seen = p.room<u8>(n);
        p.kernel([&] { kernels::scan().fill_backward(g.starts, g.keep, reinterpret_cast<const u64*>(g.values), n, out, seen); });
    });
    add(cases, "scan.sum_by_code", [](Probe& p, const Groups& g, std::size_t n) {
        const auto* codes = p.bytes(n, 20);
        auto *low = p.room<u64>(17), *flags = p.room<u64>(1);
        auto* high = p.room<i64>(17);
        p.kernel([&] { kernels::scan().sum_by_code(codes, g.keep, g.values, n, 17, low, high, flags); });
    });
    add(cases, "scan.count_by_code", [](Probe& p, const Groups& g, std::size_t n) {
        const auto* codes = p.bytes(n, 20);
        auto *out = p.room<u64>(17), *flags = p.room<u64>(1);
        p.kernel([&] { kernels::scan().count_by_code(codes, g.keep, n, 17, out, flags); });
    });
}

}  // namespace mc2::oblivious
