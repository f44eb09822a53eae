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

    // What kernels of texts, numbers, packed rows and curves would do if they were written plainly.
    LeakyKernel dispatch;         // a function chosen by a secret
    LeakyKernel pointer;          // one of two addresses, chosen without a jump
    LeakyKernel lanes;            // a jump on the lanes of a comparison
    LeakyKernel bit_deposit;      // bits spread by a secret mask: some processors take a step for each
    LeakyKernel packed_bits;      // values one after the other, each with as many bits as it needs
    LeakyKernel few_matches;      // a row among few, until it is found
    LeakyKernel few_place;        // its place first, then what stands there
    LeakyKernel read_number;      // digits up to the first byte that is none
    LeakyKernel spell_number;     // as many digits as a number has
    LeakyKernel wide_division;    // 128 bits by ten: the compiler's library decides by the dividend
    LeakyKernel normalise;        // shifts until the first bit is set
    LeakyKernel library_search;   // memchr
    LeakyKernel cut_text;         // a copy from a secret place on
    LeakyKernel skip_ascii;       // eight bytes at once where none is beyond ASCII
    LeakyKernel utf8_table;       // a state machine with a table
    LeakyKernel library_pow;      // std::pow
    LeakyKernel real_branch;      // if (secret double > limit)
    LeakyKernel real_division;    // 1 / secret double
    LeakyKernel prefetch;         // fetches from a secret place ahead of time: valgrind takes it for nothing
};

}  // namespace mc2::oblivious
