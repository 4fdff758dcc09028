// The order of the places is the user's first, then what came with heddle, then the machine's.
#include "library.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "../core/error.h"
#include "code_store.h"

namespace heddle::cuda {

namespace {

std::string folderOfThisLibrary() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&findLibrary), &info) || !info.dli_fname) return "";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

std::vector<std::string> matching(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return paths;
}

/// Folders, as given by a variable: itself and what a toolkit calls its library folder.
void addToolkit(std::vector<std::string>& folders, const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !*value) return;
  // Like other path variables it may name several.
  const std::string list = value;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(':', start), list.size());
    const std::string folder = list.substr(start, end - start);
    if (!folder.empty())
      for (const char* part : {"", "/lib64", "/lib", "/targets/x86_64-linux/lib"}) folders.push_back(folder + part);
    start = end + 1;
  }
}

/// Where `heddle cuda install` puts them (lib/cli/cudaFolder.ts); not where another line of CUDA is.
void addInstalled(std::vector<std::string>& folders) {
  if (const std::string cache = userFolder(); !cache.empty()) folders.push_back(cache + "/cuda/13.0/lib");
}

void addPythonPackages(std::vector<std::string>& folders) {
  std::vector<std::string> prefixes;
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const char* value = std::getenv(variable); value && *value) prefixes.push_back(value);
  if (const char* home = std::getenv("HOME"); home && *home) prefixes.push_back(std::string(home) + "/.local");
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr", "/opt/conda"});
  for (const std::string& prefix : prefixes)
    for (const char* packages : {"/lib/python3*/site-packages", "/lib/python3*/dist-packages"})
      for (const std::string& folder : matching(prefix + packages + "/nvidia/*/lib")) folders.push_back(folder);
}

void* tryOpen(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }

struct Opened {
  void* handle = nullptr;
  LibrarySearch search;
};

const Opened& opened(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, Opened> libraries;
  const std::lock_guard lock(mutex);
  Opened& entry = libraries[name];
  if (entry.handle) return entry;
  entry.search = {name, "", {}};
  const auto attempt = [&](const std::string& path, const std::string& place) {
    entry.search.places.push_back(place);
    entry.handle = tryOpen(path);
    if (entry.handle) entry.search.found = place;
    return entry.handle != nullptr;
  };
  std::vector<std::string> folders;
  addToolkit(folders, "HEDDLE_CUDA_PATH");
  folders.push_back(folderOfThisLibrary());
  addInstalled(folders);
  addToolkit(folders, "CUDA_PATH");
  for (const std::string& folder : folders)
    if (attempt(folder + "/" + name, folder)) return entry;
  if (attempt(name, "the system's loader")) return entry;
  folders.clear();
  addPythonPackages(folders);
  for (const std::string& folder : folders)
    if (attempt(folder + "/" + name, folder)) return entry;
  return entry;
}

}  // namespace

LibrarySearch findLibrary(const std::string& name) { return opened(name).search; }

void* openLibrary(const std::string& name) {
  const Opened& entry = opened(name);
  if (entry.handle) return entry.handle;
  std::string places;
  for (const std::string& place : entry.search.places) places += "\n  " + place;
  throw Error(ErrorCode::unsupported,
              name + " was not found. Looked in:" + places +
                  "\n`npx heddle cuda install` brings it; or set HEDDLE_CUDA_PATH to the folder that has it, or "
                  "install NVIDIA's packages for Python (nvidia-cublas, nvidia-cudnn-cu13, "
                  "nvidia-cuda-nvrtc).");
}

void* findFunction(void* library, const char* name) {
  void* address = dlsym(library, name);
  if (!address)
    throw Error(ErrorCode::unsupported, std::string(name) + " is missing in a library that was found: it is too old");
  return address;
}

}  // namespace heddle::cuda
