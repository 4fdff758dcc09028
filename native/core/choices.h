// Which algorithm timing chose for each problem, by name; read and written by people through `algorithms`.
#pragma once

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace heddle {

/// One for a backend's library. Keys say all that the choice depends on, the device included.
class Choices {
 public:
  /// Empty where nothing was chosen.
  std::string find(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = names_.find(key);
    return found == names_.end() ? "" : found->second;
  }

  void keep(const std::string& key, const std::string& name) {
    const std::lock_guard lock(mutex_);
    names_[key] = name;
  }

  std::map<std::string, std::string> all() const {
    const std::lock_guard lock(mutex_);
    return names_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> names_;
};

/// Whether choices may not depend on time: HEDDLE_DETERMINISTIC=1.
inline bool timingForbidden() {
  const char* value = std::getenv("HEDDLE_DETERMINISTIC");
  return value && std::string(value) == "1";
}

}  // namespace heddle
