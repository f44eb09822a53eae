#include "mc2/numbers.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {
namespace {

using oblivious::Comparison;
using oblivious::DoubleOperation;
using oblivious::i128;
using oblivious::i64;
using oblivious::IntegerOperation;
using oblivious::Reading;
using oblivious::kernels::numbers;

// Words are unsigned in numpy, whatever they stand for.
template <typename T, typename Array>
auto as(const Array& array) {
    using Pointer = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(array.data())>>, const T*, T*>;
    return reinterpret_cast<Pointer>(array.data());
}

void require_flags(const OutWords& flags) { require(flags.shape(0) == 1, "flags are one word"); }

template <typename... All>
void require_pairs(const All&... arrays) {
    require(((arrays.shape(1) == 2) && ...), "a wide number is two words");
}

void require_digits(unsigned digits, const char* what) { require(digits <= 38, what); }

void bind_integers(nb::module_& m) {
    m.def("integers",
          [](unsigned what, Words a, Words b, Marks counts, OutWords out, OutWords flags) {
              require(what <= static_cast<unsigned>(IntegerOperation::remainder), "no such operation");
              require_one_length(out, a, b, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().integers(static_cast<IntegerOperation>(what), as<i64>(a), as<i64>(b), counts.data(),
                                 as<i64>(out), out.shape(0), flags.data());
          },
          "what"_a, "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(),
          "flags"_a.noconvert(),
          "Whole numbers: 0 a + b, 1 a - b, 2 a * b, 3 a / b cut towards zero, 4 a % b. Errors count where counts is 1.");
    m.def("check_range",
          [](Words a, i64 low, i64 high, Marks counts, std::uint64_t flag, OutWords flags) {
              require_one_length(a, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().check_range(as<i64>(a), low, high, counts.data(), a.shape(0), flag, flags.data());
          },
          "a"_a.noconvert(), "low"_a, "high"_a, "counts"_a.noconvert(), "flag"_a, "flags"_a.noconvert(),
          "Raise a flag where a whole number is outside of low to high.");
}

void bind_doubles(nb::module_& m) {
    m.def("doubles",
          [](unsigned what, Words a, Words b, Marks counts, OutWords out, OutWords flags) {
              require(what <= static_cast<unsigned>(DoubleOperation::divide), "no such operation");
              require_one_length(out, a, b, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().doubles(static_cast<DoubleOperation>(what), as<double>(a), as<double>(b), counts.data(),
                                as<double>(out), out.shape(0), flags.data());
          },
          "what"_a, "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(),
          "flags"_a.noconvert(), "Doubles by their bits: 0 a + b, 1 a - b, 2 a * b, 3 a / b.");
    m.def("order_doubles",
          [](Words a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              numbers().order_doubles(as<double>(a), out.data(), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(),
          "Words whose unsigned order is that of the doubles: -0 is +0, NaN is one and the greatest.");
    m.def("restore_doubles",
          [](Words a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              numbers().restore_doubles(a.data(), as<double>(out), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The doubles of `order_doubles`'s words.");
    m.def("integer_to_double",
          [](Words a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              numbers().integer_to_double(as<i64>(a), as<double>(out), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "The nearest doubles.");
    m.def("double_to_integer",
          [](Words a, Marks counts, OutWords out, OutWords flags) {
              require_one_length(out, a, counts);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().double_to_integer(as<double>(a), counts.data(), as<i64>(out), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Doubles cut towards zero.");
}

void bind_comparisons(nb::module_& m) {
    m.def("compare",
          [](unsigned what, bool real, Words a, Words b, OutMarks out) {
              require(what <= static_cast<unsigned>(Comparison::less_or_equal), "no such comparison");
              require_one_length(out, a, b);
              nb::gil_scoped_release unlocked;
              numbers().compare(static_cast<Comparison>(what), real ? Reading::real : Reading::signed_word, a.data(),
                                b.data(), out.data(), out.shape(0));
          },
          "what"_a, "real"_a, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "1 where 0 a = b, 1 a < b, 2 a <= b; words are doubles if `real`, else signed.");
    m.def("compare_wide",
          [](unsigned what, Rows a, Rows b, OutMarks out) {
              require(what <= static_cast<unsigned>(Comparison::less_or_equal), "no such comparison");
              require_one_length(out, a, b);
              require_pairs(a, b);
              nb::gil_scoped_release unlocked;
              numbers().compare_wide(static_cast<Comparison>(what), as<i128>(a), as<i128>(b), out.data(), out.shape(0));
          },
          "what"_a, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "As `compare`, of wide numbers.");
}

void bind_decimals(nb::module_& m) {
    m.def("widen",
          [](Words a, OutRows out) {
              require_one_length(out, a);
              require_pairs(out);
              nb::gil_scoped_release unlocked;
              numbers().widen(as<i64>(a), as<i128>(out), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Signed words as wide numbers, the lower word first.");
    m.def("multiply_words",
          [](Words a, Words b, OutRows out) {
              require_one_length(out, a, b);
              require_pairs(out);
              nb::gil_scoped_release unlocked;
              numbers().multiply_words(as<i64>(a), as<i64>(b), as<i128>(out), out.shape(0));
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(), "Whole products of words, as wide numbers.");
    m.def("narrow",
          [](Rows a, Marks counts, OutWords out, OutWords flags) {
              require_one_length(out, a, counts);
              require_pairs(a);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().narrow(as<i128>(a), counts.data(), as<i64>(out), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "Wide numbers that fit a signed word.");
    m.def("add_wide",
          [](Rows a, Rows b, bool subtract, unsigned precision, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_pairs(a, b, out);
              require_flags(flags);
              require_digits(precision, "a decimal has at most 38 digits");
              nb::gil_scoped_release unlocked;
              numbers().add_wide(as<i128>(a), as<i128>(b), subtract, precision, counts.data(), as<i128>(out),
                                 out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "subtract"_a, "precision"_a, "counts"_a.noconvert(),
          "out"_a.noconvert(), "flags"_a.noconvert(), "a + b or a - b, of at most `precision` digits.");
    m.def("multiply_wide",
          [](Rows a, Rows b, unsigned drop, unsigned precision, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_pairs(a, b, out);
              require_flags(flags);
              require_digits(precision, "a decimal has at most 38 digits");
              require_digits(drop, "at most 38 digits can be dropped");
              nb::gil_scoped_release unlocked;
              numbers().multiply_wide(as<i128>(a), as<i128>(b), drop, precision, counts.data(), as<i128>(out),
                                      out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "drop"_a, "precision"_a, "counts"_a.noconvert(),
          "out"_a.noconvert(), "flags"_a.noconvert(), "a * b / 10^drop, halves away from zero.");
    m.def("divide_wide",
          [](Rows a, Rows b, unsigned raise, unsigned precision, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_pairs(a, b, out);
              require_flags(flags);
              require_digits(precision, "a decimal has at most 38 digits");
              require_digits(raise, "at most 38 digits can be added");
              nb::gil_scoped_release unlocked;
              numbers().divide_wide(as<i128>(a), as<i128>(b), raise, precision, counts.data(), as<i128>(out),
                                    out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "raise_"_a, "precision"_a, "counts"_a.noconvert(),
          "out"_a.noconvert(), "flags"_a.noconvert(), "a * 10^raise / b, halves away from zero.");
    m.def("remainder_wide",
          [](Rows a, Rows b, Marks counts, OutRows out, OutWords flags) {
              require_one_length(out, a, b, counts);
              require_pairs(a, b, out);
              require_flags(flags);
              nb::gil_scoped_release unlocked;
              numbers().remainder_wide(as<i128>(a), as<i128>(b), counts.data(), as<i128>(out), out.shape(0), flags.data());
          },
          "a"_a.noconvert(), "b"_a.noconvert(), "counts"_a.noconvert(), "out"_a.noconvert(), "flags"_a.noconvert(),
          "a % b with the sign of a.");
}

void bind_bits(nb::module_& m) {
    m.def("bits",
          [](unsigned what, unsigned width, Words a, Words b, OutWords out) {
              require_one_length(out, a, b);
              require(what <= static_cast<unsigned>(oblivious::BitOperation::count), "there is no such operation");
              require(width == 64 || width == 32, "whole numbers have 64 or 32 bits");
              nb::gil_scoped_release unlocked;
              numbers().bits(static_cast<oblivious::BitOperation>(what), width, a.data(), b.data(), out.data(), out.shape(0));
          },
          "what"_a, "width"_a, "a"_a.noconvert(), "b"_a.noconvert(), "out"_a.noconvert(),
          "Bits: 0 and, 1 or, 2 xor, 3 shift left, 4 right, 5 right with zeros, 6 how many a has.");
    m.def("round_doubles",
          [](bool to_even, Words a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              numbers().round_doubles(to_even ? oblivious::Halves::to_even : oblivious::Halves::away_from_zero,
                                      as<double>(a), as<double>(out), out.shape(0));
          },
          "to_even"_a, "a"_a.noconvert(), "out"_a.noconvert(), "The nearest whole numbers of doubles, by their bits.");
    m.def("square_roots",
          [](Words a, OutWords out) {
              require_one_length(out, a);
              nb::gil_scoped_release unlocked;
              numbers().square_roots(as<double>(a), as<double>(out), out.shape(0));
          },
          "a"_a.noconvert(), "out"_a.noconvert(), "Square roots of doubles, by their bits.");
}

}  // namespace

void bind_numbers(nb::module_& m) {
    bind_bits(m);
    bind_integers(m);
    bind_doubles(m);
    bind_comparisons(m);
    bind_decimals(m);
}

}  // namespace mc2::bindings
