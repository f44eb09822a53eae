// Chooses the instruction set: the only file that sees more than one.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "mc2/families.hpp"

namespace mc2::oblivious {

namespace portable {
#define MC2_FAMILY(family, Name) extern const Name##Kernels family##_table;
#include "families.def"
#undef MC2_FAMILY
}  // namespace portable
#if MC2_HAVE_AVX2
namespace avx2 {
#define MC2_FAMILY(family, Name) extern const Name##Kernels family##_table;
#include "families.def"
#undef MC2_FAMILY
}  // namespace avx2
#endif

namespace {

constexpr int not_chosen = -1;
std::atomic<int> chosen{not_chosen};

bool cpu_has_avx2() noexcept {
#if MC2_HAVE_AVX2
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

}  // namespace

const char* isa_name(Isa isa) noexcept { return isa == Isa::avx2 ? "avx2" : "portable"; }

bool isa_supported(std::string_view name) noexcept {
    return name == "portable" || (name == "avx2" && cpu_has_avx2());
}

void use_isa(std::string_view name) {
    if (!isa_supported(name)) {
        throw std::runtime_error("no kernels for the instruction set '" + std::string(name) +
                                 "' on this machine; there is portable" + (cpu_has_avx2() ? ", avx2" : ""));
    }
    chosen.store(static_cast<int>(name == "avx2" ? Isa::avx2 : Isa::portable), std::memory_order_release);
}

Isa current_isa() {
    if (chosen.load(std::memory_order_acquire) == not_chosen) {
        const char* wish = std::getenv("MC2_ISA");
        use_isa(wish != nullptr && *wish != '\0' ? wish : (cpu_has_avx2() ? "avx2" : "portable"));
    }
    return static_cast<Isa>(chosen.load(std::memory_order_acquire));
}

namespace kernels {

// The module chooses when it is loaded, so that a bad $MC2_ISA is reported there and not here.
#if MC2_HAVE_AVX2
#define MC2_FAMILY(family, Name)                                                                 \
    const Name##Kernels& family() noexcept {                                                     \
        return current_isa() == Isa::avx2 ? avx2::family##_table : portable::family##_table; \
    }
#else
#define MC2_FAMILY(family, Name) \
    const Name##Kernels& family() noexcept { return portable::family##_table; }
#endif
#include "families.def"
#undef MC2_FAMILY

}  // namespace kernels
}  // namespace mc2::oblivious
