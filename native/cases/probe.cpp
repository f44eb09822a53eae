#include <algorithm>
#include <bit>
#include <cstring>

#include "mc2/cases.hpp"
#include "mc2/families.hpp"
#include "mc2/poison.hpp"

namespace mc2::oblivious {

#define MC2_FAMILY(family, Name) void family##_cases(std::vector<Case>& cases);
#include "families.def"
#undef MC2_FAMILY

namespace {

// Kernels over rows are compiled to loops over several rows at once, with other ends for what is
// left: sizes around powers of two reach them. Where the least size is not 1, kernels take multiples.
constexpr std::size_t loop_ends[] = {2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 47, 64, 65, 96, 127, 128};
constexpr std::size_t few_rows = 300;  // cases of more, or of one size alone, say themselves what else is run

}  // namespace

const char* data_name(Data data) noexcept {
    static constexpr const char* names[] = {"random", "equal", "sorted", "reversed", "few", "skewed"};
    return names[static_cast<std::size_t>(data)];
}

const std::vector<Case>& all_cases() {
    static const std::vector<Case> cases = [] {
        std::vector<Case> list;
#define MC2_FAMILY(family, Name) family##_cases(list);
#include "families.def"
#undef MC2_FAMILY
        for (Case& one : list) {
            const auto [least, most] = std::minmax_element(one.rows.begin(), one.rows.end());
            if (least == most || *most > few_rows) continue;
            for (const std::size_t rows : loop_ends) {
                if (rows > *least && rows % *least == 0) one.watched.push_back(rows);
            }
        }
        return list;
    }();
    return cases;
}

Probe::Probe(std::size_t rows, Data data, u64 seed, std::function<void()> before, std::function<void()> after)
    : rows_(rows), data_(data), state_(seed * 2 + 1), before_(std::move(before)), after_(std::move(after)) {}

void* Probe::take(std::size_t bytes) {
    constexpr std::size_t align = 64;
    auto memory = std::make_unique<u8[]>(bytes + align);
    u8* start = memory.get() + (align - reinterpret_cast<std::uintptr_t>(memory.get()) % align) % align;
    blocks_.push_back({std::move(memory), start, bytes, false});
    return start;
}

u64 Probe::draw(std::size_t position, std::size_t count, u64 below) {
    state_ += 0x9e3779b97f4a7c15;
    u64 z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    const u64 top = below == 0 ? ~u64{0} : below - 1;
    const u64 ramp = static_cast<u64>(static_cast<u128>(top) * position / std::max<std::size_t>(count, 1));
    switch (data_) {
        case Data::random: return below == 0 ? z : z % below;
        case Data::equal: return top / 2 + 1 > top ? top : top / 2 + 1;
        case Data::sorted: return ramp;
        case Data::reversed: return top - ramp;
        case Data::few: return (z % 3) % (top + (top != ~u64{0}));
        case Data::skewed: return position % 16 == 0 ? (below == 0 ? z : z % below) : top;
    }
    return 0;
}

u64* Probe::words(std::size_t count, u64 below) {
    u64* out = room<u64>(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = draw(i, count, below);
    blocks_.back().secret = true;
    return out;
}

u32* Probe::halves(std::size_t count, u32 below) {
    u32* out = room<u32>(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<u32>(draw(i, count, below == 0 ? u64{1} << 32 : below));
    blocks_.back().secret = true;
    return out;
}

u8* Probe::bytes(std::size_t count, unsigned below) {
    u8* out = room<u8>(count);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<u8>(draw(i, count, below == 0 ? 256 : below));
    blocks_.back().secret = true;
    return out;
}

double* Probe::doubles(std::size_t count) {
    double* out = room<double>(count);
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = static_cast<double>(static_cast<i64>(draw(i, count, 0))) * 0x1p-40;
    }
    blocks_.back().secret = true;
    return out;
}

u64* Probe::texts(std::size_t words) {
    const std::size_t width = words + 1;
    u64* rows = this->words(rows_ * width);
    for (std::size_t i = 1; i <= rows_; ++i) rows[i * width - 1] %= 8 * words + 1;
    return rows;
}

u64* Probe::steps(std::size_t count) {
    u64* out = room<u64>(count);
    u64 at = 0;
    for (std::size_t i = 0; i < count; ++i) {
        at += draw(i, count, 2) & 1;
        out[i] = at;
    }
    blocks_.back().secret = true;
    return out;
}

void Probe::kernel(const std::function<void()>& run) {
    for (const Block& block : blocks_) {
        if (block.secret) poison(block.bytes, block.count);
    }
    if (before_) before_();
    run();
    if (after_) after_();
}

std::vector<u8> Probe::contents() {
    std::vector<u8> all;
    for (const Block& block : blocks_) {
        unpoison(block.bytes, block.count);
        all.insert(all.end(), block.bytes, block.bytes + block.count);
    }
    return all;
}

}  // namespace mc2::oblivious
