// The devices of this process: backends found beside the addon, opened at first use, shared by every environment.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "device.h"

namespace heddle {

class Devices {
 public:
  static Devices& ofProcess();

  /// Counts the environments that use devices; with the last one the threads end.
  void enter();
  void leave();
  /// Ends what a client has queued anywhere.
  void cancel(const std::shared_ptr<Client>& client);

  /// Opens the backends at the first call. Throws Error where a backend's library cannot be loaded.
  size_t count();
  Device& at(size_t index);

 private:
  void open();

  std::mutex mutex_;
  std::vector<std::unique_ptr<Device>> devices_;
  size_t environments_ = 0;
};

}  // namespace heddle
