// Constant-time selection and comparison of 64-bit words.
#pragma once

#include <cstdint>
#include <span>

namespace mc2::oblivious {

// Hides a word from the optimiser, which could otherwise prove that a mask has two values and
// turn arithmetic back into a branch. The asm is empty: it costs nothing but the knowledge.
inline std::uint64_t value_barrier(std::uint64_t word) noexcept {
    __asm__("" : "+r"(word));
    return word;
}

// All ones when a == b, else all zeros. No comparison instruction sees a secret.
inline std::uint64_t equal_mask(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t difference = value_barrier(a ^ b);
    // Bit 63 of (d | -d) is set exactly when d != 0.
    return value_barrier(((difference | (0 - difference)) >> 63) - 1);
}

// All ones when a < b as unsigned words, else all zeros (Hacker's Delight, section 2-12).
inline std::uint64_t less_mask(std::uint64_t a, std::uint64_t b) noexcept {
    a = value_barrier(a);
    const std::uint64_t borrow = (~a & b) | ((~a | b) & (a - b));
    return value_barrier(0 - (borrow >> 63));
}

// a where mask is all ones, b where it is all zeros.
inline std::uint64_t select_word(std::uint64_t mask, std::uint64_t a, std::uint64_t b) noexcept {
    return b ^ (value_barrier(mask) & (a ^ b));
}

//   keep  1 0 0 1      in: 0 or 1
//   a     a b c d      in
//   b     p q r s      in
//   out   a q r d      out: every word of a and b is read, whatever `keep` says
void select(std::span<const std::uint8_t> keep, std::span<const std::uint64_t> a,
            std::span<const std::uint64_t> b, std::span<std::uint64_t> out) noexcept;

// out[i] = 1 when a[i] == b[i], else 0.
void equal(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b,
           std::span<std::uint8_t> out) noexcept;

// out[i] = 1 when a[i] < b[i] as unsigned words, else 0.
void less(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b,
          std::span<std::uint8_t> out) noexcept;

}  // namespace mc2::oblivious
