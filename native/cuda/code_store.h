// What took long to find out, on disk: device code, by what it was compiled from, and the names of measured algorithms.
#pragma once

#include <mutex>
#include <optional>
#include <string>

namespace heddle::cuda {

/// Where this machine's user keeps what heddle can get again; '' where there is no such place.
std::string userFolder();

/// A folder of compiled code. Nothing that goes wrong with it is an error: the code is then compiled again.
class CodeStore {
 public:
  /// An empty folder's name keeps nothing.
  CodeStore(std::string folder, unsigned long long mostBytes);

  /// The folder of this machine's user.
  static CodeStore& ofUser();

  /// What was put under exactly this key, if it is all there.
  std::optional<std::string> find(const std::string& key) const;
  void put(const std::string& key, const std::string& code);

 private:
  std::string pathOf(const std::string& key) const;
  void evict() const;

  std::string folder_;
  unsigned long long mostBytes_;
  std::mutex mutex_;                 // of writers
  unsigned long long writtenBytes_;  // since the last eviction
};

}  // namespace heddle::cuda
