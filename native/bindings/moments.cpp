#include "mc2/moments.hpp"

#include "learning.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

using oblivious::MomentRows;
using oblivious::MomentWords;
using oblivious::kernels::moments;
using Reals2 = Table<double>;
using OutReals2 = OutTable<double>;

constexpr std::size_t most_columns = 4096;
constexpr std::size_t most_clusters = 4096;
constexpr std::size_t most_choices = 16;

MomentRows rows_of(const Reals2& x) {
    require_steps(x.shape(1));
    require(x.shape(0) >= 1 && x.shape(0) <= most_columns, "a matrix has 1 to 4096 columns");
    return {x.data(), x.shape(1), x.shape(0), x.shape(1)};
}

// Sums are rows of two words: first all low ones, then all high ones.
MomentWords sums_of(const OutRows& sums, std::size_t count) {
    require(sums.shape(0) == 2 && sums.shape(1) == count, "sums have a low and a high word for each");
    return {sums.data(), reinterpret_cast<std::int64_t*>(sums.data() + count)};
}

void require_count(std::size_t found, std::size_t wanted) { require(found == wanted, "there is one number for each column"); }
void require_one(const Doubles& number) { require(number.shape(0) == 1, "this is one number"); }
void require_length(std::size_t found, const MomentRows& x) { require(found == x.rows, "all columns must have one length"); }

void bind_scales(nb::module_& m) {
    m.def("moment_extents",
          [](Reals2 x, Marks present, Doubles shifts, OutDoubles greatest, OutWords flags) {
              const MomentRows rows = rows_of(x);
              require_length(present.shape(0), rows);
              require_count(shifts.shape(0), rows.count);
              require_count(greatest.shape(0), rows.count);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              moments().extents(rows, present.data(), shifts.data(), greatest.data(), flags.data());
          },
          "x"_a.noconvert(), "present"_a.noconvert(), "shifts"_a.noconvert(), "greatest"_a.noconvert(), "flags"_a.noconvert(),
          "The greatest distance of each column from its shift.");
    m.def("moment_scales",
          [](Doubles greatest, Doubles raw, bool common, OutDoubles scales, OutDoubles units) {
              require_one_length(greatest, raw, scales, units);
              nb::gil_scoped_release unlocked;
              moments().scales(greatest.data(), raw.data(), greatest.shape(0), common, scales.data(), units.data());
          },
          "greatest"_a.noconvert(), "raw"_a.noconvert(), "common"_a, "scales"_a.noconvert(), "units"_a.noconvert(),
          "Powers of two that bring columns within 1, and their inverses.");
    m.def("standardise",
          [](Reals2 x, Marks present, Doubles shifts, Doubles scales, OutReals2 out) {
              const MomentRows rows = rows_of(x);
              require_length(present.shape(0), rows);
              require_count(shifts.shape(0), rows.count);
              require_count(scales.shape(0), rows.count);
              require(out.shape(0) == rows.count && out.shape(1) == rows.rows, "the result has the matrix's shape");
              nb::gil_scoped_release unlocked;
              moments().standardise(rows, present.data(), shifts.data(), scales.data(), out.data());
          },
          "x"_a.noconvert(), "present"_a.noconvert(), "shifts"_a.noconvert(), "scales"_a.noconvert(), "out"_a.noconvert(),
          "Columns, shifted and scaled; rows that are not present become zeros.");
}

void bind_products(nb::module_& m) {
    m.def("gram",
          [](Reals2 z, Doubles weights, OutRows sums) {
              const MomentRows rows = rows_of(z);
              require_length(weights.shape(0), rows);
              const MomentWords out = sums_of(sums, rows.count * rows.count);
              nb::gil_scoped_release unlocked;
              moments().gram(rows, weights.data(), out);
          },
          "z"_a.noconvert(), "weights"_a.noconvert(), "sums"_a.noconvert(), "Exact sums of the products of all pairs of columns.");
    m.def("projections",
          [](Reals2 z, Doubles values, Doubles scale, OutRows sums) {
              const MomentRows rows = rows_of(z);
              require_length(values.shape(0), rows);
              require_one(scale);
              const MomentWords out = sums_of(sums, rows.count);
              nb::gil_scoped_release unlocked;
              moments().projections(rows, values.data(), scale.data(), out);
          },
          "z"_a.noconvert(), "values"_a.noconvert(), "scale"_a.noconvert(), "sums"_a.noconvert(),
          "Exact sums of each column's products with some values.");
    m.def("quotients",
          [](OutRows top, OutRows bottom, Doubles units, OutDoubles out) {
              const MomentWords above = sums_of(top, units.shape(0)), below = sums_of(bottom, 1);
              require_one_length(units, out);
              nb::gil_scoped_release unlocked;
              moments().quotients(above, below, units.data(), units.shape(0), out.data());
          },
          "top"_a.noconvert(), "bottom"_a.noconvert(), "units"_a.noconvert(), "out"_a.noconvert(), "Means from sums.");
}

