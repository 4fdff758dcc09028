// Copies between the host and a device, by way of page-locked memory where they are small enough.
#pragma once

#include "../core/backend.h"
#include "context.h"
#include "staging.h"

namespace heddle::cuda {

/// Queues a copy to the device; `host` may change as soon as it returns.
void upload(Context& context, Staging& staging, void* device, const void* host, size_t bytes);

/// Queues a copy to the host, or leaves it to be made at delivery.
std::unique_ptr<Download> download(Context& context, Staging& staging, const void* device, size_t bytes);

}  // namespace heddle::cuda
