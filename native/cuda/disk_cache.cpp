// A file is named by its key's hash and holds a line of lengths and a checksum, the key, and the value.
#include "disk_cache.h"

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace heddle::cuda {

namespace {

/// FNV-1a, 64 bits.
uint64_t hashOf(const std::string& bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

std::string hexadecimal(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

std::string headerOf(const std::string& key, const std::string& value) {
  return "heddle 1 " + std::to_string(key.size()) + " " + std::to_string(value.size()) + " " +
         hexadecimal(hashOf(key + value)) + "\n";
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

std::string cacheFolder() {
  if (const std::string own = variable("HEDDLE_CACHE"); !own.empty()) return own;
  if (const std::string shared = variable("XDG_CACHE_HOME"); !shared.empty()) return shared + "/heddle";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/heddle";
  return "";
}

std::optional<std::string> readCached(const std::string& kind, const std::string& key) {
  const std::string folder = cacheFolder();
  if (folder.empty()) return std::nullopt;
  std::ifstream file(folder + "/" + kind + "/" + hexadecimal(hashOf(key)), std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream read;
  read << file.rdbuf();
  const std::string content = read.str();
  // The header says how long the value is, so it is made again from the parts and compared.
  const size_t start = content.find('\n') + 1;
  if (start == 0 || content.compare(start, key.size(), key) != 0) return std::nullopt;
  const std::string value = content.substr(start + key.size());
  if (content.substr(0, start) != headerOf(key, value)) return std::nullopt;
  return value;
}

void writeCached(const std::string& kind, const std::string& key, const std::string& value) {
  const std::string root = cacheFolder();
  if (root.empty()) return;
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path folder = std::filesystem::path(root) / kind;
  const std::filesystem::path target = folder / hexadecimal(hashOf(key));
  const std::filesystem::path draft =
      target.string() + "." + std::to_string(getpid()) + "." + std::to_string(counter.fetch_add(1));
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  {
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file << headerOf(key, value) << key << value;
    file.close();
    if (!file) {
      std::filesystem::remove(draft, failed);
      return;
    }
  }
  std::filesystem::rename(draft, target, failed);
  if (failed) std::filesystem::remove(draft, failed);
}

}  // namespace heddle::cuda
