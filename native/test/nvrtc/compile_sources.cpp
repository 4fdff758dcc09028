// Compiles generated sources by the real NVRTC as the CUDA backend does, for devices that need not be here.
//
//   compile-sources <capabilities, such as 75,90> <folder for cubins>   sources' paths on standard input, one a line
//
// Says of each source and capability one line, `<architecture> <source> <cubin>`, or `FAILED` in the cubin's place and
// NVRTC's words on standard error. Ends with 1 where one failed.
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "../../core/error.h"
#include "../../cuda/nvrtc.h"

namespace {

using heddle::cuda::Target;

std::vector<Target> targetsOf(const std::string& capabilities) {
  std::vector<Target> targets;
  std::stringstream list(capabilities);
  for (std::string text; std::getline(list, text, ',');) {
    const int capability = std::stoi(text);
    targets.push_back(Target::of(capability / 10, capability % 10));
  }
  return targets;
}

std::string contentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw heddle::Error(heddle::ErrorCode::internal, path + " can not be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string stemOf(const std::string& path) {
  const size_t start = path.rfind('/') + 1;
  return path.substr(start, path.rfind('.') - start);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: compile-sources <capabilities> <folder for cubins>\n");
    return 2;
  }
  try {
    const std::vector<Target> targets = targetsOf(arguments[1]);
    const std::string folder = arguments[2];
    std::vector<std::string> sources;
    for (std::string line; std::getline(std::cin, line);) sources.push_back(line);
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    std::mutex output;
    const auto work = [&] {
      for (size_t i; (i = next++) < sources.size() * targets.size();) {
        const std::string& source = sources[i / targets.size()];
        const Target& target = targets[i % targets.size()];
        std::string cubin = folder + "/" + stemOf(source) + "." + target.architecture + ".cubin", reason;
        try {
          const std::string code = heddle::cuda::compileSource(contentOf(source), target);
          std::ofstream(cubin, std::ios::binary) << code;
        } catch (const heddle::Error& error) {
          reason = error.what();
          cubin = "FAILED";
          failed = true;
        }
        const std::lock_guard lock(output);
        std::printf("%s %s %s\n", target.architecture.c_str(), source.c_str(), cubin.c_str());
        if (!reason.empty())
          std::fprintf(stderr, "%s for %s: %s\n", source.c_str(), target.architecture.c_str(), reason.c_str());
      }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); i++) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    return failed ? 1 : 0;
  } catch (const heddle::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