void bind_linear_rows(nb::module_& m) {
    m.def("linear_margins",
          [](Reals2 x, Doubles factors, OutDoubles out) {
              const MomentRows rows = rows_of(x);
              require_count(factors.shape(0), rows.count);
              require_length(out.shape(0), rows);
              nb::gil_scoped_release unlocked;
              moments().margins(rows, factors.data(), out.data());
          },
          "x"_a.noconvert(), "factors"_a.noconvert(), "out"_a.noconvert(), "Sums of columns times factors.");
    m.def("residuals",
          [](Doubles labels, Doubles margins, Doubles weights, OutDoubles out) {
              require_one_length(labels, margins, weights, out);
              require_steps(labels.shape(0));
              nb::gil_scoped_release unlocked;
              moments().residuals(labels.data(), margins.data(), weights.data(), labels.shape(0), out.data());
          },
          "labels"_a.noconvert(), "margins"_a.noconvert(), "weights"_a.noconvert(), "out"_a.noconvert(), "What margins leave of labels.");
    m.def("logistic_parts",
          [](Doubles labels, Doubles margins, Doubles weights, OutDoubles residual, OutDoubles curvature) {
              require_one_length(labels, margins, weights, residual, curvature);
              require_steps(labels.shape(0));
              nb::gil_scoped_release unlocked;
              moments().logistic(labels.data(), margins.data(), weights.data(), labels.shape(0), residual.data(), curvature.data());
          },
          "labels"_a.noconvert(), "margins"_a.noconvert(), "weights"_a.noconvert(), "residual"_a.noconvert(),
          "curvature"_a.noconvert(), "First and second derivatives of the logistic loss.");
    m.def("logistic_losses",
          [](Doubles labels, Doubles margins, Doubles directions, Doubles weights, OutRows sums) {
              require_one_length(labels, margins, directions, weights);
              require_steps(labels.shape(0));
              require(sums.shape(1) >= 2 && sums.shape(1) <= most_choices, "there are 1 to 15 steps to choose from");
              const MomentWords out = sums_of(sums, sums.shape(1));
              nb::gil_scoped_release unlocked;
              moments().losses(labels.data(), margins.data(), directions.data(), weights.data(), labels.shape(0), sums.shape(1) - 1, out);
          },
          "labels"_a.noconvert(), "margins"_a.noconvert(), "directions"_a.noconvert(), "weights"_a.noconvert(), "sums"_a.noconvert(),
          "Exact sums of losses at halved steps, and without one.");
    m.def("logistic_probabilities",
          [](Doubles margins, OutDoubles out) {
              require_one_length(margins, out);
              require_steps(margins.shape(0));
              nb::gil_scoped_release unlocked;
              moments().probabilities(margins.data(), margins.shape(0), out.data());
          },
          "margins"_a.noconvert(), "out"_a.noconvert(), "1 / (1 + e^-margin).");
    m.def("check_classes",
          [](Doubles labels, Marks present, OutWords flags) {
              require_one_length(labels, present);
              require_steps(labels.shape(0));
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              moments().check_classes(labels.data(), present.data(), labels.shape(0), flags.data());
          },
          "labels"_a.noconvert(), "present"_a.noconvert(), "flags"_a.noconvert(), "Refuses labels that are neither 0 nor 1.");
}

