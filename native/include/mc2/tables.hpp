// Bytes looked up by secret places, 32 at once: every place of the table is read for each.
#pragma once

#include <cstddef>
#include <cstring>

#include "mc2/barrier.hpp"

#if defined(MC2_ISA_avx2)
#include <immintrin.h>
#endif

namespace mc2::oblivious::MC2_ISA {

typedef u8 Bytes __attribute__((vector_size(32)));

inline constexpr std::size_t table_places = 128;

MC2_INLINE Bytes load_bytes(const u8* at) noexcept {
    Bytes v;
    std::memcpy(&v, at, sizeof v);
    return v;
}
MC2_INLINE void store_bytes(u8* at, const Bytes& v) noexcept { std::memcpy(at, &v, sizeof v); }

MC2_INLINE void hide(Bytes& mask) noexcept {
#if defined(MC2_ISA_avx2)
    __asm__ volatile("" : "+x"(mask));
#else
    __asm__ volatile("" : "+m"(mask));
#endif
}

// Bytes by their places 0 .. 127, in any of which the wanted one may stand.
struct Table {
    alignas(32) u8 bytes[table_places] = {};
};

// out[lane] = the byte at places[lane]; 0 for a place that is not among the first `count`, rounded up to 16.
#if defined(MC2_ISA_avx2)

MC2_INLINE void look_up(const Table& table, std::size_t count, const Bytes& places, Bytes& out) noexcept {
    const __m256i place = reinterpret_cast<__m256i>(places), low = _mm256_set1_epi8(15);
    const __m256i within = _mm256_and_si256(place, low);
    const __m256i which = _mm256_and_si256(_mm256_srli_epi16(place, 4), low);
    __m256i found = _mm256_setzero_si256();
    for (std::size_t c = 0; c < count; c += 16) {
        const __m256i part = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table.bytes + c)));
        const __m256i here = _mm256_cmpeq_epi8(which, _mm256_set1_epi8(static_cast<char>(c / 16)));
        found = _mm256_or_si256(found, _mm256_and_si256(here, _mm256_shuffle_epi8(part, within)));
    }
    out = reinterpret_cast<Bytes>(found);
}

#else

MC2_INLINE void look_up(const Table& table, std::size_t count, const Bytes& places, Bytes& out) noexcept {
    Bytes found{};
    for (std::size_t c = 0; c < count; ++c) {
        Bytes here = reinterpret_cast<Bytes>(places == static_cast<u8>(c));
        hide(here);
        found |= here & table.bytes[c];
    }
    out = found;
}

#endif

}  // namespace mc2::oblivious::MC2_ISA
