// prepare, place, run, release.
#include <algorithm>

#include "calls.h"

namespace heddle::binding {

napi_value prepare(const Arguments& arguments) {
  Device& device = Devices::ofProcess().at(arguments.integer(0, "device"));
  const std::span<double> words = arguments.numbers(1, "words");
  std::string label = arguments.text(2, "label");
  std::shared_ptr<Plan> plan;
  device.executor.runNext([&] {
    plan = std::make_shared<Plan>(device.backend, std::vector<double>(words.begin(), words.end()), std::move(label));
  });
  const std::vector<size_t> bytes = plan->workspaceBytes();
  double* workspaceBytes;
  napi_value result = object(arguments.env);
  set(arguments.env, result, "workspaceBytes", numbers(arguments.env, bytes.size(), workspaceBytes));
  std::copy(bytes.begin(), bytes.end(), workspaceBytes);
  const uint32_t handle = Environment::of(arguments.env).addPlan(device, std::move(plan));
  set(arguments.env, result, "plan", number(arguments.env, handle));
  return result;
}

napi_value place(const Arguments& arguments) {
  const DevicePlan& plan = Environment::of(arguments.env).plan(arguments.handle(0, "plan"));
  plan.plan->place(arguments.numbers(1, "offsets"), static_cast<double>(arguments.integer(2, "arenaBytes")));
  return undefined(arguments.env);
}

napi_value run(const Arguments& arguments) {
  Environment& environment = Environment::of(arguments.env);
  const DevicePlan& plan = environment.plan(arguments.handle(0, "plan"));
  const std::span<uint32_t> handles = arguments.handles(1, "handles");
  const std::span<const StorageSpec> storages = plan.plan->callerStorages();
  Device& device = *plan.device;
  if (handles.size() != storages.size())
    arguments.reject("plan " + plan.plan->label() + " takes " + std::to_string(storages.size()) + " buffers, got " +
                     std::to_string(handles.size()));

  // Everything that can fail comes before the job is queued: handles, then the arena, then the outputs.
  std::vector<BufferUse> uses;
  uses.reserve(handles.size());
  std::vector<size_t> outputs;
  std::vector<BufferPointer> buffers(handles.size());
  for (size_t i = 0; i < handles.size(); i++) {
    if (storages[i].kind == StorageKind::output) continue;
    const DeviceBuffer& given = environment.buffer(handles[i]);
    if (given.device != &device) arguments.reject("buffer " + given.buffer->label + " is on another device");
    if (given.buffer->bytes < storages[i].bytes)
      arguments.reject("storage " + std::to_string(i) + " of plan " + plan.plan->label() + " needs " +
                       std::to_string(storages[i].bytes) + " bytes, buffer " + given.buffer->label + " has " +
                       std::to_string(given.buffer->bytes));
    buffers[i] = given.buffer;
  }
  BufferPointer arena = device.arena(plan.plan->placement()->arenaBytes);
  for (size_t i = 0; i < handles.size(); i++)
    if (storages[i].kind == StorageKind::output) {
      buffers[i] = device.pool->allocate(storages[i].bytes, plan.outputLabel);
      outputs.push_back(i);
    }
  for (const BufferPointer& buffer : buffers) uses.emplace_back(buffer);

  size_t added = 0;
  try {
    for (; added < outputs.size(); added++)
      handles[outputs[added]] = environment.addBuffer(device, buffers[outputs[added]]);
    return enqueue(arguments.env, device, [&](const auto& client, uint64_t ticket) {
      return std::make_unique<RunJob>(client, ticket, device.backend, device.pool, plan.plan, std::move(uses),
                                      std::move(arena));
    });
  } catch (...) {
    for (size_t i = 0; i < added; i++) environment.removeBuffer(handles[outputs[i]]);
    throw;
  }
}

napi_value release(const Arguments& arguments) {
  Environment::of(arguments.env).removePlan(arguments.handle(0, "plan"));
  return undefined(arguments.env);
}

}  // namespace heddle::binding
