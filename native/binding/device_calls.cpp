// devices, inspect, place, sync, stats, configure, choices, choose, profile, listen.
#include "calls.h"

namespace heddle::binding {

namespace {

constexpr size_t kMostBytes = 9007199254740991;
constexpr size_t kMostThreads = 4096;

Device& deviceArgument(const Arguments& arguments) { return Devices::ofProcess().at(arguments.integer(0, "device")); }

}  // namespace

napi_value devices(const Arguments& arguments) {
  const napi_env env = arguments.env;
  const std::vector<size_t> positions = Devices::ofProcess().open(arguments.text(0, "kind"));
  napi_value result = list(env, positions.size());
  for (size_t i = 0; i < positions.size(); i++) {
    const DeviceDescription description = Devices::ofProcess().at(positions[i]).backend.describe();
    napi_value device = object(env);
    set(env, device, "index", number(env, static_cast<double>(positions[i])));
    set(env, device, "name", text(env, description.name));
    set(env, device, "kind", text(env, description.kind));
    set(env, device, "threads", number(env, description.threads));
    set(env, device, "instructionSet", text(env, description.instructionSet));
    set(env, device, "memoryBytes", number(env, static_cast<double>(description.memoryBytes)));
    set(env, result, i, device);
  }
  return result;
}

napi_value inspect(const Arguments& arguments) {
  const napi_env env = arguments.env;
  const Devices::Inspection inspection = Devices::ofProcess().inspect(arguments.text(0, "kind"));
  napi_value result = object(env);
  set(env, result, "library", text(env, inspection.library));
  set(env, result, "error", text(env, inspection.error));
  napi_value libraries = list(env, inspection.libraries.size());
  for (size_t i = 0; i < inspection.libraries.size(); i++) {
    const LibrarySearch& search = inspection.libraries[i];
    napi_value library = object(env);
    set(env, library, "name", text(env, search.name));
    set(env, library, "found", text(env, search.found));
    napi_value places = list(env, search.places.size());
    for (size_t k = 0; k < search.places.size(); k++) set(env, places, k, text(env, search.places[k]));
    set(env, library, "places", places);
    set(env, libraries, i, library);
  }
  set(env, result, "libraries", libraries);
  return result;
}

napi_value place(const Arguments& arguments) {
  Devices::ofProcess().place(arguments.text(0, "kind"), arguments.text(1, "library"), arguments.text(2, "error"));
  return nullptr;
}

napi_value sync(const Arguments& arguments) {
  return enqueue(arguments.env, deviceArgument(arguments),
                 [](const auto& client, uint64_t ticket) { return std::make_unique<SyncJob>(client, ticket); });
}

napi_value stats(const Arguments& arguments) {
  const napi_env env = arguments.env;
  Device& device = deviceArgument(arguments);
  const PoolStatistics pool = device.pool->statistics();
  napi_value result = object(env);
  const auto put = [&](const char* name, size_t value) {
    set(env, result, name, number(env, static_cast<double>(value)));
  };
  put("allocated", pool.allocated);
  put("reserved", pool.reserved);
  put("peak", pool.peak);
  put("limit", pool.limit);
  put("retries", pool.retries);
  put("arenaBytes", device.arenaBytes());
  put("queued", device.executor.queued());
  put("replays", device.backend.replays);
  const std::vector<Holder> holders = device.pool->holders();
  napi_value holderList = list(env, holders.size());
  for (size_t i = 0; i < holders.size(); i++) {
    napi_value holder = object(env);
    set(env, holder, "label", text(env, holders[i].label));
    set(env, holder, "bytes", number(env, static_cast<double>(holders[i].bytes)));
    set(env, holderList, i, holder);
  }
  set(env, result, "holders", holderList);
  return result;
}

napi_value configure(const Arguments& arguments) {
  Device& device = deviceArgument(arguments);
  const size_t memoryLimit = arguments.option(1, "memoryLimit", kMostBytes);
  const size_t threads = arguments.option(1, "threads", kMostThreads);
  if (memoryLimit > 0) device.pool->setMemoryLimit(memoryLimit);
  if (threads > 0) device.executor.runNext([&] { device.backend.setThreads(static_cast<int>(threads)); });
  return undefined(arguments.env);
}

napi_value choices(const Arguments& arguments) {
  const napi_env env = arguments.env;
  const auto names = deviceArgument(arguments).backend.choices().all();
  napi_value result = object(env);
  for (const auto& [key, name] : names) set(env, result, key.c_str(), text(env, name));
  return result;
}

napi_value choose(const Arguments& arguments) {
  deviceArgument(arguments).backend.choices().keep(arguments.text(1, "key"), arguments.text(2, "name"));
  return undefined(arguments.env);
}

napi_value profile(const Arguments& arguments) {
  const napi_env env = arguments.env;
  Profile& profile = deviceArgument(arguments).backend.profile;
  if (arguments.flag(1, "on")) {
    profile.start();
    return undefined(env);
  }
  size_t dropped = 0;
  const std::vector<ProfileEvent> events = profile.stop(dropped);
  napi_value result = object(env);
  napi_value names = list(env, events.size());
  double* words;
  set(env, result, "times", numbers(env, 2 * events.size(), words));
  napi_value kinds = list(env, events.size());
  for (size_t i = 0; i < events.size(); i++) {
    set(env, names, i, text(env, events[i].name));
    set(env, kinds, i, number(env, (events[i].kernel ? 1 : 0) + (events[i].highPriority ? 2 : 0) + 4 * events[i].lane));
    *words++ = events[i].start;
    *words++ = events[i].end;
  }
  set(env, result, "names", names);
  set(env, result, "kinds", kinds);
  set(env, result, "dropped", number(env, static_cast<double>(dropped)));
  return result;
}

napi_value listen(const Arguments& arguments) {
  Environment::of(arguments.env).settlement()->listen(arguments.callback(0, "callback"));
  return undefined(arguments.env);
}

}  // namespace heddle::binding
