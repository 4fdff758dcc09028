// The packed matmul by itself, whether or not it is the fastest: extents around every block's edge, strides, batches,
// bias, activations, and that the bits depend on neither the run nor the threads.
#include <omp.h>

#include <cstring>

#include "../../cpu/matmul.h"
#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

struct Case {
  DType dtype;
  Shape batchA, batchB;
  int64_t m, n, k;
  bool transposedA = false, transposedB = false, hasBias = false;
  Activation activation = Activation::none;
  int64_t gap = 0;  // elements between rows, or columns where transposed

  std::string label() const {
    const auto side = [](const Shape& batch, bool transposed) {
      std::string text = transposed ? "T" : "";
      for (int64_t extent : batch) text += " of " + std::to_string(extent);
      return text;
    };
    return "packed matmul " + std::string(kDTypeNames[static_cast<int>(dtype)]) + " " + std::to_string(m) + "x" +
           std::to_string(k) + side(batchA, transposedA) + " by " + std::to_string(k) + "x" + std::to_string(n) +
           side(batchB, transposedB) + (hasBias ? " bias" : "") + " activation " +
           std::to_string(static_cast<int>(activation)) + (gap ? " gap" : "");
  }
};

Tensor operand(DType dtype, Shape shape, int64_t rows, int64_t columns, bool transposed, int64_t gap) {
  const int64_t leading = (transposed ? rows : columns) + gap, matrix = leading * (transposed ? columns : rows);
  Shape strides(shape.size());
  int64_t step = matrix;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  shape.insert(shape.end(), {rows, columns});
  strides.insert(strides.end(), {transposed ? 1 : leading, transposed ? leading : 1});
  return Tensor(dtype, std::move(shape), std::move(strides));
}

/// The operands of a case, and its result by the packed kernel.
struct Trial {
  Tensor a, b, bias, out;

  static Shape outShape(const Case& c) {
    Shape shape = c.batchA.size() < c.batchB.size() ? c.batchB : c.batchA;
    const size_t shift = shape.size() - std::min(c.batchA.size(), c.batchB.size());
    const Shape& other = c.batchA.size() < c.batchB.size() ? c.batchA : c.batchB;
    for (size_t axis = 0; axis < other.size(); axis++) shape[shift + axis] = std::max(shape[shift + axis], other[axis]);
    shape.insert(shape.end(), {c.m, c.n});
    return shape;
  }

  explicit Trial(const Case& c)
      : a(operand(c.dtype, c.batchA, c.m, c.k, c.transposedA, c.gap)),
        b(operand(c.dtype, c.batchB, c.k, c.n, c.transposedB, c.gap)),
        bias(c.dtype, {c.n}),
        out(c.dtype, outShape(c)) {}

  void run(const Case& c, int times = 1) {
    const MatmulParams params{c.hasBias, c.activation};
    std::vector<TensorSpec> inputs{a.spec(), b.spec()};
    if (c.hasBias) inputs.push_back(bias.spec());
    const TensorSpec outputs[] = {out.spec()};
    const auto kernel = makeMatmulPacked(readMatmul(params, inputs, outputs));
    const size_t bytes = (kernel->workspaceBytes() + 63) / 64 * 64;
    const std::unique_ptr<void, decltype(&std::free)> workspace(std::aligned_alloc(64, bytes), &std::free);
    std::memset(workspace.get(), 0xff, bytes);
    const void* inputPointers[] = {a.data(), b.data(), bias.data()};
    void* outputPointers[] = {out.data()};
    for (int i = 0; i < times; i++) kernel->run({inputPointers, outputPointers, workspace.get()});
  }
};

/// Row-major matrices of one batch index, which repeats where the operand's extent is 1.
size_t matrixOf(const Shape& batch, const Shape& index) {
  const size_t shift = index.size() - batch.size();
  int64_t at = 0;
  for (size_t axis = 0; axis < batch.size(); axis++)
    at = at * batch[axis] + (batch[axis] == 1 ? 0 : index[shift + axis]);
  return static_cast<size_t>(at);
}

std::vector<double> expectedOf(const Case& c, const Trial& trial) {
  const std::vector<double> a = trial.a.values(), b = trial.b.values(), bias = trial.bias.values();
  const auto m = static_cast<size_t>(c.m), n = static_cast<size_t>(c.n), k = static_cast<size_t>(c.k);
  Shape batch = trial.out.spec().shape;
  batch.resize(batch.size() - 2);
  std::vector<double> expected;
  forEachIndex(batch, [&](const Shape& index) {
    const double* left = a.data() + matrixOf(c.batchA, index) * m * k;
    const double* right = b.data() + matrixOf(c.batchB, index) * k * n;
    for (size_t i = 0; i < m; i++) {
      std::vector<double> row(n);
      if (c.hasBias) row = bias;
      for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) row[j] += left[i * k + p] * right[p * n + j];
      for (double& value : row) expected.push_back(activate(c.activation, value));
    }
  });
  return expected;
}

