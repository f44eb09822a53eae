#include "mc2/logic.hpp"

#include "mc2/secret.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

// Loops over bytes are plain bit operations, which no compiler turns into branches.
void and_marks(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i] & b[i];
}

void or_marks(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i] | b[i];
}

void not_marks(const u8* a, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i] ^ 1;
}

void and_known(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
               std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u8 a_true = a[i] & a_known[i], b_true = b[i] & b_known[i];
        const u8 a_false = a_known[i] & (a[i] ^ 1), b_false = b_known[i] & (b[i] ^ 1);
        out_known[i] = (a_true & b_true) | a_false | b_false;
        out[i] = a_true & b_true;
    }
}

void or_known(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
              std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u8 a_true = a[i] & a_known[i], b_true = b[i] & b_known[i];
        const u8 a_false = a_known[i] & (a[i] ^ 1), b_false = b_known[i] & (b[i] ^ 1);
        out_known[i] = a_true | b_true | (a_false & b_false);
        out[i] = a_true | b_true;
    }
}

void marks_to_words(const u8* a, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = a[i];
}

void words_to_marks(const u64* a, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) out[i] = static_cast<u8>(a[i] & 1);
}

void select_marks(const u8* keep, const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u8 mask = value_barrier(static_cast<u8>(0 - (keep[i] & 1)));
        out[i] = b[i] ^ (mask & (a[i] ^ b[i]));
    }
}

void select_rows(const u8* keep, const u64* a, const u64* b, std::size_t width, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 mask = Mask::from_bit(keep[i]).word();
        for (std::size_t j = i * width; j < (i + 1) * width; ++j) out[j] = b[j] ^ (mask & (a[j] ^ b[j]));
    }
}

void clear_rows(const u8* keep, const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        const u64 mask = Mask::from_bit(keep[i]).word();
        for (std::size_t j = i * width; j < (i + 1) * width; ++j) out[j] = a[j] & mask;
    }
}

void equal_rows(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        u64 difference = 0;
        for (std::size_t j = 0; j < width; ++j) difference |= a[i * width + j] ^ b[i * b_step + j];
        out[i] = (Secret<u64>(difference) == Secret<u64>(0)).byte();
    }
}

void less_rows(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out, std::size_t rows) noexcept {
    for (std::size_t i = 0; i < rows; ++i) {
        Mask less = Mask::constant(false), equal = Mask::constant(true);
        for (std::size_t j = 0; j < width; ++j) {
            const Secret<u64> x(a[i * width + j]), y(b[i * b_step + j]);
            less = less | (equal & (x < y));
            equal = equal & (x == y);
        }
        out[i] = less.byte();
    }
}

void raise_flag(const u8* when, std::size_t rows, u64 flag, u64* flags) noexcept {
    u8 any = 0;
    for (std::size_t i = 0; i < rows; ++i) any |= when[i];
    *flags |= Mask::from_bit(any).word() & flag;
}

}  // namespace

extern const LogicKernels logic_table;
const LogicKernels logic_table = {
    and_marks,    or_marks,    not_marks,  and_known,  or_known,  marks_to_words, words_to_marks,
    select_marks, select_rows, clear_rows, equal_rows, less_rows, raise_flag,
};

}  // namespace mc2::oblivious::MC2_ISA
