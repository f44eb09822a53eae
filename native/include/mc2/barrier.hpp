// Value barriers: what the optimiser must not know.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

// Every helper of the kernels is inlined where it is used. A copy outside of a kernel would be one
// weak symbol for all instruction sets, and the linker might keep the one that an old CPU cannot run.
#define MC2_INLINE [[gnu::always_inline]] inline
// For what calls itself: the compiler would put a few of its calls into one another, each with loops
// and tests of its own for sizes that no case has, and nobody would have seen these run.
#define MC2_APART [[gnu::noinline]]

namespace mc2::oblivious {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using u128 = unsigned __int128;
using i128 = __int128;

// Hides a word from the optimiser, which could otherwise prove that a mask has two values and turn
// arithmetic back into a branch, or a select into a choice of address. The asm is empty: it costs
// nothing but the knowledge. It is volatile so that it is not moved into one arm of anything.
template <std::integral T>
MC2_INLINE T value_barrier(T word) noexcept {
    if constexpr (sizeof(T) < 4) {
        u32 wide = static_cast<u32>(static_cast<std::make_unsigned_t<T>>(word));
        __asm__ volatile("" : "+r"(wide));
        return static_cast<T>(wide);
    } else {
        __asm__ volatile("" : "+r"(word));
        return word;
    }
}

}  // namespace mc2::oblivious
