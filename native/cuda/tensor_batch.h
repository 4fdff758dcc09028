// Many tensors for one launch: their addresses and extents, passed to a kernel by value, cut into chunks for its
// blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "../core/kernel.h"

namespace heddle::cuda {

/// Up to `kCapacity` tensors with `kAddresses` operands each, element for element. As a kernel's parameters take 4 KiB,
/// more tensors are several launches.
template <int kAddresses, int kCapacity>
struct TensorBatch {
  static constexpr int capacity = kCapacity;

  const void* address[kAddresses][kCapacity];
  int64_t size[kCapacity];
  int firstChunk[kCapacity + 1];  // of each tensor, among the batch's; behind the last, how many there are
  int count;
};

/// The tensor that a chunk is of.
template <int kAddresses, int kCapacity>
__device__ inline int tensorOfChunk(const TensorBatch<kAddresses, kCapacity>& batch, int chunk) {
  int low = 0, high = batch.count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (batch.firstChunk[middle] <= chunk)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/// The tensors of one dtype among an op's, those without elements left out.
struct TensorGroup {
  DType dtype;
  std::vector<size_t> tensors;  // positions among the op's
  std::vector<int64_t> sizes;
};

inline std::vector<TensorGroup> groupTensors(Specs tensors) {
  std::vector<TensorGroup> groups;
  for (size_t i = 0; i < tensors.size(); i++) {
    if (tensors[i].size() == 0) continue;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const TensorGroup& other) { return other.dtype == tensors[i].dtype; });
    if (group == groups.end()) group = groups.insert(group, {tensors[i].dtype, {}, {}});
    group->tensors.push_back(i);
    group->sizes.push_back(tensors[i].size());
  }
  return groups;
}

/// Calls `queue(batch)` for as many batches as the group needs; `addressOf(operand, tensor)` gives their addresses.
template <int kAddresses, int kCapacity, typename AddressOf, typename Queue>
void forEachBatch(const TensorGroup& group, int64_t chunk, AddressOf&& addressOf, Queue&& queue) {
  TensorBatch<kAddresses, kCapacity> batch;
  for (size_t first = 0; first < group.tensors.size(); first += kCapacity) {
    batch.count = static_cast<int>(std::min(group.tensors.size() - first, size_t{kCapacity}));
    int chunks = 0;
    for (int i = 0; i < batch.count; i++) {
      const size_t at = first + static_cast<size_t>(i);
      for (int operand = 0; operand < kAddresses; operand++)
        batch.address[operand][i] = addressOf(operand, group.tensors[at]);
      batch.size[i] = group.sizes[at];
      batch.firstChunk[i] = chunks;
      chunks += static_cast<int>((group.sizes[at] + chunk - 1) / chunk);
    }
    batch.firstChunk[batch.count] = chunks;
    queue(static_cast<const TensorBatch<kAddresses, kCapacity>&>(batch));
  }
}

}  // namespace heddle::cuda
