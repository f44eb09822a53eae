#include "mc2/chunks.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

void add_texts(std::vector<Case>& cases, const char* name, std::size_t width, bool utf8) {
    cases.push_back({name, {1, 33, 200}, [=](Probe& p) {
        const std::size_t n = p.rows(), room = 8 * (width - 1);
        const auto* bytes = p.bytes(room * n);
        const auto* lengths = p.halves(n, static_cast<u32>(room + 2));
        const auto* counts = p.marks(n);
        auto *out = p.room<u64>(width * n), *flags = p.room<u64>(1);
        p.kernel([=] { kernels::chunks().read_texts(bytes, lengths, width, room - 1, utf8, counts, out, n, flags); });
    }});
}

template <std::size_t size>
void add_numbers(std::vector<Case>& cases, const char* widen, const char* narrow) {
    cases.push_back({widen, {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* bytes = p.bytes(size * n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::chunks().widen_bytes(bytes, size, out, n); });
    }});
    cases.push_back({narrow, {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* words = p.words(n);
        auto* out = p.room<u8>(size * n);
        p.kernel([=] { kernels::chunks().narrow_bytes(words, size, out, n); });
    }});
}

void add_others(std::vector<Case>& cases) {
    cases.push_back({"chunks.filled", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows(), capacity = 7, chunks = (n + capacity - 1) / capacity;
        const auto* counts = p.halves(chunks, 9);
        auto* out = p.room<u8>(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::chunks().filled(counts, chunks, capacity, out, n, flags); });
    }});
    cases.push_back({"chunks.bits_to_marks", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* bits = p.bytes((n + 7) / 8);
        auto* out = p.room<u8>(n);
        p.kernel([=] { kernels::chunks().bits_to_marks(bits, out, n); });
    }});
    cases.push_back({"chunks.marks_to_bits", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* marks = p.marks(n);
        auto* out = p.room<u8>((n + 7) / 8);
        p.kernel([=] { kernels::chunks().marks_to_bits(marks, out, n); });
    }});
    cases.push_back({"chunks.widen_floats", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* bytes = p.bytes(4 * n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::chunks().widen_floats(bytes, out, n); });
    }});
    cases.push_back({"chunks.narrow_floats", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* words = p.words(n);
        auto* out = p.room<u8>(4 * n);
        p.kernel([=] { kernels::chunks().narrow_floats(words, out, n); });
    }});
    cases.push_back({"chunks.write_texts", {1, 33, 200}, [](Probe& p) {
        const std::size_t n = p.rows(), width = 3;
        const auto* rows = p.words(width * n);
        auto* bytes = p.room<u8>(8 * (width - 1) * n);
        auto* lengths = p.room<u32>(n);
        p.kernel([=] { kernels::chunks().write_texts(rows, width, bytes, lengths, n); });
    }});
}

}  // namespace

void chunks_cases(std::vector<Case>& cases) {
    add_others(cases);
    add_numbers<1>(cases, "chunks.widen_bytes/1", "chunks.narrow_bytes/1");
    add_numbers<2>(cases, "chunks.widen_bytes/2", "chunks.narrow_bytes/2");
    add_numbers<4>(cases, "chunks.widen_bytes/4", "chunks.narrow_bytes/4");
    add_numbers<8>(cases, "chunks.widen_bytes/8", "chunks.narrow_bytes/8");
    add_texts(cases, "chunks.read_texts/bytes", 2, false);
    add_texts(cases, "chunks.read_texts/utf8", 3, true);
    add_texts(cases, "chunks.read_texts/long_bytes", 9, false);
    add_texts(cases, "chunks.read_texts/short_utf8", 2, true);
}

}  // namespace mc2::oblivious
