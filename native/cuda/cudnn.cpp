// One table for the process, one handle per device.
#include "cudnn.h"

#include <map>
#include <mutex>

#include "context.h"
#include "library.h"

namespace heddle::cuda::dnn {

namespace {

Functions load() {
  void* library = openLibrary("libcudnn.so.9");
  // Some engines need these, which cuDNN opens by name: what is open already it finds, wherever it lies.
  for (const char* needed : {"libcublasLt.so.13", "libnvrtc.so.13"}) try {
      openLibrary(needed);
    } catch (const Error&) {
      // Then those engines turn problems down.
    }
  Functions table;
  bind(library, "cudnnGetVersion", table.getVersion);
  bind(library, "cudnnGetLastErrorString", table.getLastErrorString);
  bind(library, "cudnnGetErrorString", table.getErrorString);
  bind(library, "cudnnCreate", table.create);
  bind(library, "cudnnSetStream", table.setStream);
  bind(library, "cudnnBackendCreateDescriptor", table.createDescriptor);
  bind(library, "cudnnBackendDestroyDescriptor", table.destroyDescriptor);
  bind(library, "cudnnBackendFinalize", table.finalize);
  bind(library, "cudnnBackendSetAttribute", table.setAttribute);
  bind(library, "cudnnBackendGetAttribute", table.getAttribute);
  bind(library, "cudnnBackendExecute", table.execute);
  return table;
}

}  // namespace

const Functions& functions() {
  static const Functions table = load();
  return table;
}

// Never destroyed, as devices are not.
Handle handle() {
  static std::mutex mutex;
  static std::map<int, Handle>& handles = *new std::map<int, Handle>;
  const std::lock_guard lock(mutex);
  const Context& context = Context::current();
  Handle& handle = handles[context.ordinal];
  if (!handle) {
    Handle made = nullptr;
    check(functions().create(&made), "cudnnCreate");
    check(functions().setStream(made, context.stream), "cudnnSetStream");
    handle = made;
  }
  return handle;
}

std::string version() { return "cuDNN " + std::to_string(functions().getVersion()); }

void check(Status status, const char* what) {
  if (status == kSuccess) return;
  char reason[512] = "";
  functions().getLastErrorString(reason, sizeof reason);
  throw Error(isUnsupported(status) ? ErrorCode::unsupported : ErrorCode::internal,
              std::string("cuDNN: ") + what + " failed: " + functions().getErrorString(status) +
                  (*reason ? std::string(": ") + reason : ""));
}

Descriptor::Descriptor(int type) { check(functions().createDescriptor(type, &raw_), "cudnnBackendCreateDescriptor"); }

Descriptor::~Descriptor() {
  if (raw_) functions().destroyDescriptor(raw_);
}

void Descriptor::set(int name, int type, int64_t count, const void* elements) {
  check(functions().setAttribute(raw_, name, type, count, elements), "cudnnBackendSetAttribute");
}

void Descriptor::setIntegers(int name, const std::vector<int64_t>& values) {
  set(name, kTypeInt64, static_cast<int64_t>(values.size()), values.data());
}

void Descriptor::setHandle(int name) {
  const Handle value = handle();
  set(name, kTypeHandle, 1, &value);
}

void Descriptor::finalize() { check(functions().finalize(raw_), "cudnnBackendFinalize"); }

int64_t Descriptor::integer(int name) const {
  int64_t value = 0, count = 0;
  check(functions().getAttribute(raw_, name, kTypeInt64, 1, &count, &value), "cudnnBackendGetAttribute");
  return value;
}

int Descriptor::enumerator(int name, int type) const {
  int value = 0;
  int64_t count = 0;
  check(functions().getAttribute(raw_, name, type, 1, &count, &value), "cudnnBackendGetAttribute");
  return value;
}

std::vector<int> Descriptor::enumerators(int name, int type) const {
  std::vector<int> values(64);
  int64_t count = 0;
  check(functions().getAttribute(raw_, name, type, static_cast<int64_t>(values.size()), &count, values.data()),
        "cudnnBackendGetAttribute");
  values.resize(static_cast<size_t>(std::min<int64_t>(count, 64)));
  return values;
}

void Descriptor::get(int name, Descriptor& value) const {
  int64_t count = 0;
  check(functions().getAttribute(raw_, name, kTypeDescriptor, 1, &count, &value.raw_), "cudnnBackendGetAttribute");
}

std::vector<Descriptor> Descriptor::descriptors(int name, int type, int64_t most) const {
  std::vector<Descriptor> values;
  std::vector<RawDescriptor> raw;
  for (int64_t i = 0; i < most; i++) raw.push_back(values.emplace_back(type).raw());
  int64_t count = 0;
  check(functions().getAttribute(raw_, name, kTypeDescriptor, most, &count, raw.data()), "cudnnBackendGetAttribute");
  values.erase(values.begin() + std::min(count, most), values.end());
  return values;
}

}  // namespace heddle::cuda::dnn
