// One module per source and architecture, whichever devices of that architecture ask.
#include "module_cache.h"

#include <map>
#include <memory>
#include <mutex>

#include "../schema.gen.h"
#include "code_store.h"
#include "context.h"
#include "nvrtc.h"

namespace heddle::cuda {
namespace {

std::unique_ptr<Module> load(const std::string& source, const Target& target) {
  const std::string key = target.architecture + " nvrtc " + target.compiler + " schema " + kSchemaHash + "\n" + source;
  CodeStore& store = CodeStore::ofUser();
  if (const std::optional<std::string> code = store.find(key)) {
    try {
      return std::make_unique<Module>(*code);
    } catch (const Error&) {
      // Whatever the driver does not take is made again.
    }
  }
  const std::string code = compileSource(source, target);
  auto module = std::make_unique<Module>(code);
  store.put(key, code);
  return module;
}

}  // namespace

Module::Module(const std::string& code) {
  check(cudaLibraryLoadData(&library_, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "loading a compiled program");
}

cudaKernel_t Module::kernel(const std::string& entry) const {
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library_, entry.c_str()), "finding a compiled program's kernel");
  return kernel;
}

const Module& moduleOf(const std::string& source) {
  static std::mutex mutex;
  static std::map<std::pair<int, int>, Target> targets;
  static std::map<std::pair<std::string, std::string>, std::unique_ptr<Module>> modules;
  const Context& context = Context::current();
  const std::lock_guard lock(mutex);
  auto target = targets.find({context.major, context.minor});
  if (target == targets.end())
    target = targets.emplace(std::pair(context.major, context.minor), Target::of(context.major, context.minor)).first;
  std::unique_ptr<Module>& module = modules[{target->second.architecture, source}];
  if (!module) module = load(source, target->second);
  return *module;
}

}  // namespace heddle::cuda
