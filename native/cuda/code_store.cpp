// A file is a header, the key and the code. The whole key is compared, so that two keys of one hash do no harm; sizes
// and a checksum tell what a crash or another process left behind.
#include "code_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

namespace heddle::cuda {
namespace {

namespace files = std::filesystem;

constexpr char kExtension[] = ".code";
constexpr uint64_t kMostBytes = uint64_t{512} << 20;

struct Header {
  char mark[8] = {'h', 'e', 'd', 'd', 'l', 'e', '0', '1'};
  uint64_t keyBytes = 0;
  uint64_t codeBytes = 0;
  uint64_t checksum = 0;
};

/// FNV-1a of 64 bits.
uint64_t hashOf(const std::string& bytes, uint64_t hash = 0xcbf29ce484222325u) {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

Header headerOf(const std::string& key, const std::string& code) {
  Header header;
  header.keyBytes = key.size();
  header.codeBytes = code.size();
  header.checksum = hashOf(code, hashOf(key));
  return header;
}

/// Whether only this user, or root, can have written the file: what is in it will run in this process.
bool trusted(const std::string& path) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) return false;
  return (facts.st_uid == geteuid() || facts.st_uid == 0) && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

std::string userFolder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (const std::string own = variable("HEDDLE_CACHE"); !own.empty()) return own;
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/heddle";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/heddle";
  return "";
}

CodeStore::CodeStore(std::string folder, unsigned long long mostBytes)
    // Looked through at the first write.
    : folder_(std::move(folder)), mostBytes_(mostBytes), writtenBytes_(mostBytes) {}

CodeStore& CodeStore::ofUser() {
  // Never destroyed: at exit other threads may still be inside.
  static CodeStore& store = *new CodeStore(userFolder(), kMostBytes);
  return store;
}

std::string CodeStore::pathOf(const std::string& key) const {
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hashOf(key)));
  return folder_ + "/" + name + kExtension;
}

std::optional<std::string> CodeStore::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  const std::string path = pathOf(key);
  if (!trusted(path)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  Header header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
  std::error_code failure;
  const uint64_t bytes = files::file_size(path, failure);
  if (failure || std::memcmp(header.mark, Header().mark, sizeof header.mark) != 0 || header.keyBytes != key.size() ||
      header.codeBytes > bytes || bytes != sizeof header + header.keyBytes + header.codeBytes)
    return std::nullopt;
  std::string storedKey(header.keyBytes, '\0'), code(header.codeBytes, '\0');
  if (!file.read(storedKey.data(), static_cast<std::streamsize>(storedKey.size())) ||
      !file.read(code.data(), static_cast<std::streamsize>(code.size())))
    return std::nullopt;
  if (storedKey != key || headerOf(key, code).checksum != header.checksum) return std::nullopt;
  // The least recently used go first.
  files::last_write_time(path, files::file_time_type::clock::now(), failure);
  return code;
}

void CodeStore::put(const std::string& key, const std::string& code) {
  if (folder_.empty()) return;
  const std::lock_guard lock(mutex_);
  std::error_code failure;
  // Others may neither read nor plant code in a folder that is made here.
  if (files::create_directories(folder_, failure))
    files::permissions(folder_, files::perms::owner_all, files::perm_options::replace, failure);
  const std::string path = pathOf(key), partial = path + "." + std::to_string(getpid());
  {
    std::ofstream file(partial, std::ios::binary | std::ios::trunc);
    const Header header = headerOf(key, code);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(key.data(), static_cast<std::streamsize>(key.size()));
    file.write(code.data(), static_cast<std::streamsize>(code.size()));
    file.close();
    files::permissions(partial, files::perms::owner_read | files::perms::owner_write, failure);
    if (!file) {
      files::remove(partial, failure);
      return;
    }
  }
  // Readers see the old file, none, or the whole new one.
  files::rename(partial, path, failure);
  if (failure) files::remove(partial, failure);
  writtenBytes_ += key.size() + code.size();
  if (writtenBytes_ > mostBytes_ / 16) {
    evict();
    writtenBytes_ = 0;
  }
}

void CodeStore::evict() const {
  struct Entry {
    files::path path;
    files::file_time_type time;
    uint64_t bytes;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code failure;
  for (files::directory_iterator it(folder_, failure), end; !failure && it != end; it.increment(failure)) {
    // Also what writers that died left behind.
    if (it->path().filename().string().find(kExtension) == std::string::npos) continue;
    std::error_code unreadable;
    Entry entry{it->path(), it->last_write_time(unreadable), it->file_size(unreadable)};
    if (unreadable) continue;
    total += entry.bytes;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.time < b.time; });
  for (const Entry& entry : entries) {
    if (total <= mostBytes_) return;
    if (files::remove(entry.path, failure)) total -= entry.bytes;
  }
}

}  // namespace heddle::cuda
