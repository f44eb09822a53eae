// Four 64-bit words side by side: the only vector type of the kernels. On AVX2 it is one register;
// elsewhere two 16-byte vectors of the compiler's own, with masks made by arithmetic.
#pragma once

#include <cstddef>
#include <cstring>

#include "mc2/barrier.hpp"

#if defined(MC2_ISA_avx2)
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {

#if defined(MC2_ISA_avx2)

using V = __m256i;

// Three words at `at`, the middle one twice: what the same swaps do to both copies is the same.
MC2_INLINE V load_three(const u64* at) noexcept {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))),
                                   _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1)), 1);
}
MC2_INLINE void store_three(u64* at, V v) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm256_castsi256_si128(v));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 1), _mm256_extracti128_si256(v, 1));
}
MC2_INLINE V load(const void* at) noexcept { return _mm256_loadu_si256(static_cast<const V*>(at)); }
MC2_INLINE void store(void* at, V v) noexcept { _mm256_storeu_si256(static_cast<V*>(at), v); }
MC2_INLINE V all64(u64 word) noexcept { return _mm256_set1_epi64x(static_cast<long long>(word)); }
MC2_INLINE V all32(u32 word) noexcept { return _mm256_set1_epi32(static_cast<int>(word)); }
MC2_INLINE V words(u64 a, u64 b, u64 c, u64 d) noexcept {
    return _mm256_set_epi64x(static_cast<long long>(d), static_cast<long long>(c), static_cast<long long>(b), static_cast<long long>(a));
}
// A mask leaves here as bits of unknown origin. Clang, when it knows that a lane is all ones or all
// zeros, makes "store the choice between what is there and something else" a masked store, which
// writes, or does not, as the secret says.
MC2_INLINE V hidden(V v) noexcept {
    __asm__("" : "+x"(v));
    return v;
}
// All ones in the lanes where a > b, as signed numbers.
MC2_INLINE V greater64(V a, V b) noexcept { return hidden(_mm256_cmpgt_epi64(a, b)); }
MC2_INLINE V greater32(V a, V b) noexcept { return hidden(_mm256_cmpgt_epi32(a, b)); }
MC2_INLINE V equal64(V a, V b) noexcept { return hidden(_mm256_cmpeq_epi64(a, b)); }
MC2_INLINE V add64(V a, V b) noexcept { return _mm256_add_epi64(a, b); }
MC2_INLINE V sub64(V a, V b) noexcept { return _mm256_sub_epi64(a, b); }
// Each 32-bit word shifted left by a public count.
MC2_INLINE V left32(V a, unsigned count) noexcept { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(static_cast<int>(count))); }
// Each word shifted right by a public count; the upper bits are zeros.
MC2_INLINE V right64(V a, unsigned count) noexcept { return _mm256_srl_epi64(a, _mm_cvtsi32_si128(static_cast<int>(count))); }
MC2_INLINE V add32(V a, V b) noexcept { return _mm256_add_epi32(a, b); }
MC2_INLINE V sub32(V a, V b) noexcept { return _mm256_sub_epi32(a, b); }
MC2_INLINE V half32(V a) noexcept { return _mm256_srli_epi32(a, 1); }
MC2_INLINE V both(V a, V b) noexcept { return _mm256_and_si256(a, b); }
MC2_INLINE V either(V a, V b) noexcept { return _mm256_or_si256(a, b); }
MC2_INLINE V differ(V a, V b) noexcept { return _mm256_xor_si256(a, b); }
// b in the lanes where the mask is all ones, else a.
MC2_INLINE V choose(V a, V b, V mask) noexcept { return _mm256_blendv_epi8(a, b, mask); }
MC2_INLINE u64 first_word(V v) noexcept { return static_cast<u64>(_mm256_extract_epi64(v, 0)); }
// Lanes 0123 -> 1032, 2301, 3210.
MC2_INLINE V swap_neighbours(V a) noexcept { return _mm256_permute4x64_epi64(a, 0xB1); }
MC2_INLINE V swap_halves(V a) noexcept { return _mm256_permute4x64_epi64(a, 0x4E); }
MC2_INLINE V reverse(V a) noexcept { return _mm256_permute4x64_epi64(a, 0x1B); }
// The two halves of each word change places.
MC2_INLINE V swap_words32(V a) noexcept { return _mm256_shuffle_epi32(a, 0xB1); }
// Lanes 0123 -> 0022.
MC2_INLINE V copy_even(V a) noexcept { return _mm256_shuffle_epi32(a, 0x44); }
MC2_INLINE void transpose(V& a, V& b, V& c, V& d) noexcept {
    const V ab_low = _mm256_unpacklo_epi64(a, b), ab_high = _mm256_unpackhi_epi64(a, b);
    const V cd_low = _mm256_unpacklo_epi64(c, d), cd_high = _mm256_unpackhi_epi64(c, d);
    a = _mm256_permute2x128_si256(ab_low, cd_low, 0x20);
    b = _mm256_permute2x128_si256(ab_high, cd_high, 0x20);
    c = _mm256_permute2x128_si256(ab_low, cd_low, 0x31);
    d = _mm256_permute2x128_si256(ab_high, cd_high, 0x31);
}

