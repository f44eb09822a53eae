#include "mc2/moments.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

constexpr std::size_t columns = 3, clusters = 2, choices = 5;
const std::vector<std::size_t> sizes = {64, 320};

struct Made {
    MomentRows x;
    const u8* present;
    double *greatest, *scales, *units, *z, *shifts;
    u64* flags;
};

Made made(Probe& p) {
    const std::size_t n = p.rows();
    const double* x = p.doubles(columns * n);
    const u8* present = p.marks(n);
    return {{x, n, columns, n},         present, p.room<double>(columns), p.room<double>(columns), p.room<double>(columns),
            p.room<double>(columns * n), p.room<double>(columns), p.room<u64>(1)};
}

MomentRows standardised(const Made& all, bool common) {
    const auto& k = kernels::moments();
    k.extents(all.x, all.present, all.shifts, all.greatest, all.flags);
    k.scales(all.greatest, all.greatest, columns, common, all.scales, all.units);
    k.standardise(all.x, all.present, all.shifts, all.scales, all.z);
    return {all.z, all.x.rows, columns, all.x.rows};
}

MomentWords words(Probe& p, std::size_t count) { return {p.room<u64>(count), p.room<i64>(count)}; }

void linear(std::vector<Case>& cases) {
    cases.push_back({"moments.linear", sizes, [](Probe& p) {
        const Made all = made(p);
        const std::size_t n = p.rows();
        const MomentWords squares = words(p, columns * columns), sums = words(p, columns), one = words(p, 1);
        auto *out = p.room<double>(n), *left = p.room<double>(n), *factors = p.room<double>(columns + 1);
        auto *steps = p.room<double>(columns), *penalties = p.room<double>(columns), *restored = p.room<double>(columns + 1);
        auto* dropped = p.room<u64>(1);
        p.kernel([=] {
            const auto& k = kernels::moments();
            const MomentRows z = standardised(all, false);
            k.gram(z, z.columns, squares);
            k.projections(z, z.columns, all.scales, sums);
            k.projections({z.columns, n, 1, n}, z.columns, all.scales, one);
            k.quotients(sums, one, all.units, columns, factors);
            k.margins(all.x, factors, out);
            k.residuals(z.columns, out, z.columns + n, n, left);
            k.penalties(0.5, all.scales, all.units, columns, columns, penalties);
            k.solve(squares, sums, all.units, penalties, all.scales, factors, columns, steps, dropped);
            k.add(steps, columns, factors);
            k.restore_factors(factors, all.greatest, all.scales, all.units, all.units + 1, columns, restored);
        });
    }});
    cases.push_back({"moments.logistic", sizes, [](Probe& p) {
        const Made all = made(p);
        const std::size_t n = p.rows();
        const MomentWords squares = words(p, columns * columns), sums = words(p, columns), losses = words(p, choices + 1);
        auto *out = p.room<double>(n), *left = p.room<double>(n), *curvature = p.room<double>(n);
        auto *steps = p.room<double>(columns), *factors = p.room<double>(columns), *penalties = p.room<double>(columns);
        auto *dropped = p.room<u64>(1), *state = p.room<u64>(2);
        p.kernel([=] {
            const auto& k = kernels::moments();
            const MomentRows z = standardised(all, false);
            k.check_classes(z.columns, all.present, n, all.flags);
            k.penalties(2.0, all.scales, all.units, columns, columns, penalties);
            for (int round = 0; round < 2; ++round) {
                k.margins(z, factors, out);
                k.logistic(z.columns, out, z.columns + n, n, left, curvature);
                k.gram(z, curvature, squares);
                k.projections(z, left, all.scales, sums);
                k.solve(squares, sums, all.units, penalties, all.scales, factors, columns, steps, dropped);
                k.margins(z, steps, left);
                k.losses(z.columns, out, left, z.columns + n, n, choices, losses);
                k.advance(losses, choices, n, penalties, steps, columns, factors, state);
            }
            k.probabilities(out, n, left);
        });
    }});
}

void k_means(std::vector<Case>& cases) {
    cases.push_back({"moments.clusters", sizes, [](Probe& p) {
        const Made all = made(p);
        const std::size_t n = p.rows();
        const MomentWords sums = words(p, clusters * (columns + 2));
        auto *distances = p.room<double>(n), *centres = p.room<double>(clusters * columns), *found = p.room<double>(clusters * columns);
        auto *inertia = p.room<double>(1), *best = p.room<double>(1);
        auto* labels = p.room<u32>(n);
        auto* changed = p.room<u64>(1);
        p.kernel([=] {
            const auto& k = kernels::moments();
            const MomentRows z = standardised(all, true);
            k.draw_row(z, z.columns, z.columns + n, all.present, 5, centres);
            k.closer(z, centres, all.present, distances);
            k.draw_row(z, z.columns, distances, all.present, 6, centres + columns);
            k.nearest_centres(z, centres, clusters, all.present, labels, distances);
            k.cluster_sums(z, labels, distances, z.columns, clusters, 16.0, sums);
            k.inertia(sums, columns, clusters, 16.0, all.units, all.units, inertia);
            k.move_centres(sums, columns, clusters, centres, changed);
            k.restore_centres(centres, all.shifts, all.units, columns, clusters, found);
            k.keep_better(found, inertia, clusters * columns, centres, best);
        });
    }});
}

}  // namespace

void moments_cases(std::vector<Case>& cases) {
    linear(cases);
    k_means(cases);
}

}  // namespace mc2::oblivious
