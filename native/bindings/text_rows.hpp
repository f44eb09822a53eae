// Shapes of rows of texts, which several families take.
#pragma once

#include "arrays.hpp"
#include "mc2/texts.hpp"

namespace mc2::bindings {

inline void require_text_rows(std::size_t width) {
    require(width >= 2 && width <= oblivious::most_text_bytes / 8 + 1, "a text has 8 to 1016 bytes, then its length");
}

}  // namespace mc2::bindings
