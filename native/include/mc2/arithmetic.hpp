// Arithmetic on secrets that the processor has no constant-time instruction for.
//
// Dividers take longer for some operands, so there is none in here: public divisors become
// multiplications, secret ones are divided bit by bit.
#pragma once

#include "mc2/secret.hpp"

namespace mc2::oblivious {

// 10^digits for digits up to 38; the count is public.
MC2_INLINE constexpr u128 power_of_ten(unsigned digits) noexcept {
    u128 power = 1;
    for (unsigned i = 0; i < digits; ++i) power *= 10;
    return power;
}

template <typename T>
MC2_INLINE Mask is_negative(Secret<T> value) noexcept {
    return Mask::from_bit(static_cast<u64>(value.bits() >> (8 * sizeof(T) - 1)));
}

template <typename T>
MC2_INLINE Secret<T> negate_if(Mask when, Secret<T> value) noexcept {
    return select(when, Secret<T>(T{}) - value, value);
}

// The magnitude of a signed word; that of the least word is right too, as an unsigned one.
MC2_INLINE Secret<u64> magnitude(Secret<i64> value) noexcept {
    return Secret<u64>(negate_if(is_negative(value), value).bits());
}
MC2_INLINE Secret<u128> magnitude(Secret<i128> value) noexcept {
    return Secret<u128>(negate_if(is_negative(value), value).bits());
}

// A public divisor, at least 2, and its reciprocal: n / d = floor(n * ceil(2^128 / d) / 2^128) for
// every 64-bit n (Lemire, Kaser, Kurz, "Faster remainder by direct computation", 2019, theorem 1).
class PublicDivisor {
public:
    MC2_INLINE constexpr explicit PublicDivisor(u64 divisor) noexcept
        : divisor_(divisor), reciprocal_(~u128{0} / divisor + 1) {}

    MC2_INLINE Secret<u64> quotient(Secret<u64> dividend) const noexcept {
        const u64 n = value_barrier(dividend.bits());
        const u128 low = static_cast<u128>(n) * static_cast<u64>(reciprocal_);
        const u128 high = static_cast<u128>(n) * static_cast<u64>(reciprocal_ >> 64);
        return Secret<u64>(static_cast<u64>((high + (low >> 64)) >> 64));
    }
    // Towards minus infinity: floor(n / d) = ~floor(~n / d) for negative n.
    MC2_INLINE Secret<i64> floor(Secret<i64> dividend) const noexcept {
        const u64 sign = is_negative(dividend).word();
        return Secret<i64>::from_bits(quotient(Secret<u64>(dividend.bits() ^ sign)).bits() ^ sign);
    }
    MC2_INLINE Secret<i64> modulo(Secret<i64> dividend) const noexcept {
        return dividend - Secret<i64>::from_bits(floor(dividend).bits() * divisor_);
    }

private:
    u64 divisor_;
    u128 reciprocal_;
};

// 256 bits, the product of two 128-bit words.
struct Wide {
    u64 limbs[4];
};

MC2_INLINE Wide multiply_wide(Secret<u128> a, Secret<u128> b) noexcept {
    const u64 x[2] = {static_cast<u64>(a.bits()), static_cast<u64>(a.bits() >> 64)};
    const u64 y[2] = {static_cast<u64>(b.bits()), static_cast<u64>(b.bits() >> 64)};
    const u128 p00 = static_cast<u128>(x[0]) * y[0], p01 = static_cast<u128>(x[0]) * y[1];
    const u128 p10 = static_cast<u128>(x[1]) * y[0], p11 = static_cast<u128>(x[1]) * y[1];
    const u128 middle = (p00 >> 64) + static_cast<u64>(p01) + static_cast<u64>(p10);
    const u128 upper = p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64);
    return {{static_cast<u64>(p00), static_cast<u64>(middle), static_cast<u64>(upper), static_cast<u64>(upper >> 64)}};
}

struct WideDivision {
    Wide quotient;
    Secret<u128> remainder;
};

// The highest `bits` of nothing are skipped: `limbs` says how many of the dividend's words may be
// set, a public number. Divides one bit at a time. A divisor of 0 gives a quotient of all ones.
template <unsigned limbs>
MC2_INLINE WideDivision divide_wide(Wide dividend, Secret<u128> divisor) noexcept {
    static_assert(limbs >= 1 && limbs <= 4);
    const u128 by = divisor.bits();
    u128 remainder = 0;
    for (unsigned step = 0; step < 64 * limbs; ++step) {
        // With the bit that is shifted out the remainder is larger than any divisor.
        const u64 carried = static_cast<u64>(remainder >> 127);
        remainder = (remainder << 1) | (dividend.limbs[limbs - 1] >> 63);
        const u64 fits = value_barrier((~(Secret<u128>(remainder) < Secret<u128>(by))).word() | (0 - carried));
        remainder -= (static_cast<u128>(fits) << 64 | fits) & by;
        for (unsigned i = limbs - 1; i > 0; --i) {
            dividend.limbs[i] = (dividend.limbs[i] << 1) | (dividend.limbs[i - 1] >> 63);
        }
        dividend.limbs[0] = (dividend.limbs[0] << 1) | (fits & 1);
    }
    return {dividend, Secret<u128>(remainder)};
}

struct Division64 {
    Secret<u64> quotient, remainder;
};

MC2_INLINE Division64 divide(Secret<u64> dividend, Secret<u64> divisor) noexcept {
    const WideDivision both = divide_wide<1>({{dividend.bits(), 0, 0, 0}}, Secret<u128>(divisor.bits()));
    return {Secret<u64>(both.quotient.limbs[0]), Secret<u64>(static_cast<u64>(both.remainder.bits()))};
}

}  // namespace mc2::oblivious
