#include "mc2/gradients.hpp"

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::Metric;
using oblivious::Objective;
using oblivious::kernels::gradients;

constexpr unsigned objectives = 4, metrics = 7;

Objective objective_of(unsigned number) {
    require(number < objectives, "no such objective");
    return static_cast<Objective>(number);
}

oblivious::TrainingRows rows_of(const Table<float>& margins, const Floats& labels, const Floats& weights, const Marks& present) {
    require_one_length(labels, weights, present);
    require_steps(labels.shape(0));
    require(margins.shape(1) == labels.shape(0) && margins.shape(0) >= 1, "margins have a column for each class");
    return {margins.data(), labels.data(), weights.data(), present.data(), labels.shape(0), margins.shape(0)};
}

void require_two(std::size_t count) { require(count == 2, "there are two numbers, for g and h"); }

void bind_rows(nb::module_& m) {
    m.def(
        "gradients",
        [](unsigned objective, double extra, Table<float> margins, Floats labels, Floats weights, Marks present, OutTable<float> g,
           OutTable<float> h, OutWords flags) {
            const auto rows = rows_of(margins, labels, weights, present);
            const Objective what = objective_of(objective);
            require(what == Objective::softmax || rows.classes == 1, "only softmax has classes");
            require(g.shape(0) == rows.classes && h.shape(0) == rows.classes && g.shape(1) == rows.rows && h.shape(1) == rows.rows,
                    "g and h have the shape of the margins");
            require_flags(flags);
            nb::gil_scoped_release unlocked;
            gradients().gradients(what, rows, extra, g.data(), h.data(), flags.data());
        },
        "objective"_a, "extra"_a, "margins"_a.noconvert(), "labels"_a.noconvert(), "weights"_a.noconvert(), "present"_a.noconvert(),
        "g"_a.noconvert(), "h"_a.noconvert(), "flags"_a.noconvert(), "Gradients of an objective; flags[0] |= 32 for labels and weights that it rules out.");
    m.def(
        "losses",
        [](unsigned metric, Table<float> margins, Floats labels, Floats weights, Marks present, OutFloats loss, OutFloats weight) {
            const auto rows = rows_of(margins, labels, weights, present);
            require(metric < metrics, "no such metric");
            require_one_length(labels, loss, weight);
            nb::gil_scoped_release unlocked;
            gradients().losses(static_cast<Metric>(metric), rows, loss.data(), weight.data());
        },
        "metric"_a, "margins"_a.noconvert(), "labels"_a.noconvert(), "weights"_a.noconvert(), "present"_a.noconvert(), "loss"_a.noconvert(),
        "weight"_a.noconvert(), "Weighted loss and weight of each row.");
    m.def(
        "weighted_labels",
        [](unsigned objective, std::uint32_t of_class, Floats labels, Floats weights, Marks present, OutFloats product, OutFloats weight) {
            const Objective what = objective_of(objective);
            require_one_length(labels, weights, present, product, weight);
            require_steps(labels.shape(0));
            const oblivious::TrainingRows rows{nullptr, labels.data(), weights.data(), present.data(), labels.shape(0), 1};
            nb::gil_scoped_release unlocked;
            gradients().weighted_labels(what, of_class, rows, product.data(), weight.data());
        },
        "objective"_a, "of_class"_a, "labels"_a.noconvert(), "weights"_a.noconvert(), "present"_a.noconvert(), "product"_a.noconvert(), "weight"_a.noconvert(),
        "Weight times label, and weight; for softmax the weight of one class.");
    m.def(
        "transform_margins",
        [](unsigned objective, Table<float> margins, OutFloats out) {
            const Objective what = objective_of(objective);
            require_steps(margins.shape(1));
            require(out.shape(0) == margins.shape(0) * margins.shape(1), "there is a value for each margin");
            nb::gil_scoped_release unlocked;
            gradients().transform(what, margins.data(), margins.shape(1), margins.shape(0), out.data());
        },
        "objective"_a, "margins"_a.noconvert(), "out"_a.noconvert(), "Probabilities, means or numbers from margins; for classes row by row.");
}

