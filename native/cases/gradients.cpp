#include "mc2/gradients.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace {

const std::vector<std::size_t> sizes = {64, 128};

// Secret floats of any bits below `below` (0: all bits), infinities and NaN among them.
const float* numbers(Probe& p, std::size_t count, u32 below = 0) { return reinterpret_cast<const float*>(p.halves(count, below)); }

TrainingRows rows_of(Probe& p, std::size_t classes) {
    const float* margins = numbers(p, classes * p.rows());
    const float* labels = numbers(p, p.rows());
    const float* weights = numbers(p, p.rows(), 0x7f000000);
    return {margins, labels, weights, p.marks(p.rows()), p.rows(), classes};
}

void objective(std::vector<Case>& cases, const char* name, Objective what, std::size_t classes) {
    cases.push_back({std::string("gradients.gradients/") + name, sizes, [=](Probe& p) {
        const TrainingRows rows = rows_of(p, classes);
        auto *g = p.room<float>(classes * p.rows()), *h = p.room<float>(classes * p.rows());
        auto* flags = p.room<u64>(1);
        auto* values = p.room<float>(classes * p.rows());
        p.kernel([=] {
            kernels::gradients().gradients(what, rows, 0.7, g, h, flags);
            kernels::gradients().transform(what, rows.margins, rows.rows, classes, values);
        });
    }});
}

void metric(std::vector<Case>& cases, const char* name, Metric what, std::size_t classes) {
    cases.push_back({std::string("gradients.losses/") + name, sizes, [=](Probe& p) {
        const TrainingRows rows = rows_of(p, classes);
        auto *loss = p.room<float>(p.rows()), *weight = p.room<float>(p.rows());
        p.kernel([=] { kernels::gradients().losses(what, rows, loss, weight); });
    }});
}

void digits(std::vector<Case>& cases) {
    cases.push_back({"gradients.digits", sizes, [](Probe& p) {
        float *g = reinterpret_cast<float*>(p.halves(p.rows())), *h = reinterpret_cast<float*>(p.halves(p.rows()));
        const u64 *identity = p.words(p.rows()), *key = p.words(1);
        auto *greatest = p.room<double>(2), *units = p.room<double>(2);
        auto *fine = p.room<i8>(6 * p.rows()), *coarse = p.room<i8>(2 * p.rows());
        auto* words = p.room<u64>(p.rows());
        p.kernel([=, &p] {
            const auto& k = kernels::gradients();
            k.sample(identity, *key, u32{1} << 31, p.rows(), g, h);
            k.greatest(g, h, p.rows(), greatest);
            k.units(greatest, units);
            k.fine(g, h, greatest, p.rows(), p.rows(), fine);
            k.coarse(g, h, greatest, identity, *key, p.rows(), p.rows(), coarse);
            k.random(identity, *key, p.rows(), words);
        });
    }});
    cases.push_back({"gradients.means", sizes, [](Probe& p) {
        const TrainingRows rows = rows_of(p, 1);
        auto *a = p.room<float>(p.rows()), *b = p.room<float>(p.rows());
        constexpr u32 classes = 7;  // more than registers hold, and a rest
        auto *greatest = p.room<double>(2 * classes), *margins = p.room<double>(3 + classes);
        auto* sums = p.room<i64>(2 * classes);
        p.kernel([=] {
            const auto& k = kernels::gradients();
            for (u32 c = 0; c < classes; ++c) {
                k.weighted_labels(c == 0 ? Objective::logistic : Objective::softmax, c, rows, a, b);
                k.greatest(a, b, rows.rows, greatest + 2 * c);
                k.sums(a, b, rows.rows, greatest + 2 * c, sums + 2 * c);
            }
            k.margin_of_mean(Objective::logistic, 1, sums, greatest, margins);
            k.margin_of_mean(Objective::squared_error, 1, sums, greatest, margins + 1);
            k.margin_of_mean(Objective::poisson, 1, sums, greatest, margins + 2);
            k.margin_of_mean(Objective::softmax, 2, sums, greatest, margins + 3);
            k.margin_of_mean(Objective::softmax, classes, sums, greatest, margins + 3);
        });
    }});
    cases.push_back({"gradients.areas", sizes, [](Probe& p) {
        const TrainingRows rows = rows_of(p, 1);
        const float* scores = numbers(p, p.rows());
        const auto* greatest = p.doubles(2);
        auto *words = p.room<u64>(p.rows()), *flags = p.room<u64>(1);
        auto* totals = p.room<double>(3);
        auto* sums = p.room<i64>(2);
        p.kernel([=] {
            const auto& k = kernels::gradients();
            k.ranks(scores, rows, 1, 2, greatest, words, flags);
            k.add_area(words, rows.rows, totals);
            k.mean_area(totals, 1, sums);
        });
    }});
}

}  // namespace

void gradients_cases(std::vector<Case>& cases) {
    objective(cases, "logistic", Objective::logistic, 1);
    objective(cases, "squared_error", Objective::squared_error, 1);
    objective(cases, "poisson", Objective::poisson, 1);
    objective(cases, "softmax", Objective::softmax, 3);
    metric(cases, "logloss", Metric::logloss, 1);
    metric(cases, "error", Metric::error, 1);
    metric(cases, "squared_error", Metric::squared_error, 1);
    metric(cases, "absolute_error", Metric::absolute_error, 1);
    metric(cases, "mlogloss", Metric::mlogloss, 3);
    metric(cases, "merror", Metric::merror, 3);
    metric(cases, "poisson_nloglik", Metric::poisson_nloglik, 1);
    digits(cases);
}

}  // namespace mc2::oblivious
