#include "mc2/digests.hpp"

#include <string>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
void digests_cases(std::vector<Case>& cases) {
    using N = std::size_t;
    for (const Digest which : {Digest::md5, Digest::sha1, Digest::sha224, Digest::sha256, Digest::sha384, Digest::sha512}) {
        for (const N width : {N{2}, N{9}, N{20}}) {
            const std::string of = std::to_string(static_cast<u32>(which)).append("/").append(std::to_string(width - 1));
            cases.push_back({"digests.digest/" + of, {1, 11}, [=](Probe& p) {
                const N n = p.rows();
                const u64* a = p.texts(width - 1);
                u64* out = p.room<u64>(n * (digest_digits(which) / 8 + 1));
                p.kernel([=] { kernels::digests().digest(which, a, width, out, n); });
            }});
        }
    }
    for (const N width : {N{2}, N{9}}) {
        cases.push_back({"digests.crc32/" + std::to_string(width - 1), {1, 11}, [width](Probe& p) {
            const N n = p.rows();
            const u64* a = p.texts(width - 1);
            u64* out = p.room<u64>(n);
            p.kernel([=] { kernels::digests().crc32(a, width, out, n); });
        }});
    }
}

}  // namespace mc2::oblivious