/// With integers all sums are exact.
void check(const Case& c) {
  static uint32_t seed = 1000;
  Trial trial(c);
  trial.a.integers(seed++, -2, 2);
  trial.b.integers(seed++, -2, 2);
  trial.bias.integers(seed++, -3, 3);
  trial.run(c);
  const std::vector<double> expected = expectedOf(c, trial);
  if (c.activation == Activation::none || c.activation == Activation::relu)
    expectExact(c.label(), trial.out, expected);
  else
    expectNear(c.label(), trial.out, expected);
}

void checkBits(const Case& c) {
  Trial trial(c);
  trial.a.random(1);
  trial.b.random(2);
  trial.bias.random(3);
  const int threads = omp_get_max_threads();
  std::vector<unsigned char> first;
  for (int count : {1, 2, 3, 7}) {
    omp_set_num_threads(count);
    for (int times : {1, 2}) {
      trial.out.fill(-1);
      trial.run(c, times);
      if (first.empty()) first = trial.out.bytes();
      expectTrue(c.label() + " has the same bits with " + std::to_string(count) + " threads",
                 trial.out.bytes() == first);
    }
  }
  omp_set_num_threads(threads);
  expectNear(c.label() + " random", trial.out, expectedOf(c, trial), {1e-4, c.dtype == DType::f32 ? 2e-4 : 1e-12});
}

}  // namespace

void testMatmulPacked() {
  // Tiles are of 4, 6 or 14 rows and of 4, 8, 16 or 32 columns; the longest blocks of k are of 96 to 512.
  const int64_t depths[] = {95,  96,  97,  127, 128, 129, 215, 216, 217, 271,
                            272, 273, 383, 384, 385, 511, 512, 513, 545, 817};
  for (DType dtype : {DType::f32, DType::f64})
    for (int transposed = 0; transposed < 4; transposed++) {
      const bool a = transposed & 1, b = transposed & 2;
      for (int64_t m : {1, 3, 4, 5, 6, 7, 12, 13, 14, 15, 29})
        for (int64_t n : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65})
          for (int64_t k : {1, 7, 8, 9, 33}) check({dtype, {}, {}, m, n, k, a, b, m % 2 == 0, Activation::none, n % 3});
      for (int64_t k : depths) {
        check({dtype, {}, {}, 13, 37, k, a, b});
        check({dtype, {}, {}, 37, 13, k, a, b, true, Activation::relu, 5});
      }
      // Blocks of rows, blocks of columns, and few rows, where b is packed as it is used.
      for (int64_t m : {71, 72, 73, 119, 120, 121, 128, 255, 256, 257, 300})
        for (int64_t n : {40, 223, 224, 225, 255, 256, 257, 310})
          if (a == b) check({dtype, {}, {}, m, n, 20, a, b, true});
      for (int64_t n : {511, 512, 513, 1040}) check({dtype, {}, {}, 9, n, 300, a, b});
      // More of k than a group of blocks, with either side packed for all.
      check({dtype, {}, {}, 20, 50, 5000, a, b});
      check({dtype, {}, {}, 50, 20, 5000, a, b});
      if (a == b) check({dtype, {}, {}, 260, 530, 4200, a, b, true});
      // Batches: shared or a matrix per thread, repeating on either side.
      for (const Shape& batch : {Shape{2}, Shape{3, 2}, Shape{40}})
        for (int64_t m : {5, 70}) {
          check({dtype, batch, batch, m, 21, 40, a, b, true});
          check({dtype, batch, {1}, m, 21, 40, a, b, false, Activation::relu, 3});
          check({dtype, {}, batch, m, 21, 40, a, b});
        }
      check({dtype, {2, 1, 3}, {4, 1}, 17, 18, 19, a, b, true});
      check({dtype, {9}, {9}, 3, 530, 1100, a, b});
      check({dtype, {3}, {3}, 150, 260, 300, a, b, true});
      for (int kind = 1; kind < static_cast<int>(Activation::count); kind++)
        for (bool bias : {false, true}) check({dtype, {}, {}, 70, 50, 40, a, b, bias, static_cast<Activation>(kind)});
      checkBits({dtype, {}, {}, 301, 213, 700, a, b, true, Activation::gelu});
      checkBits({dtype, {}, {}, 60, 900, 600, a, b, true, Activation::tanh});
      checkBits({dtype, {}, {}, 130, 40, 2500, a, b});
      checkBits({dtype, {24}, {24}, 130, 33, 90, a, b});
    }
}

}  // namespace heddle::test
