// Runs the kernel tests of every family, or of those that are named. `--backend <library>` runs them on that backend;
// `time` times the target cases of each family instead.
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "families.h"
#include "kernel_test.h"

int main(int count, char** arguments) try {
  using namespace heddle::test;
  const std::pair<const char*, void (*)()> families[] = {
      {"fusedWalks", testFusedWalks}, {"fusedOps", testFusedOps},   {"fusedDraws", testFusedDraws},
      {"matmul", testMatmul},         {"attention", testAttention}, {"conv", testConv},
      {"softmax", testSoftmax},       {"layerNorm", testLayerNorm}, {"optimizers", testOptimizers},
      {"indexing", testIndexing},     {"movement", testMovement},   {"pooling", testPooling},
      {"batchNorm", testBatchNorm},
  };
  std::vector<std::string> wanted(arguments + 1, arguments + count);
  if (wanted.size() > 1 && wanted[0] == "--backend") {
    useBackend(wanted[1]);
    wanted.erase(wanted.begin(), wanted.begin() + 2);
  }
  if (!wanted.empty() && wanted[0] == "time") {
    timeFused();
    timeMatmul();
    timeAttention();
    timeConv();
    timeSoftmax();
    timeLayerNorm();
    timeOptimizers();
    timePooling();
    timeBatchNorm();
    return 0;
  }
  for (const std::string& name : wanted) {
    bool known = false;
    for (const auto& family : families) known = known || name == family.first;
    if (!known) {
      std::fprintf(stderr, "there is no family %s\n", name.c_str());
      return 2;
    }
  }
  for (const auto& [name, test] : families) {
    bool chosen = wanted.empty();
    for (const std::string& other : wanted) chosen = chosen || other == name;
    if (chosen) test();
  }
  return finish();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 2;
}
