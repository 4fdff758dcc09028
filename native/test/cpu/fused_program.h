// Builds fused programs for tests and evaluates them one coordinate at a time, in f64 and i64.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel_test.h"

namespace heddle::test {

/// An element of any dtype: floats in `real`, integers and bool in `whole`.
struct Scalar {
  double real = 0;
  int64_t whole = 0;
};

/// The opcode's meaning; `operand` is the arguments' dtype, `result` the instruction's. Floats are not rounded.
Scalar applyScalar(Opcode op, DType operand, DType result, const Scalar* args);

/// A program whose every load and store walks a tensor of its own, of the loop nest's shape.
class FusedProgram {
 public:
  explicit FusedProgram(Shape extents, std::vector<bool> reduced = {});

  int load(Tensor& tensor);
  int iota(DType dtype, int64_t start, const Shape& strides);
  int constant(DType dtype, double value);
  int reduce(DType dtype, Reduction kind, int arg);
  int apply(Opcode op, DType dtype, const std::vector<int>& args);
  int draw(Opcode op, DType dtype, int64_t offset, int seed, int counter, int index);
  void store(int value, Tensor& tensor);

  DType dtypeOf(int value) const { return nodes_[static_cast<size_t>(value)].dtype; }
  Words params() const;
  void run(int times = 1) const;
  /// What the stores should hold, in the order of their coordinates. Not for programs with draws.
  std::vector<std::vector<double>> expected() const;

 private:
  struct Node {
    Opcode op;
    DType dtype;
    Words words;  // after opcode and dtype
    std::vector<int> args;
    std::vector<double> values;  // load: one per coordinate
  };
  int add(Node node);
  void evaluate(int64_t coordinate, const Shape& index, const std::vector<Scalar>* reduced,
                std::vector<Scalar>& values) const;

  Shape extents_;
  std::vector<bool> reduced_;
  std::vector<Node> nodes_;
  std::vector<Tensor*> inputs_;
  struct Target {
    int value;
    Tensor* tensor;
    bool after;
  };
  std::vector<Target> stores_;
  std::vector<bool> after_;
  int reduce_ = -1;
};

}  // namespace heddle::test
