// Runs kernels on made-up secrets, by name:
//   mc2-cases list                            each case and its sizes
//   mc2-cases run CASE ROWS DATA [ISA] [SEED] one run; prints a digest of all outputs
//   mc2-cases all [ISA] [THREADS]             every case, size and kind of data; prints valgrind's count
//   mc2-cases trace ISA KIND [MOST_ROWS [PARTS]]
//                                             every case once per size, each between two marks that a
//                                             tracer of addresses can see; a line for each on stdout.
//                                             Work is cut into PARTS, which run one after the other.
//                                             KIND is a digit, the place of the data in `all_data`:
//                                             names of other lengths would move the stack
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"
#include "mc2/poison.hpp"
#include "mc2/pool.hpp"

// Written before (1) and after (0) each kernel of `trace`: whoever reads a trace of all addresses
// finds the kernels' part between these stores. Outside of the namespace, so that `nm` finds it.
extern "C" {
[[gnu::used, gnu::visibility("default")]] volatile unsigned long long mc2_trace_mark = 0;
}

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

Data data_named(const char* name) {
    for (const Data data : all_data) {
        if (std::strcmp(data_name(data), name) == 0) return data;
    }
    std::fprintf(stderr, "no such kind of data\n");
    std::exit(2);
}

int run(int count, char** words) {
    if (count > 5) use_isa(words[5]);
    const Data data = data_named(words[4]);
    for (const Case& one : all_cases()) {
        if (one.name != words[2]) continue;
        const u64 seed = count > 6 ? std::strtoull(words[6], nullptr, 10) : 1;
        std::printf("%016llx\n", run_once(one, std::strtoull(words[3], nullptr, 10), data, seed));
        return 0;
    }
    std::fprintf(stderr, "no such case\n");
    return 2;
}

// Lines are printed when all is done, and digests of outputs are not taken: between two kernels
// nothing may happen that depends on data, or the next one's memory would lie elsewhere.
int trace(int count, char** words) {
    use_isa(words[2]);
    const std::size_t kind = static_cast<std::size_t>(words[3][0] - '0');
    if (kind >= std::size(all_data)) return 2;
    const Data data = all_data[kind];
    const std::size_t most = count > 4 ? std::strtoull(words[4], nullptr, 10) : ~std::size_t{0};
    if (count > 5) {
        set_threads(static_cast<unsigned>(std::strtoul(words[5], nullptr, 10)));
        set_serial_below(0);
        set_one_by_one(true);
    }
    const auto mark = [](unsigned long long state) { mc2_trace_mark = state; };
    for (const Case& one : all_cases()) {
        for (const std::size_t rows : one.rows) {
            if (rows > most) continue;
            Probe probe(rows, data, 1, [&] { mark(1); }, [&] { mark(0); });
            one.run(probe);
        }
    }
    for (const Case& one : all_cases()) {
        for (const std::size_t rows : one.rows) {
            if (rows <= most) std::printf("%s %zu\n", one.name.c_str(), rows);
        }
    }
    return 0;
}

int all(int count, char** words) {
    if (count > 2) use_isa(words[2]);
    if (count > 3) {
        set_threads(static_cast<unsigned>(std::strtoul(words[3], nullptr, 10)));
        set_serial_below(0);
    }
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
        for (const std::size_t rows : one.watched) {
            (void)run_once(one, rows, Data::random, 1);
            ++runs;
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
    if (verb == "trace" && count > 3) return trace(count, words);
    std::fprintf(stderr, "usage: mc2-cases list | run CASE ROWS DATA [ISA] [SEED] | all [ISA] [THREADS] | trace ISA KIND [MOST_ROWS [PARTS]]\n");
    return 2;
}
