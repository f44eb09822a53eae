#include "mc2/leaky.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void leaky_cases(std::vector<Case>& cases) {
    const auto add = [&](const char* name, LeakyKernel LeakyKernels::* kernel) {
        cases.push_back({name, {64}, [kernel](Probe& p) {
            const auto *a = p.words(p.rows()), *b = p.words(p.rows());
            auto* out = p.room<u64>(p.rows() + 1);
            p.kernel([=, &p] { (kernels::leaky().*kernel)(a, b, out, p.rows()); });
        }});
    };
    add("leaky.control", &LeakyKernels::control);
    add("leaky.branch", &LeakyKernels::branch);
    add("leaky.rare_branch", &LeakyKernels::rare_branch);
    add("leaky.unseen_branch", &LeakyKernels::unseen_branch);
    add("leaky.short_circuit", &LeakyKernels::short_circuit);
    add("leaky.ternary", &LeakyKernels::ternary);
    add("leaky.loop", &LeakyKernels::loop);
    add("leaky.early_exit", &LeakyKernels::early_exit);
    add("leaky.table", &LeakyKernels::table);
    add("leaky.gather", &LeakyKernels::gather);
    add("leaky.masked_store", &LeakyKernels::masked_store);
    add("leaky.size", &LeakyKernels::size);
    add("leaky.append", &LeakyKernels::append);
    add("leaky.library_sort", &LeakyKernels::library_sort);
    add("leaky.library_compare", &LeakyKernels::library_compare);
    add("leaky.library_exp", &LeakyKernels::library_exp);
    add("leaky.division", &LeakyKernels::division);
}

}  // namespace mc2::oblivious
