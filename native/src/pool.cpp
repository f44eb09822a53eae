#include "mc2/pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "mc2/poison.hpp"

namespace mc2::oblivious {

namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t most_kept_bytes = std::size_t{256} << 20;

unsigned threads_from_environment() noexcept {
    const char* text = std::getenv("MC2_THREADS");
    const long wish = text != nullptr ? std::strtol(text, nullptr, 10) : 1;
    return static_cast<unsigned>(std::clamp(wish, 1L, static_cast<long>(most_threads)));
}

std::atomic<unsigned> thread_count{0};
std::atomic<std::size_t> serial_rows{std::size_t{1} << 18};
std::atomic<bool> one_by_one{false};
thread_local bool inside_a_part = false;

struct Job {
    void (*task)(void*, unsigned) = nullptr;
    void* context = nullptr;
    unsigned parts = 0;
};

// Worker w of a pool of T runs parts w, w + T, w + 2T ... ; the caller is worker 0.
class Pool {
public:
    explicit Pool(unsigned workers) : workers_(workers), owner_(getpid()) {
        for (unsigned w = 1; w < workers; ++w) {
            others_.emplace_back([this, w] { serve(w); });
        }
    }

    ~Pool() {
        if (owner_ != getpid()) {  // after fork: the threads live in the parent only
            for (auto& thread : others_) thread.detach();
            return;
        }
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (auto& thread : others_) thread.join();
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    unsigned workers() const noexcept { return workers_; }
    bool mine() const noexcept { return owner_ == getpid(); }

    void run(const Job& job) {
        {
            const std::lock_guard lock(mutex_);
            job_ = job;
            left_.store(workers_ - 1, std::memory_order_relaxed);
            turn_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        work(job, 0);
        for (int spin = 0; left_.load(std::memory_order_acquire) != 0; ++spin) {
            if (spin > 2000) std::this_thread::yield();
        }
    }

private:
    void serve(unsigned worker) {
        inside_a_part = true;
        for (unsigned long seen = 0;;) {
            // The next phase of a kernel follows in microseconds: look a while before sleeping.
            for (int spin = 0; spin < 20000 && turn_.load(std::memory_order_acquire) == seen; ++spin) {
            }
            Job job;
            {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return stopping_ || turn_.load(std::memory_order_acquire) != seen; });
                if (stopping_) return;
                seen = turn_.load(std::memory_order_acquire);
                job = job_;
            }
            work(job, worker);
            left_.fetch_sub(1, std::memory_order_release);
        }
    }

    void work(const Job& job, unsigned worker) const {
        for (unsigned part = worker; part < job.parts; part += workers_) job.task(job.context, part);
    }

    unsigned workers_;
    pid_t owner_;
    std::vector<std::thread> others_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned long> turn_{0};
    std::atomic<unsigned> left_{0};
    Job job_;
    bool stopping_ = false;
};

std::mutex pool_in_use;
std::unique_ptr<Pool> pool;  // guarded by pool_in_use

// A child of fork has none of our threads, and the lock may have been held at that moment.
void forget_pool_in_child() {
    (void)pool.release();
    new (&pool_in_use) std::mutex;
}

void run_alone(const Job& job) {
    for (unsigned part = 0; part < job.parts; ++part) job.task(job.context, part);
}

}  // namespace

unsigned threads() noexcept {
    unsigned count = thread_count.load(std::memory_order_relaxed);
    if (count == 0) {
        count = threads_from_environment();
        thread_count.store(count, std::memory_order_relaxed);
    }
    return count;
}

void set_threads(unsigned count) {
    thread_count.store(std::clamp(count, 1U, most_threads), std::memory_order_relaxed);
}

std::size_t serial_below() noexcept { return serial_rows.load(std::memory_order_relaxed); }
void set_serial_below(std::size_t rows) noexcept { serial_rows.store(rows, std::memory_order_relaxed); }

void set_one_by_one(bool wanted) noexcept { one_by_one.store(wanted, std::memory_order_relaxed); }

unsigned parts_for(std::size_t rows) noexcept {
    return rows < serial_below() || inside_a_part ? 1 : threads();
}

