// devices, sync, stats, configure, listen.
#include "calls.h"

namespace heddle::binding {

namespace {

Device& deviceArgument(const Arguments& arguments) {
  return Devices::ofProcess().at(arguments.integer(0, "device"));
}

/// The named option as a positive integer, or 0 where it is not given.
size_t option(const Arguments& arguments, const Napi::Object& options, const char* name, double largest) {
  const Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return 0;
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  if (!(number >= 1 && number <= largest) || number != static_cast<double>(static_cast<uint64_t>(number)))
    arguments.reject(std::string(name) + " must be a positive integer");
  return static_cast<size_t>(number);
}

}  // namespace

Napi::Value devices(const Napi::CallbackInfo& info, const Arguments&) {
  const size_t count = Devices::ofProcess().count();
  auto list = Napi::Array::New(info.Env(), count);
  for (size_t i = 0; i < count; i++) {
    const DeviceDescription description = Devices::ofProcess().at(i).backend.describe();
    auto device = Napi::Object::New(info.Env());
    device.Set("name", description.name);
    device.Set("kind", description.kind);
    device.Set("threads", description.threads);
    device.Set("instructionSet", description.instructionSet);
    device.Set("memoryBytes", static_cast<double>(description.memoryBytes));
    list.Set(static_cast<uint32_t>(i), device);
  }
  return list;
}

Napi::Value sync(const Napi::CallbackInfo& info, const Arguments& arguments) {
  return enqueue(info, deviceArgument(arguments), [](const auto& client, uint64_t ticket) {
    return std::make_unique<SyncJob>(client, ticket);
  });
}

Napi::Value stats(const Napi::CallbackInfo& info, const Arguments& arguments) {
  Device& device = deviceArgument(arguments);
  const PoolStatistics pool = device.pool->statistics();
  auto result = Napi::Object::New(info.Env());
  const auto set = [&](const char* name, size_t value) { result.Set(name, static_cast<double>(value)); };
  set("allocated", pool.allocated);
  set("reserved", pool.reserved);
  set("peak", pool.peak);
  set("limit", pool.limit);
  set("retries", pool.retries);
  set("arenaBytes", device.arenaBytes());
  set("queued", device.executor.queued());
  const std::vector<Holder> holders = device.pool->holders();
  auto list = Napi::Array::New(info.Env(), holders.size());
  for (size_t i = 0; i < holders.size(); i++) {
    auto holder = Napi::Object::New(info.Env());
    holder.Set("label", holders[i].label);
    holder.Set("bytes", static_cast<double>(holders[i].bytes));
    list.Set(static_cast<uint32_t>(i), holder);
  }
  result.Set("holders", list);
  return result;
}

Napi::Value configure(const Napi::CallbackInfo& info, const Arguments& arguments) {
  constexpr double kMostBytes = 9007199254740991.0;
  constexpr double kMostThreads = 4096;
  Device& device = deviceArgument(arguments);
  const Napi::Object options = arguments.object(1, "options");
  const size_t memoryLimit = option(arguments, options, "memoryLimit", kMostBytes);
  const size_t threads = option(arguments, options, "threads", kMostThreads);
  if (memoryLimit > 0) device.pool->setMemoryLimit(memoryLimit);
  if (threads > 0) device.executor.runNext([&] { device.backend.setThreads(static_cast<int>(threads)); });
  return info.Env().Undefined();
}

Napi::Value listen(const Napi::CallbackInfo& info, const Arguments& arguments) {
  Environment::of(info).settlement()->listen(arguments.callback(0, "callback"));
  return info.Env().Undefined();
}

}  // namespace heddle::binding
