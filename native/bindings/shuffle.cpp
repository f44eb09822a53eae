#include "mc2/shuffle.hpp"

#include "arrays.hpp"
#include "mc2/families.hpp"

namespace mc2::bindings {

namespace {

constexpr std::size_t key_bytes = 32;

void require_key(const Marks& key) { require(key.shape(0) == key_bytes, "a key has 32 bytes"); }

}  // namespace

void bind_shuffle(nb::module_& m) {
    using oblivious::kernels::shuffle;
    m.def(
        "random_words",
        [](Marks key, std::uint32_t stream, std::uint64_t nonce, OutWords out) {
            require_key(key);
            require_rows(out.shape(0));
            nb::gil_scoped_release unlocked;
            shuffle().random_words(key.data(), stream, nonce, out.data(), out.shape(0));
        },
        "key"_a.noconvert(), "stream"_a, "nonce"_a, "out"_a.noconvert(), "Words of the ChaCha20 stream of this key and nonce.");
    m.def(
        "shuffle",
        [](OutRows rows, Marks key, std::uint64_t nonce) {
            require_key(key);
            require_rows(rows.shape(0));
            nb::gil_scoped_release unlocked;
            shuffle().shuffle(rows.data(), rows.shape(1), rows.shape(0), key.data(), nonce);
        },
        "rows"_a.noconvert(), "key"_a.noconvert(), "nonce"_a,
        "Put the rows in a random order, each equally likely. Every shuffle needs a nonce of its own.");
}

}  // namespace mc2::bindings
