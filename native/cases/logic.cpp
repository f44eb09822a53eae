#include "mc2/logic.hpp"

#include "mc2/cases.hpp"
#include "mc2/families.hpp"

namespace mc2::oblivious {
namespace {

const std::vector<std::size_t> sizes = {1, 41};

void mark_cases(std::vector<Case>& cases) {
    const auto add = [&](const char* name, auto run) {
        cases.push_back({name, sizes, [run](Probe& p) {
            const std::size_t n = p.rows();
            const u8 *a = p.marks(n), *b = p.marks(n), *c = p.marks(n), *d = p.marks(n);
            u8 *x = p.room<u8>(n), *y = p.room<u8>(n);
            p.kernel([=] { run(kernels::logic(), a, b, c, d, x, y, n); });
        }});
    };
    using K = const LogicKernels&;
    using In = const u8*;
    add("logic.and_marks", [](K k, In a, In b, In, In, u8* x, u8*, std::size_t n) { k.and_marks(a, b, x, n); });
    add("logic.or_marks", [](K k, In a, In b, In, In, u8* x, u8*, std::size_t n) { k.or_marks(a, b, x, n); });
    add("logic.not_marks", [](K k, In a, In, In, In, u8* x, u8*, std::size_t n) { k.not_marks(a, x, n); });
    add("logic.and_known", [](K k, In a, In b, In c, In d, u8* x, u8* y, std::size_t n) { k.and_known(a, b, c, d, x, y, n); });
    add("logic.or_known", [](K k, In a, In b, In c, In d, u8* x, u8* y, std::size_t n) { k.or_known(a, b, c, d, x, y, n); });
    add("logic.select_marks", [](K k, In a, In b, In c, In, u8* x, u8*, std::size_t n) { k.select_marks(a, b, c, x, n); });
    cases.push_back({"logic.marks_to_words", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.marks(n);
        auto* out = p.room<u64>(n);
        p.kernel([=] { kernels::logic().marks_to_words(a, out, n); });
    }});
    cases.push_back({"logic.words_to_marks", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* a = p.words(n);
        auto* out = p.room<u8>(n);
        p.kernel([=] { kernels::logic().words_to_marks(a, out, n); });
    }});
    cases.push_back({"logic.raise_flag", sizes, [](Probe& p) {
        const std::size_t n = p.rows();
        const auto* when = p.marks(n);
        auto* flags = p.room<u64>(1);
        p.kernel([=] { kernels::logic().raise_flag(when, n, 4, flags); });
    }});
}

void row_cases(std::vector<Case>& cases) {
    for (const std::size_t width : {std::size_t{1}, std::size_t{5}}) {
        const std::string suffix = std::string("/").append(std::to_string(width));
        cases.push_back({"logic.select_rows" + suffix, sizes, [width](Probe& p) {
            const std::size_t n = p.rows();
            const auto* keep = p.marks(n);
            const auto *a = p.words(n * width), *b = p.words(n * width);
            auto* out = p.room<u64>(n * width);
            p.kernel([=] { kernels::logic().select_rows(keep, a, b, width, out, n); });
        }});
        cases.push_back({"logic.clear_rows" + suffix, sizes, [width](Probe& p) {
            const std::size_t n = p.rows();
            const auto* keep = p.marks(n);
            const auto* a = p.words(n * width);
            auto* out = p.room<u64>(n * width);
            p.kernel([=] { kernels::logic().clear_rows(keep, a, width, out, n); });
        }});
        for (const bool one : {false, true}) {
            const std::size_t step = one ? 0 : width;
            cases.push_back({"logic.equal_rows" + suffix + (one ? "_to_one" : ""), sizes, [=](Probe& p) {
                const std::size_t n = p.rows();
                const auto *a = p.words(n * width), *b = p.words(n * width);
                auto* out = p.room<u8>(n);
                p.kernel([=] { kernels::logic().equal_rows(a, b, step, width, out, n); });
            }});
            cases.push_back({"logic.less_rows" + suffix + (one ? "_to_one" : ""), sizes, [=](Probe& p) {
                const std::size_t n = p.rows();
                const auto *a = p.words(n * width), *b = p.words(n * width);
                auto* out = p.room<u8>(n);
                p.kernel([=] { kernels::logic().less_rows(a, b, step, width, out, n); });
            }});
        }
    }
}

}  // namespace

void logic_cases(std::vector<Case>& cases) {
    mark_cases(cases);
    row_cases(cases);
}

}  // namespace mc2::oblivious
