// Marks of secrecy that valgrind understands (the method known as ctgrind): poisoned bytes count as
// undefined, so memcheck reports every branch and every address that depends on them. Natively all
// of this is a few no-ops; without valgrind's headers it is nothing, and `poison_works` says so.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define MC2_HAVE_VALGRIND 1
#else
#define MC2_HAVE_VALGRIND 0
#endif

namespace mc2::oblivious {

inline constexpr bool poison_works = MC2_HAVE_VALGRIND != 0;

// From here on these bytes are secret.
MC2_INLINE void poison([[maybe_unused]] const void* bytes, [[maybe_unused]] std::size_t count) noexcept {
#if MC2_HAVE_VALGRIND
    (void)VALGRIND_MAKE_MEM_UNDEFINED(bytes, count);
#endif
}

// From here on these bytes are public: for checks of results, outside of kernels.
MC2_INLINE void unpoison([[maybe_unused]] const void* bytes, [[maybe_unused]] std::size_t count) noexcept {
#if MC2_HAVE_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, count);
#endif
}

// How many reports memcheck has made so far; 0 outside of valgrind.
MC2_INLINE unsigned poison_reports() noexcept {
#if MC2_HAVE_VALGRIND
    return static_cast<unsigned>(VALGRIND_COUNT_ERRORS);
#else
    return 0;
#endif
}

MC2_INLINE bool under_valgrind() noexcept {
#if MC2_HAVE_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

}  // namespace mc2::oblivious