#else

typedef u64 Half __attribute__((vector_size(16)));
typedef i64 SignedHalf __attribute__((vector_size(16)));
typedef i32 Words32 __attribute__((vector_size(16)));
struct V {
    Half low, high;
};

// The mask leaves here as bits of unknown origin: nothing can turn it back into a comparison.
MC2_INLINE Half hidden(Half h) noexcept {
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(h));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(h));
#else
    __asm__ volatile("" : "+m"(h));
#endif
    return h;
}
MC2_INLINE Half sign_of(Half h) noexcept { return hidden((Half)((SignedHalf)h >> 63)); }
// a > b as signed numbers: the sign of b - a, corrected where that overflows (Hacker's Delight, 2-12).
MC2_INLINE Half greater_half(Half a, Half b) noexcept {
    const Half difference = b - a;
    return sign_of(difference ^ ((b ^ a) & (difference ^ b)));
}
MC2_INLINE Half equal_half(Half a, Half b) noexcept {
    const Half difference = hidden(a ^ b);
    return hidden(~(Half)((SignedHalf)(difference | (Half{0, 0} - difference)) >> 63));
}

MC2_INLINE V load(const void* at) noexcept {
    V v;
    std::memcpy(&v, at, sizeof v);
    return v;
}
MC2_INLINE void store(void* at, V v) noexcept { std::memcpy(at, &v, sizeof v); }
MC2_INLINE V load_three(const u64* at) noexcept { return {Half{at[0], at[1]}, Half{at[1], at[2]}}; }
MC2_INLINE void store_three(u64* at, V v) noexcept {
    std::memcpy(at, &v.low, sizeof v.low);
    std::memcpy(at + 1, &v.high, sizeof v.high);
}
MC2_INLINE V add64(V a, V b) noexcept { return {a.low + b.low, a.high + b.high}; }
MC2_INLINE V sub64(V a, V b) noexcept { return {a.low - b.low, a.high - b.high}; }
MC2_INLINE V left32(V a, unsigned count) noexcept {
    typedef u32 Unsigned32 __attribute__((vector_size(16)));
    return {(Half)((Unsigned32)a.low << count), (Half)((Unsigned32)a.high << count)};
}
MC2_INLINE V right64(V a, unsigned count) noexcept { return {a.low >> count, a.high >> count}; }
MC2_INLINE V all64(u64 word) noexcept { return {Half{word, word}, Half{word, word}}; }
MC2_INLINE V all32(u32 word) noexcept { return all64((static_cast<u64>(word) << 32) | word); }
MC2_INLINE V words(u64 a, u64 b, u64 c, u64 d) noexcept { return {Half{a, b}, Half{c, d}}; }
MC2_INLINE V greater64(V a, V b) noexcept { return {greater_half(a.low, b.low), greater_half(a.high, b.high)}; }
MC2_INLINE V greater32(V a, V b) noexcept {
    return {hidden((Half)((Words32)a.low > (Words32)b.low)), hidden((Half)((Words32)a.high > (Words32)b.high))};
}
MC2_INLINE V equal64(V a, V b) noexcept { return {equal_half(a.low, b.low), equal_half(a.high, b.high)}; }
MC2_INLINE V add32(V a, V b) noexcept {
    return {(Half)((Words32)a.low + (Words32)b.low), (Half)((Words32)a.high + (Words32)b.high)};
}
MC2_INLINE V sub32(V a, V b) noexcept {
    return {(Half)((Words32)a.low - (Words32)b.low), (Half)((Words32)a.high - (Words32)b.high)};
}
// Each 32-bit word, unsigned, shifted right by one.
MC2_INLINE V half32(V a) noexcept {
    typedef u32 Unsigned32 __attribute__((vector_size(16)));
    return {(Half)((Unsigned32)a.low >> 1), (Half)((Unsigned32)a.high >> 1)};
}
MC2_INLINE V both(V a, V b) noexcept { return {a.low & b.low, a.high & b.high}; }
MC2_INLINE V either(V a, V b) noexcept { return {a.low | b.low, a.high | b.high}; }
MC2_INLINE V differ(V a, V b) noexcept { return {a.low ^ b.low, a.high ^ b.high}; }
MC2_INLINE V choose(V a, V b, V mask) noexcept {
    return {a.low ^ (mask.low & (a.low ^ b.low)), a.high ^ (mask.high & (a.high ^ b.high))};
}
MC2_INLINE u64 first_word(V v) noexcept { return v.low[0]; }
MC2_INLINE Half turned(Half h) noexcept { return Half{h[1], h[0]}; }
MC2_INLINE V swap_neighbours(V a) noexcept { return {turned(a.low), turned(a.high)}; }
MC2_INLINE V swap_halves(V a) noexcept { return {a.high, a.low}; }
MC2_INLINE V reverse(V a) noexcept { return {turned(a.high), turned(a.low)}; }
MC2_INLINE V swap_words32(V a) noexcept { return {a.low << 32 | a.low >> 32, a.high << 32 | a.high >> 32}; }
MC2_INLINE V copy_even(V a) noexcept { return {Half{a.low[0], a.low[0]}, Half{a.high[0], a.high[0]}}; }
MC2_INLINE void transpose(V& a, V& b, V& c, V& d) noexcept {
    const V p = a, q = b, r = c, s = d;
    a = {Half{p.low[0], q.low[0]}, Half{r.low[0], s.low[0]}};
    b = {Half{p.low[1], q.low[1]}, Half{r.low[1], s.low[1]}};
    c = {Half{p.high[0], q.high[0]}, Half{r.high[0], s.high[0]}};
    d = {Half{p.high[1], q.high[1]}, Half{r.high[1], s.high[1]}};
}

