#include "mc2/select.hpp"

#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

void select_words(const u8* keep, const u64* a, const u64* b, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        out[i] = select(Mask::from_bit(keep[i]), Secret(a[i]), Secret(b[i])).bits();
    }
}

void equal_words(const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = (Secret(a[i]) == Secret(b[i])).byte();
}

void less_words(const u64* a, const u64* b, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = (Secret(a[i]) < Secret(b[i])).byte();
}

}  // namespace

extern const SelectKernels select_table;
const SelectKernels select_table = {select_words, equal_words, less_words};

}  // namespace mc2::oblivious::MC2_ISA
