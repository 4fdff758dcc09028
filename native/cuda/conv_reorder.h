// Copies of tensors into another memory order, with zeros around them or without their borders.
#pragma once

#include <vector>

#include "../core/kernel.h"

namespace heddle::cuda {

/// Queues to[i] = from[i + shift] for every index i of `to`, zero where that lies outside of `from`. At most 5 axes;
/// strides in elements.
void queueReorder(DType dtype, const void* from, const std::vector<int64_t>& fromShape,
                  const std::vector<int64_t>& fromStrides, void* to, const std::vector<int64_t>& toShape,
                  const std::vector<int64_t>& toStrides, const std::vector<int64_t>& shift);

}  // namespace heddle::cuda
