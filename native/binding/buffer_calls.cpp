// alloc, free, write, read.
#include "calls.h"

namespace heddle::binding {

namespace {

void checkRange(const Arguments& arguments, const Buffer& buffer, size_t byteOffset, size_t length) {
  if (byteOffset > buffer.bytes || length > buffer.bytes - byteOffset)
    arguments.reject("bytes " + std::to_string(byteOffset) + " to " + std::to_string(byteOffset + length) +
                     " are outside the buffer of " + std::to_string(buffer.bytes) + " bytes (" + buffer.label + ")");
}

}  // namespace

Napi::Value alloc(const Napi::CallbackInfo& info, const Arguments& arguments) {
  Device& device = Devices::ofProcess().at(arguments.integer(0, "device"));
  const size_t bytes = arguments.integer(1, "bytes");
  BufferPointer buffer = device.pool->allocate(bytes, arguments.text(2, "label"));
  return Napi::Number::New(info.Env(), Environment::of(info).addBuffer(device, std::move(buffer)));
}

Napi::Value free(const Napi::CallbackInfo& info, const Arguments& arguments) {
  Environment::of(info).removeBuffer(arguments.handle(0, "handle"));
  return info.Env().Undefined();
}

Napi::Value write(const Napi::CallbackInfo& info, const Arguments& arguments) {
  const DeviceBuffer& target = Environment::of(info).buffer(arguments.handle(0, "handle"));
  const size_t byteOffset = arguments.integer(1, "byteOffset");
  const std::span<std::byte> source = arguments.bytes(2, "source");
  Device& device = *target.device;
  checkRange(arguments, *target.buffer, byteOffset, source.size());
  // Only this thread queues jobs on its buffers, so an idle one stays idle while it is written here.
  if (target.buffer->idle()) {
    writeBuffer(device.backend, *target.buffer, byteOffset, source);
    return Napi::Number::New(info.Env(), 0);
  }
  return enqueue(info, device, [&](const auto& client, uint64_t ticket) {
    return std::make_unique<WriteJob>(client, ticket, device.backend, target.buffer, byteOffset,
                                      std::vector<std::byte>(source.begin(), source.end()));
  });
}

Napi::Value read(const Napi::CallbackInfo& info, const Arguments& arguments) {
  const DeviceBuffer& source = Environment::of(info).buffer(arguments.handle(0, "handle"));
  const size_t byteOffset = arguments.integer(1, "byteOffset");
  const std::span<std::byte> target = arguments.bytes(2, "target");
  Device& device = *source.device;
  checkRange(arguments, *source.buffer, byteOffset, target.size());
  return enqueue(info, device, [&](const auto& client, uint64_t ticket) {
    client->hold(ticket, arguments.object(2, "target"));
    return std::make_unique<ReadJob>(client, ticket, device.backend, source.buffer, byteOffset, target);
  });
}

}  // namespace heddle::binding
