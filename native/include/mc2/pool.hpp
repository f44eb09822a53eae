// A fixed set of threads that stays, and work that is cut by public sizes only.
#pragma once

#include <cstddef>

namespace mc2::oblivious {

// Part p of `parts` runs as task(context, p). Returns when all have. Which thread runs which part
// is fixed by (parts, threads()) alone: nothing is stolen, so the schedule shows sizes and no data.
// Nested calls, and calls while another caller uses the pool, run their parts one by one.
void run_parts(unsigned parts, void (*task)(void* context, unsigned part), void* context);

inline constexpr unsigned most_threads = 256;

// How many threads kernels may use, from 1 to most_threads. The first value is $MC2_THREADS, or 1.
unsigned threads() noexcept;
void set_threads(unsigned count);

// Inputs of fewer rows are not cut: starting a thread would cost more than it saves.
std::size_t serial_below() noexcept;
void set_serial_below(std::size_t rows) noexcept;

// Parts of any number of threads run one after the other, in the caller: for tracers of addresses,
// which could not tell threads apart.
void set_one_by_one(bool wanted) noexcept;

// How many parts a kernel over this many rows is cut into.
unsigned parts_for(std::size_t rows) noexcept;

// Where part `part` of `parts` begins in [0, all), and with part + 1 where it ends. It stands here
// and not in the kernels, so that no divider is among their instructions, not even for public sizes.
std::size_t share_of(std::size_t all, unsigned part, unsigned parts) noexcept;

// The same for scans, of which a share first reads all rows before it, four times as fast: later
// shares are the smaller ones. Each but the last ends at a multiple of eight rows.
std::size_t scan_share_of(std::size_t all, unsigned part, unsigned parts) noexcept;

// Memory for one call: its size is public, and its pages are touched before any secret is in it. What
// stands in it at first means nothing: large blocks stay with the process, as they are, for the next
// call that asks for as much (docs/adr/0064), small ones are wiped.
class Scratch {
public:
    explicit Scratch(std::size_t bytes);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    // At a multiple of 64 bytes.
    template <typename T>
    T* as() const noexcept { return static_cast<T*>(data_); }

private:
    void* data_;
    std::size_t bytes_;
    bool mapped_;
};

}  // namespace mc2::oblivious