#endif

// Four 64-bit words side by side, from addresses that need not be neighbours.
MC2_INLINE V gathered(const u64* a, const u64* b, const u64* c, const u64* d) noexcept { return words(*a, *b, *c, *d); }

inline constexpr std::size_t words_in_vector = 4;

// All ones in the lanes whose byte's bit 0 is 1.
MC2_INLINE V marked(const u8* marks) noexcept {
#if defined(MC2_ISA_avx2)
    int four;
    std::memcpy(&four, marks, sizeof four);
    const V bits = _mm256_and_si256(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four)), _mm256_set1_epi64x(1));
    return hidden(_mm256_sub_epi64(_mm256_setzero_si256(), bits));
#else
    const V v = words(0 - u64{marks[0] & 1u}, 0 - u64{marks[1] & 1u}, 0 - u64{marks[2] & 1u}, 0 - u64{marks[3] & 1u});
    return {hidden(v.low), hidden(v.high)};
#endif
}
// The way back: bytes of 1 in the lanes of a mask.
MC2_INLINE void mark(u8* out, V mask) noexcept {
    u64 lane[words_in_vector];
    store(lane, mask);
    for (std::size_t i = 0; i < words_in_vector; ++i) out[i] = static_cast<u8>(lane[i] & 1);
}

}  // namespace mc2::oblivious::MC2_ISA
