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
    add("leaky.dispatch", &LeakyKernels::dispatch);
    add("leaky.pointer", &LeakyKernels::pointer);
    add("leaky.lanes", &LeakyKernels::lanes);
    add("leaky.bit_deposit", &LeakyKernels::bit_deposit);
    add("leaky.packed_bits", &LeakyKernels::packed_bits);
    add("leaky.few_matches", &LeakyKernels::few_matches);
    add("leaky.few_place", &LeakyKernels::few_place);
    add("leaky.read_number", &LeakyKernels::read_number);
    add("leaky.spell_number", &LeakyKernels::spell_number);
    add("leaky.wide_division", &LeakyKernels::wide_division);
    add("leaky.normalise", &LeakyKernels::normalise);
    add("leaky.library_search", &LeakyKernels::library_search);
    add("leaky.cut_text", &LeakyKernels::cut_text);
    add("leaky.skip_ascii", &LeakyKernels::skip_ascii);
    add("leaky.utf8_table", &LeakyKernels::utf8_table);
    add("leaky.library_pow", &LeakyKernels::library_pow);
    add("leaky.real_branch", &LeakyKernels::real_branch);
    add("leaky.real_division", &LeakyKernels::real_division);
    add("leaky.prefetch", &LeakyKernels::prefetch);
}

}  // namespace mc2::oblivious
