// What every kernel asks of its operands before it is made, said in sentences.
#pragma once

#include <string>

#include "element.h"
#include "kernel.h"

namespace heddle {

inline std::string formatList(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); i++) {
    if (i) text += ",";
    text += std::to_string(values[i]);
  }
  return text += "]";
}

inline std::string formatSpecs(Specs specs) {
  std::string text;
  for (size_t i = 0; i < specs.size(); i++) {
    if (i) text += ", ";
    text += nameOf(specs[i].dtype);
    text += formatList(specs[i].shape);
  }
  return text;
}

/// Throws invalidPlan naming the op and the operands unless `condition` holds.
inline void expect(bool condition, const char* op, const std::string& expected, Specs inputs, Specs outputs) {
  if (condition) return;
  throw Error(ErrorCode::invalidPlan, std::string(op) + ": expected " + expected + ", but got inputs " +
                                          formatSpecs(inputs) + " and outputs " + formatSpecs(outputs));
}

inline void expectCount(const char* op, Specs inputs, size_t inputCount, Specs outputs, size_t outputCount) {
  expect(inputs.size() == inputCount && outputs.size() == outputCount, op,
         std::to_string(inputCount) + " inputs and " + std::to_string(outputCount) + " outputs", inputs, outputs);
}

inline void expectContiguous(const char* op, Specs inputs, Specs outputs) {
  for (const TensorSpec& spec : inputs) expect(spec.contiguous(), op, "contiguous inputs", inputs, outputs);
  for (const TensorSpec& spec : outputs) expect(spec.contiguous(), op, "contiguous outputs", inputs, outputs);
}

inline int64_t product(std::span<const int64_t> extents) {
  int64_t size = 1;
  for (int64_t extent : extents) size *= extent;
  return size;
}

}  // namespace heddle
