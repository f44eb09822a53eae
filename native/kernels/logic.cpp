#include "mc2/logic.hpp"

#include "mc2/lanes.hpp"
#include "mc2/secret.hpp"
#include "mc2/shares.hpp"

namespace mc2::oblivious::MC2_ISA {
namespace {

// row(i) for each row. Rows are cut over threads, and each thread has a copy of `row`.
template <typename Row>
MC2_INLINE void each_row(std::size_t rows, Row row) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) row(i);
    });
}

// four(i) for each four rows, one(i) for those that are left.
template <typename Four, typename One>
MC2_INLINE void each_four(std::size_t rows, Four four, One one) noexcept {
    cut_over_threads(rows, [=](std::size_t from, std::size_t to) {
        std::size_t i = from;
        for (; i + words_in_vector <= to; i += words_in_vector) four(i);
        for (; i < to; ++i) one(i);
    });
}

// Loops over bytes are plain bit operations, which no compiler turns into branches.
void and_marks(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) { out[i] = a[i] & b[i]; });
}

void or_marks(const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) { out[i] = a[i] | b[i]; });
}

void not_marks(const u8* a, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) { out[i] = a[i] ^ 1; });
}

void and_known(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
               std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) {
        const u8 a_true = a[i] & a_known[i], b_true = b[i] & b_known[i];
        const u8 a_false = a_known[i] & (a[i] ^ 1), b_false = b_known[i] & (b[i] ^ 1);
        out_known[i] = (a_true & b_true) | a_false | b_false;
        out[i] = a_true & b_true;
    });
}

void or_known(const u8* a, const u8* a_known, const u8* b, const u8* b_known, u8* out, u8* out_known,
              std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) {
        const u8 a_true = a[i] & a_known[i], b_true = b[i] & b_known[i];
        const u8 a_false = a_known[i] & (a[i] ^ 1), b_false = b_known[i] & (b[i] ^ 1);
        out_known[i] = a_true | b_true | (a_false & b_false);
        out[i] = a_true | b_true;
    });
}

void marks_to_words(const u8* a, u64* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) { out[i] = a[i]; });
}

void words_to_marks(const u64* a, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) { out[i] = static_cast<u8>(a[i] & 1); });
}

void select_marks(const u8* keep, const u8* a, const u8* b, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) {
        const u8 mask = value_barrier(static_cast<u8>(0 - (keep[i] & 1)));
        out[i] = b[i] ^ (mask & (a[i] ^ b[i]));
    });
}

void select_rows(const u8* keep, const u64* a, const u64* b, std::size_t width, u64* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) {
        const u64 mask = Mask::from_bit(keep[i]).word();
        for (std::size_t j = i * width; j < (i + 1) * width; ++j) out[j] = b[j] ^ (mask & (a[j] ^ b[j]));
    });
}

void clear_words(const u8* keep, const u64* a, u64* out, std::size_t rows) noexcept {
    each_four(
        rows, [=](std::size_t i) { store(out + i, both(load(a + i), marked(keep + i))); },
        [=](std::size_t i) { out[i] = a[i] & Mask::from_bit(keep[i]).word(); });
}

void clear_rows(const u8* keep, const u64* a, std::size_t width, u64* out, std::size_t rows) noexcept {
    if (width == 1) return clear_words(keep, a, out, rows);
    each_row(rows, [=](std::size_t i) {
        const u64 mask = Mask::from_bit(keep[i]).word();
        for (std::size_t j = i * width; j < (i + 1) * width; ++j) out[j] = a[j] & mask;
    });
}

void equal_to_one(const u64* a, u64 b, u8* out, std::size_t rows) noexcept {
    each_four(
        rows, [=](std::size_t i) { mark(out + i, equal64(load(a + i), all64(b))); },
        [=](std::size_t i) { out[i] = (Secret<u64>(a[i]) == Secret<u64>(b)).byte(); });
}

void equal_rows(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out, std::size_t rows) noexcept {
    if (width == 1 && b_step == 0) return equal_to_one(a, rows > 0 ? b[0] : 0, out, rows);
    each_row(rows, [=](std::size_t i) {
        u64 difference = 0;
        for (std::size_t j = 0; j < width; ++j) difference |= a[i * width + j] ^ b[i * b_step + j];
        out[i] = (Secret<u64>(difference) == Secret<u64>(0)).byte();
    });
}

void less_rows(const u64* a, const u64* b, std::size_t b_step, std::size_t width, u8* out, std::size_t rows) noexcept {
    each_row(rows, [=](std::size_t i) {
        Mask less = Mask::constant(false), equal = Mask::constant(true);
        for (std::size_t j = 0; j < width; ++j) {
            const Secret<u64> x(a[i * width + j]), y(b[i * b_step + j]);
            less = less | (equal & (x < y));
            equal = equal & (x == y);
        }
        out[i] = less.byte();
    });
}

void raise_flag(const u8* when, std::size_t rows, u64 flag, u64* flags) noexcept {
    *flags |= flags_of_shares(rows, [=](std::size_t from, std::size_t to) {
        u8 any = 0;
        for (std::size_t i = from; i < to; ++i) any |= when[i];
        return Mask::from_bit(any).word() & flag;
    });
}

}  // namespace

extern const LogicKernels logic_table;
const LogicKernels logic_table = {
    and_marks,    or_marks,    not_marks,  and_known,  or_known,  marks_to_words, words_to_marks,
    select_marks, select_rows, clear_rows, equal_rows, less_rows, raise_flag,
};

}  // namespace mc2::oblivious::MC2_ISA
