#include "mc2/expand.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

void bind_expand(nb::module_& m) {
    using oblivious::kernels::expand;
    m.def(
        "expand",
        [](Rows rows, Words counts, OutRows out, OutWords copy, OutMarks valid, OutWords flags) {
            require_one_length(rows, counts);
            require_one_length(out, copy, valid);
            require(rows.shape(1) == out.shape(1), "rows and out must have one width");
            require(flags.shape(0) == 1, "flags must be one word");
            require_rows(rows.shape(0));
            require_rows(out.shape(0));
            nb::gil_scoped_release unlocked;
            expand().expand(rows.data(), rows.shape(1), rows.shape(0), counts.data(), out.data(), out.shape(0), copy.data(),
                            valid.data(), flags.data());
        },
        "rows"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "copy"_a.noconvert(), "valid"_a.noconvert(),
        "flags"_a.noconvert(),
        "Repeat row i counts[i] times; copy[j] numbers the copies from 0, valid[j] says that there is one.\n"
        "flags[0] |= 4 when there are more than len(out), the public bound.");
    m.def(
        "count_pairs",
        [](Marks starts, Marks lefts, Marks rights, std::size_t bound, OutWords left_copies, OutWords right_copies, OutWords seats) {
            require_one_length(starts, lefts, rights, left_copies, right_copies, seats);
            require_rows(starts.shape(0));
            require_rows(bound);
            nb::gil_scoped_release unlocked;
            expand().count_pairs(starts.data(), lefts.data(), rights.data(), starts.shape(0), bound, left_copies.data(),
                                 right_copies.data(), seats.data());
        },
        "starts"_a.noconvert(), "lefts"_a.noconvert(), "rights"_a.noconvert(), "bound"_a, "left_copies"_a.noconvert(),
        "right_copies"_a.noconvert(), "seats"_a.noconvert(),
        "In how many pairs of its group each row of two sides is, the right ones first in each group.\n"
        "seats tell `seat_rows` where each copy of a right row stands among all pairs.");
    m.def(
        "seat_rows",
        [](Words seats, Words copy, Marks valid, OutWords out) {
            require_one_length(seats, copy, valid, out);
            nb::gil_scoped_release unlocked;
            expand().seat_rows(seats.data(), copy.data(), valid.data(), seats.shape(0), out.data());
        },
        "seats"_a.noconvert(), "copy"_a.noconvert(), "valid"_a.noconvert(), "out"_a.noconvert(),
        "Where each copy stands among all pairs: the greatest word where there is none.");
}

}  // namespace mc2::bindings