void bind_sums_of(nb::module_& m) {
    m.def(
        "greatest",
        [](Floats a, Floats b, OutDoubles greatest) {
            require_one_length(a, b);
            require_steps(a.shape(0));
            require_two(greatest.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().greatest(a.data(), b.data(), a.shape(0), greatest.data());
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "greatest"_a.noconvert(), "Raise greatest to the greatest magnitudes of a and of b.");
    m.def(
        "float_sums",
        [](Floats a, Floats b, Doubles greatest, OutIntegers sums) {
            require_one_length(a, b);
            require_steps(a.shape(0));
            require_two(greatest.shape(0));
            require_two(sums.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().sums(a.data(), b.data(), a.shape(0), greatest.data(), sums.data());
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "greatest"_a.noconvert(), "sums"_a.noconvert(),
        "Add the sums of a and of b to sums, in units of greatest / 2^30.");
    m.def(
        "margin_of_mean",
        [](unsigned objective, Integers sums, Doubles greatest, OutDoubles margin) {
            const Objective what = objective_of(objective);
            const std::size_t classes = margin.shape(0);
            require(classes >= 1 && (what == Objective::softmax || classes == 1), "only softmax has classes");
            require(sums.shape(0) == 2 * classes && greatest.shape(0) == 2 * classes, "there are two numbers for each class");
            nb::gil_scoped_release unlocked;
            gradients().margin_of_mean(what, classes, sums.data(), greatest.data(), margin.data());
        },
        "objective"_a, "sums"_a.noconvert(), "greatest"_a.noconvert(), "margin"_a.noconvert(), "The margins whose prediction is the mean.");
}

void bind_areas(nb::module_& m) {
    m.def(
        "rank_words",
        [](Floats scores, Floats labels, Floats weights, Marks present, std::uint32_t target, std::uint32_t labels_below, Doubles greatest,
           OutWords out, OutWords flags) {
            require_one_length(scores, labels, weights, present, out);
            require_steps(labels.shape(0));
            require(target < labels_below, "the target is a label");
            require_two(greatest.shape(0));
            require_flags(flags);
            const oblivious::TrainingRows rows{nullptr, labels.data(), weights.data(), present.data(), labels.shape(0), 1};
            nb::gil_scoped_release unlocked;
            gradients().ranks(scores.data(), rows, target, labels_below, greatest.data(), out.data(), flags.data());
        },
        "scores"_a.noconvert(), "labels"_a.noconvert(), "weights"_a.noconvert(), "present"_a.noconvert(), "target"_a, "labels_below"_a,
        "greatest"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
        "Words in the order of scores, with labels and weights below; flags[0] |= 32 for other labels.");
    m.def(
        "add_area",
        [](Words sorted, OutDoubles totals) {
            require(totals.shape(0) == 3, "there are three totals");
            nb::gil_scoped_release unlocked;
            gradients().add_area(sorted.data(), sorted.shape(0), totals.data());
        },
        "sorted"_a.noconvert(), "totals"_a.noconvert(), "Add the area under the curve of sorted rank words to totals.");
    m.def(
        "mean_area",
        [](Doubles totals, std::size_t classes, OutIntegers sums) {
            require(totals.shape(0) == 3, "there are three totals");
            require_two(sums.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().mean_area(totals.data(), classes, sums.data());
        },
        "totals"_a.noconvert(), "classes"_a, "sums"_a.noconvert(), "The mean area in units of 2^-50, and 2^50.");
}

void bind_digits(nb::module_& m) {
    m.def(
        "gradient_units",
        [](Doubles greatest, OutDoubles units) {
            require_two(greatest.shape(0));
            require_two(units.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().units(greatest.data(), units.data());
        },
        "greatest"_a.noconvert(), "units"_a.noconvert(), "What one unit of a fine digit is worth.");
    m.def(
        "fine_digits",
        [](Floats g, Floats h, Doubles greatest, OutTable<std::int8_t> planes) {
            require_one_length(g, h);
            require_steps(g.shape(0));
            require_two(greatest.shape(0));
            require(planes.shape(0) == 6 && planes.shape(1) >= g.shape(0), "fine digits are six planes");
            nb::gil_scoped_release unlocked;
            gradients().fine(g.data(), h.data(), greatest.data(), g.shape(0), planes.shape(1), planes.data());
        },
        "g"_a.noconvert(), "h"_a.noconvert(), "greatest"_a.noconvert(), "planes"_a.noconvert(), "Gradients to the nearest unit, as three digits.");
    m.def(
        "coarse_digits",
        [](Floats g, Floats h, Doubles greatest, Words identity, std::uint64_t key, OutTable<std::int8_t> planes) {
            require_one_length(g, h, identity);
            require_steps(g.shape(0));
            require_two(greatest.shape(0));
            require(planes.shape(0) == 2 && planes.shape(1) >= g.shape(0), "coarse digits are two planes");
            nb::gil_scoped_release unlocked;
            gradients().coarse(g.data(), h.data(), greatest.data(), identity.data(), key, g.shape(0), planes.shape(1), planes.data());
        },
        "g"_a.noconvert(), "h"_a.noconvert(), "greatest"_a.noconvert(), "identity"_a.noconvert(), "key"_a, "planes"_a.noconvert(),
        "Gradients as one digit each, rounded at random by identity and key.");
    m.def(
        "sample_rows",
        [](Words identity, std::uint64_t key, std::uint32_t below, OutFloats g, OutFloats h) {
            require_one_length(g, h, identity);
            require_steps(g.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().sample(identity.data(), key, below, g.shape(0), g.data(), h.data());
        },
        "identity"_a.noconvert(), "key"_a, "below"_a, "g"_a.noconvert(), "h"_a.noconvert(), "Clear the gradients of rows that a sample leaves out.");
    m.def(
        "identity_words",
        [](Words identity, std::uint64_t key, OutWords out) {
            require_one_length(identity, out);
            require_steps(identity.shape(0));
            nb::gil_scoped_release unlocked;
            gradients().random(identity.data(), key, identity.shape(0), out.data());
        },
        "identity"_a.noconvert(), "key"_a, "out"_a.noconvert(), "Threefry-2x32 with 20 rounds of each word.");
}

}  // namespace

void bind_gradients(nb::module_& m) {
    bind_rows(m);
    bind_sums_of(m);
    bind_areas(m);
    bind_digits(m);
}

}  // namespace mc2::bindings
