// Reads what valgrind's lackey prints with --trace-mem=yes, and prints one line for each stretch
// between the two marks of `mc2-cases trace`: how many lines it has, and a hash of them.
//   trace-hash MARK_ADDRESS        (hexadecimal, as lackey prints it)
// Each line is an instruction fetched, a load, a store or both, with its address and size: the whole
// trace of addresses, byte by byte. Two hashes of 64 bits with other constants are kept, so that two
// traces that differ do not come out alike by chance.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using u64 = unsigned long long;

// "I  0401f1c8,3", " L 1ffeffe7c8,8", " S ...", " M ...": the address of a store, else 0.
u64 stored_at(const char* line) {
    return line[0] == ' ' && line[1] == 'S' ? std::strtoull(line + 3, nullptr, 16) : 0;
}

bool of_a_trace(const char* line) {
    return (line[0] == 'I' && line[1] == ' ') || (line[0] == ' ' && std::strchr("LSM", line[1]) != nullptr && line[2] == ' ');
}

struct Stretch {
    u64 one = 0xcbf29ce484222325, other = 0x9e3779b97f4a7c15, lines = 0;
    void add(const char* line) {
        for (; *line != '\0'; ++line) {
            const u64 byte = static_cast<unsigned char>(*line);
            one = (one ^ byte) * 0x100000001b3;
            other = (other + byte) * 0xff51afd7ed558ccd;
            other ^= other >> 29;
        }
        ++lines;
    }
};

}  // namespace

int main(int count, char** words) {
    if (count != 2) {
        std::fprintf(stderr, "usage: trace-hash MARK_ADDRESS < TRACE\n");
        return 2;
    }
    const u64 mark = std::strtoull(words[1], nullptr, 16);
    std::vector<char> buffer(1 << 20);
    std::setvbuf(stdin, buffer.data(), _IOFBF, buffer.size());
    Stretch stretch;
    bool inside = false;
    for (char line[256]; std::fgets(line, sizeof line, stdin) != nullptr;) {
        if (!of_a_trace(line)) continue;
        if (stored_at(line) == mark) {
            if (inside) std::printf("%016llx%016llx %llu\n", stretch.one, stretch.other, stretch.lines);
            inside = !inside;
            stretch = Stretch{};
        } else if (inside) {
            stretch.add(line);
        }
    }
    return inside ? 1 : 0;
}
