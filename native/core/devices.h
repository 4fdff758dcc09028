// The devices of this process: backends found beside the addon, opened at first use, shared by every environment.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
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

  /// The positions of a backend's devices (`cpu`, `cuda`), which its first call opens. Throws Error where the backend's
  /// library cannot be loaded or finds no device it can use; a later call tries again.
  std::vector<size_t> open(const std::string& kind);
  Device& at(size_t index);
  /// Where the library of a kind is, when it is opened later, in place of beside this one; or why it is not to be used.
  void place(const std::string& kind, const std::string& library, const std::string& error);

  /// Why the devices of a kind can or cannot be used, for people to read.
  struct Inspection {
    std::string library;  // the backend's, whether it is there or not
    std::string error;    // why it gives no device; empty where it does
    std::vector<LibrarySearch> libraries;
  };
  Inspection inspect(const std::string& kind);

 private:
  struct Place {
    std::string library;
    std::string error;
  };
  std::string libraryOf(const std::string& kind) const;
  std::vector<Backend*> openBackend(const std::string& kind) const;

  std::mutex mutex_;
  std::map<std::string, Place> places_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::map<std::string, std::vector<size_t>> opened_;
  size_t environments_ = 0;
};

}  // namespace heddle
