// A small harness for kernel tests: tensors with free strides, running one op, comparing with f64 references.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../../core/kernel.h"

namespace heddle::test {

using Shape = std::vector<int64_t>;
using Words = std::vector<double>;

/// The kernels of the device under test, which works on the host's memory; every program has its own.
const KernelTable& kernelsUnderTest();
/// Waits for what kernels have queued.
void finishQueued();
/// Whether every fused program is compiled by a compiler of its own, so that tests should ask for few.
bool compilesPrograms();

/// Row-major strides of a shape.
Shape rowMajor(const Shape& shape);
/// Strides of memory whose axes lie in `order`, outermost first.
Shape ordered(const Shape& shape, const std::vector<size_t>& order);
/// N, spatial..., C in memory for a logical [N, C, spatial...].
Shape channelsLast(const Shape& shape);
int64_t sizeOf(const Shape& shape);

/// A tensor in memory of its own, read and written in logical row-major order as f64.
class Tensor {
 public:
  Tensor(DType dtype, Shape shape);
  /// `before` elements of its memory lie before the first one, so that it starts less aligned.
  Tensor(DType dtype, Shape shape, Shape strides, int64_t before = 0);

  Tensor& random(uint32_t seed, double low = -1, double high = 1);
  Tensor& integers(uint32_t seed, int64_t low, int64_t high);
  Tensor& fill(double value);
  Tensor& assign(const std::vector<double>& values);

  std::vector<double> values() const;
  const TensorSpec& spec() const { return spec_; }
  const std::vector<unsigned char>& bytes() const { return memory_; }
  void* data() { return memory_.data() + offset_; }

 private:
  void each(const std::function<void(int64_t index, unsigned char* element)>& visit) const;
  void write(unsigned char* element, double value) const;
  double read(const unsigned char* element) const;

  TensorSpec spec_;
  std::vector<unsigned char> memory_;
  int64_t offset_ = 0;
};

/// Makes the op's kernel and runs it `times` times, with workspace full of NaN bits.
void runOp(OpId op, const Words& params, std::vector<Tensor*> inputs, std::vector<Tensor*> outputs, int times = 1);
/// The fastest of some runs, in milliseconds.
double timeOp(OpId op, const Words& params, std::vector<Tensor*> inputs, std::vector<Tensor*> outputs);

struct Tolerance {
  double relative;
  double absolute;
};
/// The library's tolerances against an f64 reference.
Tolerance toleranceOf(DType dtype);

/// Records one comparison; reports the first differing element.
void expectNear(const std::string& label, const Tensor& actual, const std::vector<double>& expected,
                Tolerance tolerance);
void expectNear(const std::string& label, const Tensor& actual, const std::vector<double>& expected);
void expectExact(const std::string& label, const Tensor& actual, const std::vector<double>& expected);
void expectTrue(const std::string& label, bool condition);
/// The function must throw a heddle::Error with this code whose message contains `part`.
void expectError(const std::string& label, ErrorCode code, const std::string& part,
                 const std::function<void()>& function);

/// Walks every index of a shape in row-major order.
void forEachIndex(const Shape& shape, const std::function<void(const Shape& index)>& visit);

/// Prints the totals; the process's exit status.
int finish();

}  // namespace heddle::test
