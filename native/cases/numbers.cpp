#include "mc2/numbers.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 37};

template <typename T>
const T* as(const u64* words) { return reinterpret_cast<const T*>(words); }

void integer_cases(std::vector<Case>& cases) {
    const char* names[] = {"add", "subtract", "multiply", "divide", "remainder"};
    for (u32 what = 0; what < 5; ++what) {
        cases.push_back({std::string("numbers.integers/") + names[what], sizes, [what](Probe& p) {
            const std::size_t n = p.rows();
            const auto *a = p.words(n), *b = p.words(n);
            const auto* counts = p.marks(n);
            auto *out = p.room<i64>(n);
            auto* flags = p.room<u64>(1);
            p.kernel([=] {
                kernels::numbers().integers(static_cast<IntegerOperation>(what), as<i64>(a), as<i64>(b), counts, out, n, flags);
            });
        }});
    }
    cases.push_back({"numbers.check_range", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(n);
        const auto* counts = p.marks(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::numbers().check_range(as<i64>(a), -5, 1 << 20, counts, n, 1, flags); });
    }});
}

void double_cases(std::vector<Case>& cases) {
    const char* names[] = {"add", "subtract", "multiply", "divide"};
    for (u32 what = 0; what < 4; ++what) {
        cases.push_back({std::string("numbers.doubles/") + names[what], sizes, [what](Probe& p) {
            const std::size_t n = p.rows();
            const auto *a = p.doubles(n), *b = p.doubles(n);
            const auto* counts = p.marks(n);
            auto* out = p.room<double>(n);
            auto* flags = p.room<u64>(1);
            p.kernel([=] { kernels::numbers().doubles(static_cast<DoubleOperation>(what), a, b, counts, out, n, flags); });
        }});
    }
    cases.push_back({"numbers.order_doubles", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.doubles(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::numbers().order_doubles(a, out, n); });
    }});
    cases.push_back({"numbers.restore_doubles", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(n);
        auto* out = p.room<double>(n);
        p.kernel([=] { kernels::numbers().restore_doubles(a, out, n); });
    }});
    cases.push_back({"numbers.integer_to_double", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(n);
        auto* out = p.room<double>(n);
        p.kernel([=] { kernels::numbers().integer_to_double(as<i64>(a), out, n); });
    }});
    cases.push_back({"numbers.double_to_integer", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.doubles(n);
        const auto* counts = p.marks(n);
        auto* out = p.room<i64>(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::numbers().double_to_integer(a, counts, out, n, flags); });
    }});
}

void comparison_cases(std::vector<Case>& cases) {
    const char* names[] = {"equal", "less", "less_or_equal"};
    for (u32 what = 0; what < 3; ++what) {
        const auto comparison = static_cast<Comparison>(what);
        for (const Reading reading : {Reading::signed_word, Reading::real}) {
            const char* suffix = reading == Reading::real ? "_doubles" : "";
            cases.push_back({std::string("numbers.compare/") + names[what] + suffix, sizes, [=](Probe& p) {
                const std::size_t n = p.rows();
                const auto *a = p.words(n), *b = p.words(n);
                auto* out = p.room<u8>(n);
                p.kernel([=] { kernels::numbers().compare(comparison, reading, a, b, out, n); });
            }});
        }
        cases.push_back({std::string("numbers.compare_wide/") + names[what], sizes, [=](Probe& p) {
            const std::size_t n = p.rows();
            const auto *a = p.words(2 * n), *b = p.words(2 * n);
            auto* out = p.room<u8>(n);
            p.kernel([=] { kernels::numbers().compare_wide(comparison, as<i128>(a), as<i128>(b), out, n); });
        }});
    }
}

// Runs a kernel over two columns of wide numbers.
template <typename Run>
Case wide_case(const char* name, Run run) {
    return {name, sizes, [run](Probe& p) {
        const std::size_t n = p.rows();
        const auto *a = as<i128>(p.words(2 * n)), *b = as<i128>(p.words(2 * n));
        const auto* counts = p.marks(n);
        auto* out = p.room<i128>(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { run(a, b, counts, out, n, flags); });
    }};
}

void decimal_cases(std::vector<Case>& cases) {
    cases.push_back({"numbers.widen", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(n);
        auto* out = p.room<i128>(n);
        p.kernel([=] { kernels::numbers().widen(as<i64>(a), out, n); });
    }});
    cases.push_back({"numbers.multiply_words", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto *a = p.words(n), *b = p.words(n);
        auto* out = p.room<i128>(n);
        p.kernel([=] { kernels::numbers().multiply_words(as<i64>(a), as<i64>(b), out, n); });
    }});
    cases.push_back({"numbers.narrow", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(2 * n);
        const auto* counts = p.marks(n);
        auto* out = p.room<i64>(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::numbers().narrow(as<i128>(a), counts, out, n, flags); });
    }});
    cases.push_back(wide_case("numbers.add_wide", [](auto a, auto b, auto counts, auto out, auto n, auto flags) {
        kernels::numbers().add_wide(a, b, true, 20, counts, out, n, flags);
    }));
    cases.push_back(wide_case("numbers.multiply_wide", [](auto a, auto b, auto counts, auto out, auto n, auto flags) {
        kernels::numbers().multiply_wide(a, b, 0, 38, counts, out, n, flags);
    }));
    cases.push_back(wide_case("numbers.multiply_wide/drop", [](auto a, auto b, auto counts, auto out, auto n, auto flags) {
        kernels::numbers().multiply_wide(a, b, 6, 38, counts, out, n, flags);
    }));
    cases.push_back(wide_case("numbers.divide_wide", [](auto a, auto b, auto counts, auto out, auto n, auto flags) {
        kernels::numbers().divide_wide(a, b, 12, 38, counts, out, n, flags);
    }));
    cases.push_back(wide_case("numbers.remainder_wide", [](auto a, auto b, auto counts, auto out, auto n, auto flags) {
        kernels::numbers().remainder_wide(a, b, counts, out, n, flags);
    }));
}

void bit_cases(std::vector<Case>& cases) {
    for (unsigned what = 0; what <= static_cast<unsigned>(BitOperation::count); ++what) {
        for (const unsigned width : {32u, 64u}) {
            const std::string name = "numbers.bits/" + std::to_string(what) + "_" + std::to_string(width);
            cases.push_back({name, sizes, [=](Probe& p) {
                const std::size_t n = p.rows();
                const u64 *a = p.words(n), *b = p.words(n);
                auto* out = p.room<u64>(n);
                p.kernel([=] { kernels::numbers().bits(static_cast<BitOperation>(what), width, a, b, out, n); });
            }});
        }
    }
    for (const Halves halves : {Halves::away_from_zero, Halves::to_even}) {
        const char* name = halves == Halves::to_even ? "numbers.round_doubles/even" : "numbers.round_doubles/away";
        cases.push_back({name, sizes, [=](Probe& p) {
            const std::size_t n = p.rows();
            const double* a = p.doubles(n);
            auto* out = p.room<double>(n);
            p.kernel([=] { kernels::numbers().round_doubles(halves, a, out, n); });
        }});
    }
    cases.push_back({"numbers.square_roots", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const u64* a = p.words(n);
        auto* out = p.room<double>(n);
        p.kernel([=] { kernels::numbers().square_roots(as<double>(a), out, n); });
    }});
}

}  // namespace

void numbers_cases(std::vector<Case>& cases) {
    bit_cases(cases);
    integer_cases(cases);
    double_cases(cases);
    comparison_cases(cases);
    decimal_cases(cases);
}

}  // namespace mc2::oblivious
