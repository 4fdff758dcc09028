// One module per source and architecture, whichever devices of that architecture ask.
#include "module_cache.h"

#include <map>
#include <memory>

#include "../schema.gen.h"
#include "code_store.h"
#include "compilers.h"
#include "context.h"

namespace heddle::cuda {
namespace {

std::string keyOf(const std::string& source, const Target& target) {
  return target.architecture + " nvrtc " + target.compiler + " schema " + kSchemaHash + "\n" + source;
}

std::string compileAndKeep(const std::string& source, const Target& target) {
  const std::string code = compileSource(source, target);
  CodeStore::ofUser().put(keyOf(source, target), code);
  return code;
}

}  // namespace

Module::Module(const std::string& source, const Target& target) : source_(source), target_(target) {
  code_ = compileBeside([this] {
    const std::optional<std::string> kept = CodeStore::ofUser().find(keyOf(source_, target_));
    return kept ? *kept : compileAndKeep(source_, target_);
  });
}

cudaKernel_t Module::kernel(const std::string& entry) {
  const std::lock_guard lock(mutex_);
  if (!library_) load();
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library_, entry.c_str()), "finding a compiled program's kernel");
  return kernel;
}

void Module::load() {
  const auto take = [&](const std::string& code) {
    return cudaLibraryLoadData(&library_, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0);
  };
  if (take(code_.get()) == cudaSuccess) return;
  // What was on disk is whole, but the driver does not take it: perhaps another made it.
  cudaGetLastError();
  check(take(compileAndKeep(source_, target_)), "loading a compiled program");
}

Module& moduleOf(const std::string& source) {
  static std::mutex mutex;
  static auto& targets = *new std::map<std::pair<int, int>, Target>;
  // Never destroyed: at exit devices' threads may still be inside.
  static auto& modules = *new std::map<std::pair<std::string, std::string>, std::unique_ptr<Module>>;
  const Context& context = Context::current();
  const std::lock_guard lock(mutex);
  auto target = targets.find({context.major, context.minor});
  if (target == targets.end())
    target = targets.emplace(std::pair(context.major, context.minor), Target::of(context.major, context.minor)).first;
  std::unique_ptr<Module>& module = modules[{target->second.architecture, source}];
  if (!module) module = std::make_unique<Module>(source, target->second);
  return *module;
}

}  // namespace heddle::cuda
