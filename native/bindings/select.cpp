#include "mc2/select.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

void bind_select(nb::module_& m) {
    using oblivious::kernels::select;
    m.def(
        "select",
        [](Marks keep, Words a, Words b, OutWords out) {
            require_one_length(out, keep, a, b);
            nb::gil_scoped_release unlocked;
            select().select(keep.data(), a.data(), b.data(), out.data(), out.shape(0));
        },
        "keep"_a.noconvert(), "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
        "out[i] = a[i] if keep[i] else b[i], without a branch.");
    m.def(
        "equal",
        [](Words a, Words b, OutMarks out) {
            require_one_length(out, a, b);
            nb::gil_scoped_release unlocked;
            select().equal(a.data(), b.data(), out.data(), out.shape(0));
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
        "out[i] = 1 where a[i] == b[i], else 0, without a branch.");
    m.def(
        "less",
        [](Words a, Words b, OutMarks out) {
            require_one_length(out, a, b);
            nb::gil_scoped_release unlocked;
            select().less(a.data(), b.data(), out.data(), out.shape(0));
        },
        "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
        "out[i] = 1 where a[i] < b[i] (unsigned), else 0, without a branch.");
}

}  // namespace mc2::bindings
