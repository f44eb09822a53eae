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
}

}  // namespace mc2::bindings
