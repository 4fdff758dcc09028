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
  void removeBuffer(uint32_t handle);
  uint32_t addPlan(Device& device, std::shared_ptr<Plan> plan);
  void removePlan(uint32_t handle);

  const std::shared_ptr<Settlement>& settlement() const { return settlement_; }

 private:
  explicit Environment(napi_env env) : env_(env), settlement_(std::make_shared<Settlement>(env)) {}
  void tearDown();
  void account(int64_t bytes);

  const napi_env env_;
  std::shared_ptr<Settlement> settlement_;
  HandleTable<DeviceBuffer> buffers_;
  HandleTable<DevicePlan> plans_;
  int64_t unreported_ = 0;  // bytes the garbage collector has not been told of yet
};

}  // namespace heddle::binding
