// Rows that are cut over threads: contiguous shares, whose sizes are public.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"
#include "mc2/pool.hpp"

namespace mc2::oblivious::MC2_ISA {

// f(from, to, part) for each of so many shares of [0, all), which begin at begins(part).
template <typename Begins, typename F>
static void over_shares(unsigned parts, Begins begins, F f) {
    if (parts == 1) return f(begins(0), begins(1), 0U);
    struct Share {
        Begins& begins;
        F& f;
    } share{begins, f};
    run_parts(parts, [](void* context, unsigned part) {
        const Share& s = *static_cast<Share*>(context);
        s.f(s.begins(part), s.begins(part + 1), part);
    }, &share);
}

// f(from, to) over [0, all) for an input of so many rows, where each element stands for itself.
template <typename F>
static void cut_over_threads(std::size_t all, std::size_t rows, F f) {
    const unsigned parts = parts_for(rows);
    over_shares(parts, [=](unsigned part) { return share_of(all, part, parts); },
                [&](std::size_t from, std::size_t to, unsigned) { f(from, to); });
}
template <typename F>
static void cut_over_threads(std::size_t rows, F f) { cut_over_threads(rows, rows, f); }

// scan(from, to) over [0, rows), where each row needs what those before it leave: a share finds that
// by itself, by a quicker pass over all rows before it.
template <typename F>
static void cut_scan(std::size_t rows, F scan) {
    const unsigned parts = parts_for(rows);
    over_shares(parts, [=](unsigned part) { return scan_share_of(rows, part, parts); },
                [&](std::size_t from, std::size_t to, unsigned) { scan(from, to); });
}

}  // namespace mc2::oblivious::MC2_ISA
