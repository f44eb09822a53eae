// The register of all kernels, for whoever wants to run each of them on secret inputs of one public
// shape: the memcheck gate, the trace comparison, the mutation tests.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mc2/barrier.hpp"

namespace mc2::oblivious {

// What stands in the secret inputs. Random data never has equal keys, so it finds the least.
enum class Data { random, equal, sorted, reversed, few, skewed };
inline constexpr Data all_data[] = {Data::random, Data::equal, Data::sorted, Data::reversed, Data::few, Data::skewed};
const char* data_name(Data data) noexcept;

// Hands inputs to a case, and runs the kernel between two marks.
class Probe {
public:
    Probe(std::size_t rows, Data data, u64 seed, std::function<void()> before = {}, std::function<void()> after = {});

    std::size_t rows() const noexcept { return rows_; }

    // Secret inputs, poisoned, that live as long as the probe. `below` bounds the values (0: none).
    u64* words(std::size_t count, u64 below = 0);
    u32* halves(std::size_t count, u32 below = 0);
    u8* bytes(std::size_t count, unsigned below = 0);
    u8* marks(std::size_t count) { return bytes(count, 2); }
    double* doubles(std::size_t count);
    // Ascending words that start at 0 and step by 0 or 1, as the boundaries of sorted groups do.
    u64* steps(std::size_t count);
    // Texts of any bytes, of up to so many words each, then their lengths: a row for each of `rows`.
    u64* texts(std::size_t words);
    // Room for outputs: zeros, public until the kernel writes.
    template <typename T>
    T* room(std::size_t count) { return static_cast<T*>(take(count * sizeof(T))); }

    // Runs the kernel between the marks, with every secret poisoned.
    void kernel(const std::function<void()>& run);

    // All bytes that the case has asked for, made public: for comparing runs.
    std::vector<u8> contents();

private:
    void* take(std::size_t bytes);
    u64 draw(std::size_t position, std::size_t count, u64 below);

    struct Block {
        std::unique_ptr<u8[]> memory;
        u8* bytes;
        std::size_t count;
        bool secret;
    };
    std::size_t rows_;
    Data data_;
    u64 state_;
    std::function<void()> before_, after_;
    std::vector<Block> blocks_;
};

struct Case {
    std::string name;                // "family.kernel" or "family.kernel/variant"
    std::vector<std::size_t> rows;   // public sizes worth running: odd, small, not powers of two
    std::function<void(Probe&)> run;
    // Sizes for memcheck alone, with random data: traces of all that they run would take hours.
    std::vector<std::size_t> watched = {};
};

const std::vector<Case>& all_cases();

}  // namespace mc2::oblivious
