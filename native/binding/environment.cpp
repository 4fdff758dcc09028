// The tear-down order matters: first nothing settles any more, then jobs and handles go, then the device may rest.
#include "environment.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace heddle::binding {

namespace {

// Telling the garbage collector costs more than an allocation from the pool: small changes are told together.
constexpr int64_t kReportedAtOnce = 1 << 20;
// V8 collects, all of its heap, when it hears that 64 MiB more are held than were at the least since the last time. So
// it is told of the most that was held of late: what comes and goes, a large result each step, is no reason to collect.
constexpr int kChangesPerSpan = 256;

}  // namespace

void Environment::open(napi_env env) {
  std::unique_ptr<Environment> made(new Environment(env));
  Environment* environment = made.get();
  check(napi_set_instance_data(
      env, environment, [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr));
  made.release();
  Devices::ofProcess().enter();
  // Hooks run last added first, so this one comes before Node closes the threadsafe function.
  napi_add_env_cleanup_hook(env, [](void* data) { static_cast<Environment*>(data)->tearDown(); }, environment);
}

void Environment::tearDown() {
  Devices::ofProcess().cancel(settlement_);
  settlement_->close();
  buffers_ = {};
  plans_ = {};
  Devices::ofProcess().leave();
}

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  check(napi_get_instance_data(env, &data));
  return *static_cast<Environment*>(data);
}

DeviceBuffer& Environment::buffer(uint32_t handle) const {
  const auto& found = buffers_.find(handle);
  if (!found)
    throw Error(ErrorCode::invalidArgument,
                "buffer handle " + std::to_string(handle) + " is not in use: it was freed, or never given out here");
  return *found;
}

DevicePlan& Environment::plan(uint32_t handle) const {
  const auto& found = plans_.find(handle);
  if (!found)
    throw Error(ErrorCode::invalidArgument,
                "plan handle " + std::to_string(handle) + " is not in use: it was released, or never given out here");
  return *found;
}

uint32_t Environment::addBuffer(Device& device, BufferPointer buffer) {
  const auto bytes = static_cast<int64_t>(buffer->blockBytes);
  const uint32_t handle = buffers_.add(std::make_shared<DeviceBuffer>(DeviceBuffer{&device, std::move(buffer)}));
  if (handle == 0)
    throw Error(ErrorCode::outOfMemory, "this thread holds four million buffers: dispose of tensors it no longer uses");
  account(bytes);
  return handle;
}

void Environment::removeBuffer(uint32_t handle, bool collected) {
  const int64_t bytes = static_cast<int64_t>(buffer(handle).buffer->blockBytes);
  buffers_.remove(handle);
  account(-bytes, collected);
}

uint32_t Environment::addPlan(Device& device, std::shared_ptr<Plan> plan) {
  std::string outputLabel = plan->label() + " output";
  const uint32_t handle =
      plans_.add(std::make_shared<DevicePlan>(DevicePlan{&device, std::move(plan), std::move(outputLabel)}));
  if (handle == 0) throw Error(ErrorCode::outOfMemory, "this thread holds four million plans: release some");
  return handle;
}

void Environment::removePlan(uint32_t handle) {
  plan(handle);
  plans_.remove(handle);
}

void Environment::account(int64_t bytes, bool collected) {
  held_ += bytes;
  most_ = std::max(most_, held_);
  if (collected) {
    // What it has given back, it is to know of: the next such amount is a reason to collect again.
    changes_ = 0;
    most_ = mostBefore_ = held_;
  } else if (++changes_ == kChangesPerSpan) {
    changes_ = 0;
    mostBefore_ = std::exchange(most_, held_);
  }
  const int64_t change = std::max(most_, mostBefore_) - reported_;
  if (std::abs(change) < kReportedAtOnce) return;
  int64_t total;
  napi_adjust_external_memory(env_, change, &total);
  reported_ += change;
}

}  // namespace heddle::binding
