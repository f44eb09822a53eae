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

// --- plain versions of what the kernels of texts, numbers, packed rows and curves do

u64 tripled(u64 word) noexcept { return worked(word); }
u64 kept(u64 word) noexcept { return word; }

void dispatch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    static u64 (*const volatile functions[])(u64) noexcept = {tripled, kept};
    for (std::size_t i = 0; i < rows; ++i) out[i] = functions[a[i] >> 63](b[i]);
}

void pointer(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    const std::size_t apart = static_cast<std::size_t>(b - a);
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i + ((0 - (value_barrier(a[i]) >> 63)) & apart)];
}

void lanes(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    std::size_t i = 0;
#if MC2_ISA_avx2
    for (; i + 4 <= rows; i += 4) {
        const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
        if (_mm256_movemask_pd(_mm256_castsi256_pd(words)) == 0) out[i] = worked(b[i]);
    }
#endif
    for (; i < rows; ++i) {
        if (a[i] >> 63 == 0) out[i] = worked(b[i]);
    }
}

void bit_deposit(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
#if MC2_ISA_avx2
        out[i] = _pdep_u64(a[i], b[i]);
#else
        u64 found = 0, from = a[i];
        for (u64 mask = b[i]; mask != 0; mask &= mask - 1) {
            found |= mask & (0 - mask) & (0 - (from & 1));
            from >>= 1;
        }
        out[i] = found;
#endif
    }
}

void packed_bits(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    std::size_t at = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 bits = a[i] >> 58;
        out[at / 64] |= bits << (at % 64);
        at += 1 + (bits & 7);
    }
}

void few_matches(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < 8; ++j) {
            if ((b[j] ^ a[i]) >> 61 == 0) {
                out[i] = worked(b[j]);
                break;
            }
        }
    }
}

void few_place(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64 place = 0;
        for (std::size_t j = 0; j < 8; ++j) place |= (Secret(b[j] >> 61) == Secret(a[i] >> 61)).word() & j;
        out[i] = b[place];
    }
}

void read_number(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    const u8* text = reinterpret_cast<const u8*>(a);
    for (std::size_t i = 0; i < rows; ++i) {
        u64 value = 0;
        for (std::size_t k = 0; k < 8 && text[8 * i + k] % 16 < 10; ++k) value = worked(value) + text[8 * i + k] % 16;
        out[i] = value;
    }
}

void spell_number(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64 value = a[i] >> (b[i] & 63), digits = 0;
        do {
            digits = (digits << 8) | (value % 10);
            value /= 10;
        } while (value != 0);
        out[i] = digits;
    }
}

void wide_division(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = static_cast<u64>(((static_cast<u128>(a[i]) << 64) | b[i]) / value_barrier(u64{10}));
    }
}

void normalise(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64 word = (a[i] >> (b[i] & 63)) | 1;
        while (word >> 63 == 0) word = value_barrier(word) << 1;
        out[i] = word;
    }
}

void library_search(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    const auto* text = reinterpret_cast<const u8*>(a);
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = static_cast<u64>(std::memchr(text + 8 * i, 'a', 8 * (rows - i)) != nullptr);
    }
}

void cut_text(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    const auto* text = reinterpret_cast<const u8*>(b);
    for (std::size_t i = 0; i < rows; ++i) std::memcpy(out + i, text + (a[i] >> 58), 8);
}

void skip_ascii(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        if ((a[i] & 0x8080808080808080) == 0) continue;
        out[i] = worked(a[i]);
    }
}

void utf8_table(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    static const volatile u8 next[4][4] = {{0, 1, 2, 3}, {1, 2, 3, 0}, {2, 3, 0, 1}, {3, 0, 1, 2}};
    u64 state = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        state = next[state][a[i] >> 62];
        out[i] = state;
    }
}

void library_pow(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<u64>(std::pow(static_cast<double>(a[i]) * 0x1p-62, static_cast<double>(b[i]) * 0x1p-62));
    }
}

void real_branch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        if (static_cast<double>(static_cast<i64>(a[i])) > 0x1p61) out[i] = worked(b[i]);
    }
}

void real_division(const u64* a, const u64*, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = std::bit_cast<u64>(1.0 / static_cast<double>(static_cast<i64>(a[i])));
    }
}

void prefetch(const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        __builtin_prefetch(b + (a[i] >> 58));
        out[i] = a[i];
    }
}

}  // namespace

extern const LeakyKernels leaky_table;
const LeakyKernels leaky_table = {
    control, branch, rare_branch, unseen_branch, short_circuit, ternary, loop, early_exit, table, gather,
    masked_store, size, append, library_sort, library_compare, library_exp, division, dispatch, pointer, lanes,
    bit_deposit, packed_bits, few_matches, few_place, read_number, spell_number, wide_division, normalise,
    library_search, cut_text, skip_ascii, utf8_table, library_pow, real_branch, real_division,
    prefetch};

}  // namespace mc2::oblivious::MC2_ISA
