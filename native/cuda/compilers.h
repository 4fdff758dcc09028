// Threads that compile sources side by side.
#pragma once

#include <functional>
#include <future>
#include <string>

namespace heddle::cuda {

/// Runs `compile` on a thread of its own as soon as one is free. To be called with NVRTC open: its threads are waited for
/// as the process ends, before NVRTC is taken down.
std::shared_future<std::string> compileBeside(std::function<std::string()> compile);

}  // namespace heddle::cuda
