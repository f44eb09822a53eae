// Several rows side by side, the same step for each: vectors of the compiler's own, of 16 or 32 bytes.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

namespace mc2::oblivious::MC2_ISA {

#if defined(MC2_ISA_avx2)
inline constexpr std::size_t side_bytes = 32;
#else
inline constexpr std::size_t side_bytes = 16;
#endif

template <typename T> struct SideOf;
template <> struct SideOf<u16> { typedef u16 type __attribute__((vector_size(side_bytes))); };
template <> struct SideOf<u32> { typedef u32 type __attribute__((vector_size(side_bytes))); };
template <> struct SideOf<u64> { typedef u64 type __attribute__((vector_size(side_bytes))); };

template <typename T> using Side = typename SideOf<T>::type;
template <typename T> inline constexpr std::size_t sides = side_bytes / sizeof(T);

// A mask leaves here as bits of unknown origin: nothing can turn it back into a comparison.
template <typename S>
MC2_INLINE S hidden_side(S mask) noexcept {
#if defined(__x86_64__)
    __asm__ volatile("" : "+x"(mask));
#elif defined(__aarch64__)
    __asm__ volatile("" : "+w"(mask));
#else
    __asm__ volatile("" : "+m"(mask));
#endif
    return mask;
}

// b in the lanes where the mask is all ones, else a.
template <typename S>
MC2_INLINE S chosen(S a, S b, S mask) noexcept { return a ^ (mask & (a ^ b)); }

template <typename T>
MC2_INLINE Side<T> turned_left(Side<T> a, unsigned count) noexcept {
    return (a << static_cast<T>(count)) | (a >> static_cast<T>(8 * sizeof(T) - count));
}
template <typename T>
MC2_INLINE Side<T> turned_right(Side<T> a, unsigned count) noexcept {
    return turned_left<T>(a, 8 * sizeof(T) - count);
}

// f(rows) for so many of them at once; the last ones stand in several lanes if there are too few.
template <std::size_t lanes, typename F>
MC2_INLINE void in_lanes(std::size_t from, std::size_t to, F f) noexcept {
    for (std::size_t i = from; i < to; i += lanes) {
        std::size_t rows[lanes];
        for (std::size_t lane = 0; lane < lanes; ++lane) rows[lane] = i + lane < to ? i + lane : to - 1;
        f(rows);
    }
}

}  // namespace mc2::oblivious::MC2_ISA
