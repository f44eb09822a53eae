// Kernels that leak on purpose, one way each, and one that does not. They all take two columns of
// secret words and write a third one.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

using LeakyKernel = void (*)(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept;

struct LeakyKernels {
    LeakyKernel control;          // no leak: every gate must let it pass
    LeakyKernel branch;           // if (secret)
    LeakyKernel rare_branch;      // a branch that random data never takes
    LeakyKernel unseen_branch;    // a branch in code that no case reaches
    LeakyKernel short_circuit;    // a < b || (a == b && c < d)
    LeakyKernel ternary;          // r = (i == k) ? t[i] : r
    LeakyKernel loop;             // a loop that runs as often as a secret says
    LeakyKernel early_exit;       // a search that stops where it finds
    LeakyKernel table;            // a look-up at a secret place
    LeakyKernel gather;           // the same, with a vector instruction where there is one
    LeakyKernel masked_store;     // a store that a secret mask suppresses
    LeakyKernel size;             // a fill whose length is a secret
    LeakyKernel append;           // a filter that writes to the next free place
    LeakyKernel library_sort;     // std::sort
    LeakyKernel library_compare;  // memcmp
    LeakyKernel library_exp;      // std::exp
    LeakyKernel division;         // secret / secret: a divider takes longer for some operands
};

}  // namespace mc2::oblivious
