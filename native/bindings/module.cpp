// The module `mc2._native.kernels`: every family's functions, and what concerns all of them.
// A binding checks shapes, releases the lock and calls a kernel; it computes nothing.
#include "arrays.hpp"
#include "mc2/families.hpp"
#include "mc2/poison.hpp"
#include "mc2/pool.hpp"

namespace mc2::bindings {

#define MC2_FAMILY(family, Name) void bind_##family(nb::module_& m);
#include "families.def"
#undef MC2_FAMILY

namespace {

void bind_settings(nb::module_& m) {
    namespace ob = oblivious;
    m.def("isa", [] { return ob::isa_name(ob::current_isa()); }, "The instruction set in use: avx2 or portable.");
    m.def("isa_supported", [](const char* name) { return ob::isa_supported(name); }, "name"_a,
          "Whether this machine can run the kernels of that instruction set.");
    m.def("use_isa", [](const char* name) { ob::use_isa(name); }, "name"_a,
          "Use the kernels of another instruction set: for tests.");
    m.def("threads", [] { return ob::threads(); }, "How many threads kernels may use.");
    m.def("set_threads", [](unsigned count) { ob::set_threads(count); }, "count"_a,
          "Let kernels use this many threads (at least one).");
    m.def("set_serial_below", [](std::size_t rows) { ob::set_serial_below(rows); }, "rows"_a,
          "Inputs of fewer rows than this run on one thread; the default is 2^18.");
}

// Marks for valgrind's memcheck: it then reports each branch and address that depends on them.
void bind_marks_of_secrecy(nb::module_& m) {
    namespace ob = oblivious;
    using Anything = nb::ndarray<nb::c_contig, nb::device::cpu>;
    m.def("poison", [](Anything array) { ob::poison(array.data(), array.nbytes()); }, "array"_a.noconvert(),
          nb::sig("def poison(array: NDArray[numpy.generic]) -> None"),
          "Mark an array's bytes as secret for valgrind; natively nothing.");
    m.def("unpoison", [](Anything array) { ob::unpoison(array.data(), array.nbytes()); }, "array"_a.noconvert(),
          nb::sig("def unpoison(array: NDArray[numpy.generic]) -> None"),
          "Mark an array's bytes as public for valgrind; natively nothing.");
    m.def("poison_reports", [] { return ob::poison_reports(); },
          "How many uses of secrets in branches and addresses valgrind has reported so far.");
    m.def("under_valgrind", [] { return ob::under_valgrind(); }, "Whether valgrind is watching.");
}

}  // namespace
}  // namespace mc2::bindings

NB_MODULE(kernels, m) {
    m.doc() = "Oblivious kernels: the sequence of instructions and addresses depends on lengths only.";
    (void)mc2::oblivious::current_isa();  // a bad $MC2_ISA fails the import, and no kernel later
    mc2::bindings::bind_settings(m);
    mc2::bindings::bind_marks_of_secrecy(m);
#define MC2_FAMILY(family, Name) mc2::bindings::bind_##family(m);
#include "families.def"
#undef MC2_FAMILY
}
