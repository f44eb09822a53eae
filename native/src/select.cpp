#include "mc2/select.hpp"

#include <cstddef>

namespace mc2::oblivious {

void select(std::span<const std::uint8_t> keep, std::span<const std::uint64_t> a,
            std::span<const std::uint64_t> b, std::span<std::uint64_t> out) noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = select_word(0 - static_cast<std::uint64_t>(keep[i] & 1), a[i], b[i]);
    }
}

void equal(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b,
           std::span<std::uint8_t> out) noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<std::uint8_t>(equal_mask(a[i], b[i]) & 1);
    }
}

void less(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b,
          std::span<std::uint8_t> out) noexcept {
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<std::uint8_t>(less_mask(a[i], b[i]) & 1);
    }
}

}  // namespace mc2::oblivious
