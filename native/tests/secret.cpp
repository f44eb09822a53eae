// Secret<T> against the plain operators, on every pair of edge values of every type.
#include "mc2/secret.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

namespace {

using namespace mc2::oblivious;

void check(bool holds, const char* what) {
    if (!holds) {
        std::printf("wrong: %s\n", what);
        std::exit(1);
    }
}

bool told(Mask mask) { return declassify(mask, "a test"); }

template <typename T>
std::vector<T> edges() {
    using Bits = detail::Bits<T>;
    const Bits top = static_cast<Bits>(Bits{1} << (8 * sizeof(T) - 1));
    std::vector<T> all;
    for (const Bits bits : {Bits{0}, Bits{1}, Bits{2}, static_cast<Bits>(top - 1), top, static_cast<Bits>(top + 1),
                            static_cast<Bits>(~Bits{0}), static_cast<Bits>(~Bits{0} - 1), static_cast<Bits>(top >> 1)}) {
        all.push_back(static_cast<T>(bits));
    }
    return all;
}

template <typename T>
void integers() {
    for (const T a : edges<T>()) {
        for (const T b : edges<T>()) {
            const Secret<T> x(a), y(b);
            check(told(x == y) == (a == b), "==");
            check(told(x != y) == (a != b), "!=");
            check(told(x < y) == (a < b), "<");
            check(told(x > y) == (a > b), ">");
            check(told(x <= y) == (a <= b), "<=");
            check(told(x >= y) == (a >= b), ">=");
            check(declassify(select(Mask::constant(true), x, y), "a test") == a, "select yes");
            check(declassify(select(Mask::constant(false), x, y), "a test") == b, "select no");
            check(declassify(smaller(x, y), "a test") == (a < b ? a : b), "smaller");
            check(declassify(larger(x, y), "a test") == (a < b ? b : a), "larger");
            using Bits = detail::Bits<T>;
            check((x + y).bits() == static_cast<Bits>(static_cast<Bits>(a) + static_cast<Bits>(b)), "+");
            check((x - y).bits() == static_cast<Bits>(static_cast<Bits>(a) - static_cast<Bits>(b)), "-");
            check((x ^ y).bits() == static_cast<Bits>(static_cast<Bits>(a) ^ static_cast<Bits>(b)), "^");
            Secret<T> p = x, q = y;
            swap_if(x > y, p, q);
            check(told(p <= q), "swap_if");
        }
    }
}

template <typename T>
void sums_that_do_not_fit() {
    for (const T a : edges<T>()) {
        for (const T b : edges<T>()) {
            T plain;
            const bool overflows = __builtin_add_overflow(a, b, &plain);
            Flags flags;
            u64 sticky = 0;
            const auto sum = checked_add(Secret<T>(a), Secret<T>(b), flags, Mask::constant(true));
            flags.raise_in(&sticky);
            check(sticky == (overflows ? static_cast<u64>(Flag::overflow) : 0), "checked_add flags");
            check(declassify(sum, "a test") == plain, "checked_add");
            Flags ignored;
            sticky = 0;
            (void)checked_add(Secret<T>(a), Secret<T>(b), ignored, Mask::constant(false));
            ignored.raise_in(&sticky);
            check(sticky == 0, "a row that does not count raises nothing");
        }
    }
}

void doubles() {
    constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> ascending = {-nan, -infinity, -1.5, -5e-324, -0.0, 0.0, 5e-324, 1.5, infinity, nan};
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        for (std::size_t j = 0; j < ascending.size(); ++j) {
            const Secret<double> x(ascending[i]), y(ascending[j]);
            check(told(x < y) == (i < j), "total order of doubles");
            check(told(x == y) == (i == j), "equal doubles have equal bits");
            const double chosen = declassify(select(x < y, x, y), "a test");
            check(std::bit_cast<u64>(chosen) == std::bit_cast<u64>(ascending[i < j ? i : j]), "select double");
        }
    }
}

}  // namespace

int main() {
    integers<u8>();
    integers<u16>();
    integers<u32>();
    integers<u64>();
    integers<i8>();
    integers<i16>();
    integers<i32>();
    integers<i64>();
    integers<u128>();
    integers<i128>();
    sums_that_do_not_fit<i64>();
    sums_that_do_not_fit<i128>();
    doubles();
    std::printf("ok\n");
}
