// cuDNN's handle, element types and errors.
#pragma once

#include <cudnn.h>

#include "timing.h"

namespace bare {

inline void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char message[512] = "";
  cudnnGetLastErrorString(message, sizeof message);
  throw std::runtime_error(std::string(what) + ": " + cudnnGetErrorString(status) + " " + message);
}

inline cudnnHandle_t openCudnn() {
  cudnnHandle_t handle;
  check(cudnnCreate(&handle), "opening cuDNN");
  check(cudnnSetStream(handle, stream()), "opening cuDNN");
  return handle;
}

inline cudnnDataType_t typeOf(Element element) {
  return element == Element::f32 ? CUDNN_DATA_FLOAT : element == Element::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

}  // namespace bare
