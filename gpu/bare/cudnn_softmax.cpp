// Softmax over rows by cuDNN.
#include <cudnn.h>

#include "cudnn_check.h"
#include "libraries.h"

namespace bare {

namespace {

struct Copy {
  Memory y, dy, result;
};

}  // namespace

Timing softmax(Element element, int64_t rows, int64_t columns, int copies, bool backward) {
  cudnnHandle_t handle = openCudnn();
  cudnnTensorDescriptor_t tensor;
  check(cudnnCreateTensorDescriptor(&tensor), "describing a tensor");
  check(cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NCHW, typeOf(element), static_cast<int>(rows),
                                   static_cast<int>(columns), 1, 1),
        "describing a tensor");
  const auto count = static_cast<size_t>(rows * columns);
  std::vector<Copy> each;
  for (int copy = 0; copy < copies; copy++)
    each.push_back({Memory::random(element, count), Memory::random(element, backward ? count : 1),
                    Memory(count * bytesOf(element))});
  const float one = 1, zero = 0;
  return measure(copies, [&](int copy) {
    const Copy& operands = each[static_cast<size_t>(copy)];
    if (backward)
      check(cudnnSoftmaxBackward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &one, tensor,
                                 operands.y.data(), tensor, operands.dy.data(), &zero, tensor, operands.result.data()),
            "cudnnSoftmaxBackward");
    else
      check(cudnnSoftmaxForward(handle, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &one, tensor,
                                operands.y.data(), &zero, tensor, operands.result.data()),
            "cudnnSoftmaxForward");
  });
}

}  // namespace bare