void bind_factors(nb::module_& m) {
    m.def("linear_penalties",
          [](double amount, Doubles scales, Doubles weight_scale, OutDoubles out) {
              require_one(weight_scale);
              require(scales.shape(0) <= out.shape(0), "there are more scales than penalties");
              nb::gil_scoped_release unlocked;
              moments().penalties(amount, scales.data(), weight_scale.data(), scales.shape(0), out.shape(0), out.data());
          },
          "amount"_a, "scales"_a.noconvert(), "weight_scale"_a.noconvert(), "out"_a.noconvert(), "Penalties for scaled columns.");
    m.def("solve_linear",
          [](OutRows gram, OutRows projections, Doubles unit, Doubles penalties, Doubles scales, Doubles factors,
             OutDoubles steps, OutWords dropped) {
              const std::size_t count = factors.shape(0);
              require(count >= 1 && count <= most_columns, "a matrix has 1 to 4096 columns");
              const MomentWords squares = sums_of(gram, count * count), products = sums_of(projections, count);
              require_one_length(factors, penalties, scales, steps);
              require_one(unit);
              require(dropped.shape(0) == 1, "dropped must be one word");
              nb::gil_scoped_release unlocked;
              moments().solve(squares, products, unit.data(), penalties.data(), scales.data(), factors.data(), count,
                              steps.data(), dropped.data());
          },
          "gram"_a.noconvert(), "projections"_a.noconvert(), "unit"_a.noconvert(), "penalties"_a.noconvert(),
          "scales"_a.noconvert(), "factors"_a.noconvert(), "steps"_a.noconvert(), "dropped"_a.noconvert(), "Solves for a step of all factors.");
    m.def("add_steps",
          [](Doubles steps, OutDoubles factors) {
              require_one_length(steps, factors);
              nb::gil_scoped_release unlocked;
              moments().add(steps.data(), steps.shape(0), factors.data());
          },
          "steps"_a.noconvert(), "factors"_a.noconvert(), "Adds steps to factors.");
    m.def("advance_factors",
          [](OutRows losses, std::size_t rows, Doubles penalties, Doubles steps, OutDoubles factors, OutWords state) {
              require(losses.shape(1) >= 2 && losses.shape(1) <= most_choices, "there are 1 to 15 steps to choose from");
              const MomentWords sums = sums_of(losses, losses.shape(1));
              require_one_length(factors, penalties, steps);
              require(state.shape(0) == 2, "the state is two words");
              require_rows(rows);
              nb::gil_scoped_release unlocked;
              moments().advance(sums, losses.shape(1) - 1, rows, penalties.data(), steps.data(), factors.shape(0), factors.data(), state.data());
          },
          "losses"_a.noconvert(), "rows"_a, "penalties"_a.noconvert(), "steps"_a.noconvert(), "factors"_a.noconvert(),
          "state"_a.noconvert(), "Takes the greatest step that makes no loss worse, until nothing changes.");
    m.def("restore_factors",
          [](Doubles factors, Doubles shifts, Doubles scales, Doubles base, Doubles unit, OutDoubles out) {
              require_one_length(shifts, scales);
              require_one_length(factors, out);
              require(factors.shape(0) == shifts.shape(0) + 1, "the constant stands behind the factors");
              require_one(base);
              require_one(unit);
              nb::gil_scoped_release unlocked;
              moments().restore_factors(factors.data(), shifts.data(), scales.data(), base.data(), unit.data(), shifts.shape(0), out.data());
          },
          "factors"_a.noconvert(), "shifts"_a.noconvert(), "scales"_a.noconvert(), "base"_a.noconvert(), "unit"_a.noconvert(),
          "out"_a.noconvert(), "Factors for columns as they came.");
}

void require_clusters(std::size_t clusters) { require(clusters >= 1 && clusters <= most_clusters, "there are 1 to 4096 clusters"); }

