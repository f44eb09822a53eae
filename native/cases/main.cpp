// Runs kernels on made-up secrets, by name:
//   mc2-cases list                            each case and its sizes
//   mc2-cases run CASE ROWS DATA [ISA] [SEED] one run; prints a digest of all outputs
//   mc2-cases all [ISA]                       every case, size and kind of data; prints valgrind's count
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"
#include "mc2/poison.hpp"

namespace {

using namespace mc2::oblivious;

unsigned long long digest(const std::vector<u8>& bytes) {
    unsigned long long hash = 0xcbf29ce484222325;
    for (const u8 byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

unsigned long long run_once(const Case& one, std::size_t rows, Data data, u64 seed) {
    Probe probe(rows, data, seed);
    one.run(probe);
    return digest(probe.contents());
}

int list() {
    for (const Case& one : all_cases()) {
        std::printf("%s", one.name.c_str());
        for (const std::size_t rows : one.rows) std::printf(" %zu", rows);
        std::printf("\n");
    }
    return 0;
}

int run(int count, char** words) {
    if (count > 5) use_isa(words[5]);
    for (const Case& one : all_cases()) {
        if (one.name != words[2]) continue;
        for (const Data data : all_data) {
            if (std::strcmp(data_name(data), words[4]) != 0) continue;
            const u64 seed = count > 6 ? std::strtoull(words[6], nullptr, 10) : 1;
            std::printf("%016llx\n", run_once(one, std::strtoull(words[3], nullptr, 10), data, seed));
            return 0;
        }
    }
    std::fprintf(stderr, "no such case or kind of data\n");
    return 2;
}

int all(int count, char** words) {
    if (count > 2) use_isa(words[2]);
    unsigned runs = 0;
    int leaks = 0;
    for (const Case& one : all_cases()) {
        const unsigned before = poison_reports();
        for (const std::size_t rows : one.rows) {
            for (const Data data : all_data) {
                (void)run_once(one, rows, data, 1);
                ++runs;
            }
        }
        if (poison_reports() != before) {
            std::printf("LEAK %s\n", one.name.c_str());
            ++leaks;
        }
    }
    std::printf("%u runs, %s, %s: %d leaking cases\n", runs, isa_name(current_isa()),
                under_valgrind() ? "under valgrind" : "not watched", leaks);
    return leaks != 0;
}

}  // namespace

int main(int count, char** words) {
    const std::string verb = count > 1 ? words[1] : "";
    if (verb == "list") return list();
    if (verb == "run" && count > 4) return run(count, words);
    if (verb == "all") return all(count, words);
    std::fprintf(stderr, "usage: mc2-cases list | run CASE ROWS DATA [ISA] [SEED] | all [ISA]\n");
    return 2;
}
