// What one JavaScript environment (the main thread or a worker) owns: its handles, its tickets, its memory account.
#pragma once

#include "../core/devices.h"
#include "handle_table.h"
#include "settlement.h"

namespace heddle::binding {

struct DeviceBuffer {
  Device* device;
  BufferPointer buffer;
};

struct DevicePlan {
  Device* device;
  std::shared_ptr<Plan> plan;
  std::string outputLabel;
};

class Environment {
 public:
  /// Makes the environment's own object and ties it to the environment's end.
  static void open(napi_env env);
  static Environment& of(napi_env env);

  /// Throws Error invalidArgument where the handle is not in use.
  DeviceBuffer& buffer(uint32_t handle) const;
  DevicePlan& plan(uint32_t handle) const;

  uint32_t addBuffer(Device& device, BufferPointer buffer);
  /// `collected`: the garbage collector found that nobody has it.
  void removeBuffer(uint32_t handle, bool collected = false);
  uint32_t addPlan(Device& device, std::shared_ptr<Plan> plan);
  void removePlan(uint32_t handle);

  const std::shared_ptr<Settlement>& settlement() const { return settlement_; }

 private:
  explicit Environment(napi_env env) : env_(env), settlement_(std::make_shared<Settlement>(env)) {}
  void tearDown();
  void account(int64_t bytes, bool collected = false);

  const napi_env env_;
  std::shared_ptr<Settlement> settlement_;
  HandleTable<DeviceBuffer> buffers_;
  HandleTable<DevicePlan> plans_;
  int64_t held_ = 0;      // bytes
  int64_t reported_ = 0;  // those the garbage collector knows of
  // The most that was held in this span of changes, and in the one before.
  int64_t most_ = 0, mostBefore_ = 0;
  int changes_ = 0;
};

}  // namespace heddle::binding
