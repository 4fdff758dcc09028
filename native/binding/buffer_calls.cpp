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

napi_value alloc(const Arguments& arguments) {
  Device& device = Devices::ofProcess().at(arguments.integer(0, "device"));
  const size_t bytes = arguments.integer(1, "bytes");
  BufferPointer buffer = device.pool->allocate(bytes, arguments.text(2, "label"));
  return number(arguments.env, Environment::of(arguments.env).addBuffer(device, std::move(buffer)));
}

napi_value free(const Arguments& arguments) {
  Environment::of(arguments.env).removeBuffer(arguments.handle(0, "handle"), arguments.flag(1, "collected"));
  return undefined(arguments.env);
}

napi_value write(const Arguments& arguments) {
  const DeviceBuffer& target = Environment::of(arguments.env).buffer(arguments.handle(0, "handle"));
  const size_t byteOffset = arguments.integer(1, "byteOffset");
  const std::span<std::byte> source = arguments.bytes(2, "source");
  Device& device = *target.device;
  checkRange(arguments, *target.buffer, byteOffset, source.size());
  if (arguments.flag(3, "lent"))
    return enqueue(arguments.env, device, [&](const auto& client, uint64_t ticket) {
      client->hold(ticket, arguments.at(2));
      return std::make_unique<LentWriteJob>(client, ticket, device.backend, target.buffer, byteOffset, source);
    });
  // Only this thread queues jobs on its buffers, so an idle one stays idle while it is written here.
  if (target.buffer->idle() && !device.backend.asynchronous()) {
    writeBuffer(device.backend, *target.buffer, byteOffset, source);
    return number(arguments.env, 0);
  }
  return enqueue(arguments.env, device, [&](const auto& client, uint64_t ticket) {
    return std::make_unique<WriteJob>(client, ticket, device.backend, target.buffer, byteOffset,
                                      std::vector<std::byte>(source.begin(), source.end()));
  });
}

napi_value read(const Arguments& arguments) {
  const DeviceBuffer& source = Environment::of(arguments.env).buffer(arguments.handle(0, "handle"));
  const size_t byteOffset = arguments.integer(1, "byteOffset");
  const std::span<std::byte> target = arguments.bytes(2, "target");
  Device& device = *source.device;
  checkRange(arguments, *source.buffer, byteOffset, target.size());
  return enqueue(arguments.env, device, [&](const auto& client, uint64_t ticket) {
    client->hold(ticket, arguments.at(2));
    return std::make_unique<ReadJob>(client, ticket, device.backend, source.buffer, byteOffset, target);
  });
}

}  // namespace heddle::binding