void run_parts(unsigned parts, void (*task)(void*, unsigned), void* context) {
    const Job job{task, context, parts};
    const unsigned workers = threads();
    if (parts <= 1 || workers == 1 || inside_a_part || one_by_one.load(std::memory_order_relaxed)) return run_alone(job);
    static const int once = pthread_atfork(nullptr, nullptr, forget_pool_in_child);
    (void)once;
    const std::unique_lock lock(pool_in_use, std::try_to_lock);
    if (!lock.owns_lock()) return run_alone(job);
    if (!pool || pool->workers() != workers || !pool->mine()) {
        pool.reset();
        pool = std::make_unique<Pool>(workers);
    }
    inside_a_part = true;
    pool->run(job);
    inside_a_part = false;
}

std::size_t share_of(std::size_t all, unsigned part, unsigned parts) noexcept { return all * part / parts; }

std::size_t scan_share_of(std::size_t all, unsigned part, unsigned parts) noexcept {
    if (part >= parts) return all;
    // Share p takes as long as share 0 if it begins at 1 + q + ... + q^(p-1) times its length, q = 3/4.
    double begin = 0, end = 0, length = 1;
    for (unsigned p = 0; p < parts; ++p, length *= 0.75) {
        if (p == part) begin = end;
        end += length;
    }
    return static_cast<std::size_t>(static_cast<double>(all) * begin / end) / 8 * 8;
}

namespace {

void* mapped(std::size_t bytes) {
    void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    (void)madvise(data, bytes, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
    if (madvise(data, bytes, MADV_POPULATE_WRITE) == 0) return data;
#endif
    for (std::size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(data)[at] = 0;
    return data;
}

// Large blocks that were given back, the latest last. The system would clear their pages on one thread
// for each call, which takes as long as a pass over them. Who holds the lock in another thread, or held it
// when a child was made by fork, is not waited for: the system's own memory does as well.
class Kept {
public:
    // A block of at least so many bytes, and at most twice as many; nothing if there is none.
    void* take(std::size_t& bytes) noexcept {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock.owns_lock()) return nullptr;
        unsigned found = count_;
        for (unsigned i = 0; i < count_; ++i) {
            const std::size_t here = blocks_[i].bytes;
            if (here >= bytes && here <= 2 * bytes && (found == count_ || here < blocks_[found].bytes)) found = i;
        }
        if (found == count_) return nullptr;
        const Block block = remove(found);
        bytes = block.bytes;
        return block.data;
    }
    void give(void* data, std::size_t bytes) noexcept {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock.owns_lock() || bytes > most_kept_bytes) {
            munmap(data, bytes);
            return;
        }
        while (count_ == most_blocks || total_ + bytes > most_kept_bytes) {
            const Block oldest = remove(0);
            munmap(oldest.data, oldest.bytes);
        }
        blocks_[count_++] = {data, bytes};
        total_ += bytes;
    }

private:
    static constexpr unsigned most_blocks = 32;
    struct Block {
        void* data;
        std::size_t bytes;
    };
    Block remove(unsigned place) noexcept {
        const Block block = blocks_[place];
        for (unsigned i = place + 1; i < count_; ++i) blocks_[i - 1] = blocks_[i];
        --count_;
        total_ -= block.bytes;
        return block;
    }

    std::mutex mutex_;
    Block blocks_[most_blocks] = {};
    unsigned count_ = 0;
    std::size_t total_ = 0;
};

constinit Kept kept;

}  // namespace

Scratch::Scratch(std::size_t bytes) : data_(nullptr), bytes_(bytes), mapped_(bytes >= huge_page) {
    if (mapped_) {
        bytes_ = (bytes + huge_page - 1) / huge_page * huge_page;
        data_ = kept.take(bytes_);
        if (data_ == nullptr) data_ = mapped(bytes_);
        poison(data_, bytes_);  // whoever decides anything by what stood here is caught
    } else {
        bytes_ = (bytes + 63) / 64 * 64 + 64;
        data_ = ::operator new(bytes_, std::align_val_t{64});
        std::memset(data_, 0, bytes_);
    }
}

Scratch::~Scratch() {
    if (mapped_) {
        kept.give(data_, bytes_);
    } else {
        std::memset(data_, 0, bytes_);
        __asm__ volatile("" : : "r"(data_) : "memory");
        ::operator delete(data_, std::align_val_t{64});
    }
}

}  // namespace mc2::oblivious
