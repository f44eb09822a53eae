#include "mc2/leaky.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "mc2/secret.hpp"

#if MC2_ISA_avx2
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {
namespace {

// Work that the compiler cannot turn into a select.
MC2_INLINE u64 worked(u64 word) noexcept {
    __asm__ volatile("" : "+r"(word) : : "memory");
    return word * 3;
}

void control(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = select(Secret(a[i]) < Secret(b[i]), Secret(a[i]), Secret(b[i])).bits();
    }
}

void branch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        if (a[i] & 1) out[i] = worked(b[i]);
    }
}

void rare_branch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 1; i < rows; ++i) {
        if (a[i] == a[i - 1]) out[i] = worked(b[i]);
    }
}

void unseen_branch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    if (rows < 1'000'000) return control(a, b, out, rows);
    for (std::size_t i = 0; i < rows; ++i) {
        if (a[i] & 1) out[i] = worked(b[i]);
    }
}

void short_circuit(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 1; i < rows; ++i) {
        if (a[i] < a[i - 1] || (a[i] == a[i - 1] && b[i] < b[i - 1])) out[i] = worked(b[i]);
    }
}

void ternary(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t k = 0; k < rows; ++k) {
        const u64 wanted = a[k] % 64;
        u64 found = 0;
        for (std::size_t i = 0; i < rows; ++i) found = i == wanted ? b[i] : found;
        out[k] = found;
    }
}

void loop(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64 word = b[i];
        for (u64 left = a[i] & 7; left > 0; --left) word = worked(word);
        out[i] = word;
    }
}

void early_exit(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        if (a[i] >> 63) break;
        out[i] = worked(b[i]);
    }
}

void table(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    u64 entries[64];
    for (std::size_t i = 0; i < 64; ++i) entries[i] = worked(b[i % rows]);
    for (std::size_t i = 0; i < rows; ++i) out[i] = entries[a[i] >> 58];
}

void gather(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    u64 entries[64];
    for (std::size_t i = 0; i < 64; ++i) entries[i] = worked(b[i % rows]);
    std::size_t i = 0;
#if MC2_ISA_avx2
    for (; i + 4 <= rows; i += 4) {
        const __m256i places = _mm256_srli_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i)), 58);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                            _mm256_i64gather_epi64(reinterpret_cast<const long long*>(entries), places, 8));
    }
#endif
    for (; i < rows; ++i) out[i] = entries[a[i] >> 58];
}

void masked_store(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    std::size_t i = 0;
#if MC2_ISA_avx2
    for (; i + 4 <= rows; i += 4) {
        _mm256_maskstore_epi64(reinterpret_cast<long long*>(out + i),
                               _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i)),
                               _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + i)));
    }
#endif
    for (; i < rows; ++i) {
        if (a[i] >> 63) out[i] = worked(b[i]);
    }
}

void size(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    std::size_t count = 0;
    for (std::size_t i = 0; i < rows; ++i) count += (a[i] ^ b[i]) >> 63;
    std::memset(out, 1, count * sizeof(u64));
}

void append(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    std::size_t end = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        out[end] = b[i];
        end += a[i] >> 63;
    }
}

struct Less {
    bool operator()(u64 x, u64 y) const noexcept { return x < y; }
};

void library_sort(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    std::memcpy(out, a, rows * sizeof(u64));
    std::sort(out, out + rows, Less{});
}

void library_compare(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = static_cast<u64>(std::memcmp(a, b, 8 * (rows - i)) < 0);
    }
}

void library_exp(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<u64>(std::exp(static_cast<double>(a[i]) * 0x1p-62));
    }
}

void division(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i] / (b[i] | 1);
}

}  // namespace

extern const LeakyKernels leaky_table;
const LeakyKernels leaky_table = {control,      branch, rare_branch, unseen_branch,   short_circuit, ternary,
                                  loop,         early_exit, table,   gather,          masked_store,  size,
                                  append,       library_sort, library_compare, library_exp, division};

}  // namespace mc2::oblivious::MC2_ISA
