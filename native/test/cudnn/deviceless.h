// cuDNN without a device: the backend's own use of it, with the properties of a device in place of its handle.
#pragma once

#include <string>

namespace heddle::test {

/// What cuDNN knows of a device ("Deviceless Ahead-of-time Compilation" in its documentation).
struct DeviceProperties {
  int capability;  // 90 is 9.0
  int multiprocessors;
  int sharedBytes;  // that a block may have at most
  int threads;      // of a multiprocessor
  int blocks;       // of a multiprocessor
  long long memoryBytes, l2Bytes;
};

/// From now on graphs, heuristics and plans are for this device. Throws Error where cuDNN does not take it.
void useDevice(const DeviceProperties& properties);

}  // namespace heddle::test
