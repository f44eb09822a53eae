// Rows through complete binary trees over binned features. Every row is compared with every feature
// and every leaf, so neither rows nor trees show.
#pragma once

#include <cstddef>

#include "mc2/barrier.hpp"
#include "mc2/histograms.hpp"
#include "mc2/splits.hpp"

namespace mc2::oblivious {

// Trees of one depth (1 .. 8), one after the other. Nodes stand level by level: the root, its
// children, theirs; 2^depth - 1 of them a tree. Node i's children are 2i + 1 and 2i + 2.
struct Trees {
    std::size_t count;
    std::size_t depth;
    const u32* features;
    const u8* thresholds;
    const u8* flags;
    const float* leaves;   // 2^depth a tree
    const u32* classes;    // which column of margins a tree adds to; public
};

struct TreesKernels {
    // nodes[i], a place in a level of `count` nodes, becomes a place in the next one: 2 nodes[i] for
    // the left child, 2 nodes[i] + 1 for the right one. At most 128 nodes; `counts` is not looked at.
    void (*route)(const BinnedColumns& columns, std::size_t rows, const u32* features, const u8* thresholds, const u8* flags,
                  std::size_t count, u8* nodes);
    // out[i] = where the bin of row i stands in the window of its node's feature (see SplitsKernels::refine);
    // 255 for a missing one. `thresholds` are cells of 2^shift bins. chosen[i] = that bin: `route` may
    // take it as the only column.
    void (*places)(const BinnedColumns& columns, std::size_t rows, const u32* features, const u8* thresholds, unsigned shift,
                   std::size_t count, const u8* nodes, u8* out, u8* chosen);
    // margins[i] += leaves[nodes[i]], in floats.
    void (*add_leaves)(const u8* nodes, std::size_t rows, const float* leaves, std::size_t count, float* margins) noexcept;
    // margins[class * rows + i] += the leaf of row i in each tree, in the order of trees.
    void (*predict)(const BinnedColumns& columns, std::size_t rows, const Trees& trees, float* margins);
    // The same walk, but out[tree * rows + i] is the number of the leaf.
    void (*leaves)(const BinnedColumns& columns, std::size_t rows, const Trees& trees, u8* out);
};

}  // namespace mc2::oblivious
