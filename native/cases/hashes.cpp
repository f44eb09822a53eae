#include "mc2/hashes.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {

void hashes_cases(std::vector<Case>& cases) {
    using N = std::size_t;
    for (const Hash which : {Hash::murmur3, Hash::xxhash64}) {
        const std::string of = which == Hash::murmur3 ? "/murmur3/" : "/xxhash64/";
        for (const unsigned bytes : {4u, 8u}) {
            cases.push_back({"hashes.hash_words" + of + std::to_string(bytes), {1, 2, 7, 16, 37}, [=](Probe& p) {
                const N n = p.rows();
                const u64* a = p.words(n);
                const u8* known = p.marks(n);
                u64* hashes = p.words(n);
                p.kernel([=] { kernels::hashes().hash_words(which, bytes, a, known, hashes, n); });
            }});
        }
        for (const N width : {N{2}, N{4}, N{6}, N{9}, N{20}}) {
            cases.push_back({"hashes.hash_texts" + of + std::to_string(width - 1), {1, 7}, [=](Probe& p) {
                const N n = p.rows();
                const u64* a = p.texts(width - 1);
                const u8* known = p.marks(n);
                u64* hashes = p.words(n);
                p.kernel([=] { kernels::hashes().hash_texts(which, a, width, known, hashes, n); });
            }});
        }
    }
    for (const bool half : {false, true}) {
        cases.push_back({half ? "hashes.real_bits/half" : "hashes.real_bits", {1, 2, 7, 16, 37}, [half](Probe& p) {
            const N n = p.rows();
            const double* a = p.doubles(n);
            u64* out = p.room<u64>(n);
            p.kernel([=] { kernels::hashes().real_bits(half, a, out, n); });
        }});
    }
    cases.push_back({"hashes.number_bytes", {1, 7}, [](Probe& p) {
        const N n = p.rows();
        const i128* a = reinterpret_cast<const i128*>(p.words(2 * n));
        u64* out = p.room<u64>(3 * n);
        p.kernel([=] { kernels::hashes().number_bytes(a, out, n); });
    }});
}

}  // namespace mc2::oblivious
