// Times one case of a library called bare and prints it as JSON.
//   bare matmul TYPE M N K COPIES | bare softmax|softmaxGrad|layerNorm|layerNormGrad|rmsNorm|rmsNormGrad TYPE ROWS
//   COLUMNS COPIES
#include <cstdio>
#include <cstdlib>

#include "libraries.h"

namespace {

bare::Timing timingOf(const std::vector<std::string>& arguments) {
  const auto number = [&](size_t position) { return std::atoll(arguments.at(position).c_str()); };
  const std::string kind = arguments.at(0);
  const bare::Element element = bare::elementOf(arguments.at(1));
  const int copies = std::atoi(arguments.back().c_str());
  if (kind == "matmul") return bare::matmul(element, number(2), number(3), number(4), copies);
  const bool backward = kind.size() > 4 && kind.compare(kind.size() - 4, 4, "Grad") == 0;
  if (kind.rfind("softmax", 0) == 0) return bare::softmax(element, number(2), number(3), copies, backward);
  if (kind.rfind("layerNorm", 0) == 0 || kind.rfind("rmsNorm", 0) == 0)
    return bare::norm(element, number(2), number(3), copies, kind[0] == 'r', backward);
  throw std::runtime_error("there is no case " + kind);
}

}  // namespace

int main(int count, char** values) try {
  const bare::Timing timing = timingOf({values + 1, values + count});
  std::printf("{\"ms\": %.9g, \"leastMs\": %.9g, \"mostMs\": %.9g, \"runs\": %d, \"samples\": %d}\n", timing.ms,
              timing.leastMs, timing.mostMs, timing.runs, timing.samples);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
