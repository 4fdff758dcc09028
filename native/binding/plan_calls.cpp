// prepare, waitFor, memory, run, release.
#include "calls.h"

namespace heddle::binding {

namespace {

constexpr size_t kMostLanes = 1024;

Lane laneOf(const Arguments& arguments, Priority priority) {
  if (!arguments.given(4)) return {};
  const Lane lane{static_cast<int>(arguments.option(4, "lane", kMostLanes)),
                  static_cast<int>(arguments.option(4, "lanes", kMostLanes))};
  if (lane.index < 1 || lane.index > lane.count) arguments.reject("lane must be from 1 to lanes");
  if (priority != Priority::high) arguments.reject("a plan in a lane must be of high priority");
  return lane;
}

}  // namespace

napi_value prepare(const Arguments& arguments) {
  const napi_env env = arguments.env;
  Environment& environment = Environment::of(env);
  Device& device = Devices::ofProcess().at(arguments.integer(0, "device"));
  const std::span<double> words = arguments.numbers(1, "words");
  const Priority priority = arguments.flag(3, "high") ? Priority::high : Priority::normal;
  const Lane lane = laneOf(arguments, priority);
  const auto plan = std::make_shared<Plan>(std::vector<double>(words.begin(), words.end()), arguments.text(2, "label"),
                                           priority, lane);
  const uint32_t handle = environment.addPlan(device, plan);
  const auto& settlement = environment.settlement();
  const uint64_t ticket = settlement->issue();
  try {
    napi_value result = object(env);
    set(env, result, "plan", number(env, handle));
    set(env, result, "ticket", number(env, static_cast<double>(ticket)));
    device.executor.startNext(settlement, [&device, plan, client = std::shared_ptr<Client>(settlement), ticket] {
      preparePlan(device, *plan, *client, ticket);
    });
    return result;
  } catch (...) {
    settlement->withdraw(ticket);
    environment.removePlan(handle);
    throw;
  }
}

napi_value waitFor(const Arguments& arguments) {
  const DevicePlan& plan = Environment::of(arguments.env).plan(arguments.handle(0, "plan"));
  if (plan.plan->ready()) return undefined(arguments.env);
  FailurePointer failure;
  // Tasks keep their order: this one comes after the one that prepares the plan.
  plan.device->executor.runNext([&] { failure = plan.plan->failure(); });
  if (failure) throw Error(failure->code, failure->message);
  return undefined(arguments.env);
}

napi_value memory(const Arguments& arguments) {
  const napi_env env = arguments.env;
  const Plan& plan = *Environment::of(env).plan(arguments.handle(0, "plan")).plan;
  if (!plan.ready()) arguments.reject("plan " + plan.label() + " is not ready: wait for its ticket");
  const Placement& placement = plan.placement();
  double* words;
  napi_value result = object(env);
  set(env, result, "arenaBytes", number(env, static_cast<double>(placement.arenaBytes)));
  set(env, result, "liveBytes", number(env, static_cast<double>(placement.liveBytes)));
  set(env, result, "blocks", numbers(env, 4 * placement.blocks.size(), words));
  for (size_t i = 0; i < placement.blocks.size(); i++) {
    const Block& block = placement.blocks[i];
    *words++ = static_cast<double>(placement.offsets[i]);
    *words++ = static_cast<double>(block.bytes);
    *words++ = static_cast<double>(block.first);
    *words++ = static_cast<double>(block.last);
  }
  return result;
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
  // A plan that is still being prepared sees to its arena itself.
  BufferPointer arena = plan.plan->ready()
                            ? device.arena(plan.plan->priority(), plan.plan->lane(), plan.plan->placement().arenaBytes)
                            : nullptr;
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
      return std::make_unique<RunJob>(client, ticket, device, plan.plan, std::move(uses), std::move(arena));
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
