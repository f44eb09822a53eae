// Where the kernels are: one table per family and instruction set, chosen once at run time.
//
// A kernel's file is compiled for every instruction set, each time with another MC2_ISA (a
// namespace), and exports one constant table per family. Everything else in it is local.
#pragma once

#include <cstddef>
#include <string_view>

namespace mc2::oblivious {

#define MC2_FAMILY(family, Name) struct Name##Kernels;
#include "families.def"
#undef MC2_FAMILY

// The tables of the instruction set in use: `kernels::sort().words(...)`.
namespace kernels {
#define MC2_FAMILY(family, Name) const Name##Kernels& family() noexcept;
#include "families.def"
#undef MC2_FAMILY
}  // namespace kernels

enum class Isa { portable, avx2 };

// What the kernels use now. The first call chooses: $MC2_ISA if set ("portable" or "avx2"), else
// the best that this CPU has. An unknown or unsupported name in $MC2_ISA throws std::runtime_error.
Isa current_isa();
const char* isa_name(Isa isa) noexcept;
bool isa_supported(std::string_view name) noexcept;
// For tests, before other threads run kernels. Throws std::runtime_error.
void use_isa(std::string_view name);

}  // namespace mc2::oblivious
