// Rows that are cut over threads: contiguous shares, whose sizes are public.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"
#include "mc2/pool.hpp"

namespace mc2::oblivious::MC2_ISA {

// f(from, to, part) for each of so many shares of [0, all), which begin at begins(part).
template <typename Begins, typename F>
static void over_shares(unsigned parts, Begins begins, F f) {
    struct Shares {
        Begins begins;
        F f;
    } shares{begins, f};
    run_parts(parts, [](void* context, unsigned part) {
        // A copy that no other pointer reaches: a loop that stores bytes, which may be part of anything,
        // would else read the pointers in f anew for each row, and take one row at a time.
        Shares mine = *static_cast<const Shares*>(context);
        mine.f(mine.begins(part), mine.begins(part + 1), part);
    }, &shares);
}

// f(from, to) over [0, all) for an input of so many rows, where each element stands for itself.
template <typename F>
static void cut_over_threads(std::size_t all, std::size_t rows, F f) {
    const unsigned parts = parts_for(rows);
    over_shares(parts, [=](unsigned part) { return share_of(all, part, parts); },
                [f](std::size_t from, std::size_t to, unsigned) mutable { f(from, to); });
}
template <typename F>
static void cut_over_threads(std::size_t rows, F f) { cut_over_threads(rows, rows, f); }

// The flags that f(from, to) gives for shares of [0, rows), together.
template <typename F>
static u64 flags_of_shares(std::size_t rows, F f) {
    const unsigned parts = parts_for(rows);
    u64 raised[most_threads];
    u64* const each = raised;
    over_shares(parts, [=](unsigned part) { return share_of(rows, part, parts); },
                [=](std::size_t from, std::size_t to, unsigned part) { each[part] = f(from, to); });
    u64 all = 0;
    // A word after the other: for so few the compiler would write loops over vectors that never run.
    for (unsigned part = 0; part < parts; ++part) all |= value_barrier(raised[part]);
    return all;
}

// scan(from, to) over [0, rows), where each row needs what those before it leave: a share finds that
// by itself, by a quicker pass over all rows before it.
template <typename F>
static void cut_scan(std::size_t rows, F scan) {
    const unsigned parts = parts_for(rows);
    over_shares(parts, [=](unsigned part) { return scan_share_of(rows, part, parts); },
                [scan](std::size_t from, std::size_t to, unsigned) mutable { scan(from, to); });
}

}  // namespace mc2::oblivious::MC2_ISA