void bind_clusters(nb::module_& m) {
    m.def("nearest_centres",
          [](Reals2 z, Reals2 centres, Marks present, OutNumbers labels, OutDoubles distances) {
              const MomentRows rows = rows_of(z);
              require_clusters(centres.shape(0));
              require_count(centres.shape(1), rows.count);
              require_length(present.shape(0), rows);
              require_one_length(present, labels, distances);
              nb::gil_scoped_release unlocked;
              moments().nearest_centres(rows, centres.data(), centres.shape(0), present.data(), labels.data(), distances.data());
          },
          "z"_a.noconvert(), "centres"_a.noconvert(), "present"_a.noconvert(), "labels"_a.noconvert(), "distances"_a.noconvert(),
          "The nearest centre of each row, and the squared distance to it.");
    m.def("cluster_sums",
          [](Reals2 z, Numbers labels, Doubles distances, Doubles weights, std::size_t clusters, double spread, OutRows sums) {
              const MomentRows rows = rows_of(z);
              require_clusters(clusters);
              require_length(labels.shape(0), rows);
              require_one_length(labels, distances, weights);
              const MomentWords out = sums_of(sums, clusters * (rows.count + 2));
              nb::gil_scoped_release unlocked;
              moments().cluster_sums(rows, labels.data(), distances.data(), weights.data(), clusters, spread, out);
          },
          "z"_a.noconvert(), "labels"_a.noconvert(), "distances"_a.noconvert(), "weights"_a.noconvert(), "clusters"_a, "spread"_a,
          "sums"_a.noconvert(), "Exact sums of each cluster.");
    m.def("move_centres",
          [](OutRows sums, OutReals2 centres, OutWords changed) {
              const MomentWords words = sums_of(sums, centres.shape(0) * (centres.shape(1) + 2));
              require(changed.shape(0) == 1, "changed must be one word");
              nb::gil_scoped_release unlocked;
              moments().move_centres(words, centres.shape(1), centres.shape(0), centres.data(), changed.data());
          },
          "sums"_a.noconvert(), "centres"_a.noconvert(), "changed"_a.noconvert(), "Moves centres to the means of their clusters.");
    m.def("cluster_inertia",
          [](OutRows sums, std::size_t columns, std::size_t clusters, double spread, Doubles unit, Doubles weight_unit, OutDoubles out) {
              const MomentWords words = sums_of(sums, clusters * (columns + 2));
              require_one(unit);
              require_one_length(unit, weight_unit, out);
              nb::gil_scoped_release unlocked;
              moments().inertia(words, columns, clusters, spread, unit.data(), weight_unit.data(), out.data());
          },
          "sums"_a.noconvert(), "columns"_a, "clusters"_a, "spread"_a, "unit"_a.noconvert(), "weight_unit"_a.noconvert(),
          "out"_a.noconvert(), "The sum of squared distances.");
    m.def("draw_row",
          [](Reals2 z, Doubles weights, Doubles distances, Marks present, std::uint64_t key, OutDoubles centre) {
              const MomentRows rows = rows_of(z);
              require_length(weights.shape(0), rows);
              require_one_length(weights, distances, present);
              require_count(centre.shape(0), rows.count);
              nb::gil_scoped_release unlocked;
              moments().draw_row(rows, weights.data(), distances.data(), present.data(), key, centre.data());
          },
          "z"_a.noconvert(), "weights"_a.noconvert(), "distances"_a.noconvert(), "present"_a.noconvert(), "key"_a,
          "centre"_a.noconvert(), "A row drawn in proportion to weights and distances.");
    m.def("closer",
          [](Reals2 z, Doubles centre, Marks present, OutDoubles distances) {
              const MomentRows rows = rows_of(z);
              require_count(centre.shape(0), rows.count);
              require_length(present.shape(0), rows);
              require_one_length(present, distances);
              nb::gil_scoped_release unlocked;
              moments().closer(rows, centre.data(), present.data(), distances.data());
          },
          "z"_a.noconvert(), "centre"_a.noconvert(), "present"_a.noconvert(), "distances"_a.noconvert(),
          "Distances to the nearest of the centres so far.");
    m.def("keep_better",
          [](Doubles others, Doubles other_inertia, OutDoubles values, OutDoubles best) {
              require_one_length(others, values);
              require_one(other_inertia);
              require(best.shape(0) == 1, "this is one number");
              nb::gil_scoped_release unlocked;
              moments().keep_better(others.data(), other_inertia.data(), others.shape(0), values.data(), best.data());
          },
          "others"_a.noconvert(), "other_inertia"_a.noconvert(), "values"_a.noconvert(), "best"_a.noconvert(),
          "Keeps the values with less inertia.");
    m.def("restore_centres",
          [](Reals2 centres, Doubles shifts, Doubles unit, OutReals2 out) {
              require_count(shifts.shape(0), centres.shape(1));
              require_one(unit);
              require(out.shape(0) == centres.shape(0) && out.shape(1) == centres.shape(1), "the result has the shape of the centres");
              nb::gil_scoped_release unlocked;
              moments().restore_centres(centres.data(), shifts.data(), unit.data(), centres.shape(1), centres.shape(0), out.data());
          },
          "centres"_a.noconvert(), "shifts"_a.noconvert(), "unit"_a.noconvert(), "out"_a.noconvert(), "Centres in original units.");
}

}  // namespace

void bind_moments(nb::module_& m) {
    bind_scales(m);
    bind_products(m);
    bind_linear_rows(m);
    bind_factors(m);
    bind_clusters(m);
}

}  // namespace mc2::bindings
