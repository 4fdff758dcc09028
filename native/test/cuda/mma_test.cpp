// Tensor cores as device/mma.h has them: a warp's product of blocks against plain sums, from rows and from columns of
// shared memory, and copies that are there when they have been waited for and not before.
#include "../emulation/cuda_runtime.h"
// After the built-ins, as in nvcc.
#include <cstring>
#include <random>

#include "../../core/element.h"
#include "../../cuda/device/mma.h"
#include "../cpu/kernel_test.h"
#include "../emulation/grid.h"
#include "mma_test.h"

namespace heddle::test {

namespace {

using emulation::runGrid;

/// 16 rows of 16 elements, each row 16 bytes longer than that.
constexpr int kStride = 24;

template <typename T>
T* sharedTiles() {
  return static_cast<T*>(emulation::dynamicShared());
}

/// sums [16][8] of one warp = left [16][16] right, where `right` is [16][8], or its transpose [8][16] where `byRows`.
template <typename T, bool byRows>
void multiply(const T* left, const T* right, float* sums) {
  T* a = sharedTiles<T>();
  T* b = a + 16 * kStride;
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 32; i += 32) cuda::copyAsync(a + i / 2 * kStride + i % 2 * 8, left + i * 8, true);
  const int columns = byRows ? 16 : 8;
  for (int i = lane; i < 16; i += 32) {
    const int row = i * 8 / columns, column = i * 8 % columns;
    cuda::copyAsync(b + row * kStride + column, right + i * 8, true);
  }
  cuda::waitForCopies();
  __syncwarp();
  unsigned leftWords[4], rightWords[4];
  cuda::loadMatrices<false>(leftWords, a + lane % 16 * kStride + lane / 16 * 8);
  // Of four matrices the second two are the first two again.
  if constexpr (byRows)
    cuda::loadMatrices<false>(rightWords, b + lane % 8 * kStride + lane / 8 % 2 * 8);
  else
    cuda::loadMatrices<true>(rightWords, b + lane % 16 * kStride);
  float mine[4] = {1, 1, 1, 1};
  cuda::multiplyAdd<T>(mine, leftWords, rightWords[0], rightWords[1]);
  cuda::multiplyAdd<T>(mine, leftWords, rightWords[2], rightWords[3]);
  for (int i = 0; i < 4; i++) sums[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = mine[i];
}

template <typename T>
void testProduct(const std::string& dtype) {
  std::mt19937 random(3);
  // Small integers: sums are exact in any order.
  const auto draw = [&] { return store<T>(static_cast<float>(static_cast<int>(random() % 17) - 8)); };
  T left[256], right[128], transposed[128];
  for (T& element : left) element = draw();
  for (T& element : right) element = draw();
  for (int k = 0; k < 16; k++)
    for (int n = 0; n < 8; n++) transposed[n * 16 + k] = right[k * 8 + n];
  float byColumns[128], byRows[128], expected[128];
  for (int m = 0; m < 16; m++)
    for (int n = 0; n < 8; n++) {
      float sum = 0;
      for (int k = 0; k < 16; k++) sum += load(left[m * 16 + k]) * load(right[k * 8 + n]);
      expected[m * 8 + n] = 1 + 2 * sum;
    }
  const size_t shared = 32 * kStride * sizeof(T);
  runGrid({1}, {32}, shared, [&] { multiply<T, false>(left, right, byColumns); });
  runGrid({1}, {32}, shared, [&] { multiply<T, true>(left, transposed, byRows); });
  expectTrue("mma " + dtype + " by columns", std::memcmp(byColumns, expected, sizeof expected) == 0);
  expectTrue("mma " + dtype + " by rows", std::memcmp(byRows, expected, sizeof expected) == 0);
}

template <typename T>
void testPairs(const std::string& dtype) {
  const float values[] = {0, -0.0f, 1, -2.5f, 3.14159274f, 65504, 1e-7f, 1e30f, INFINITY, -INFINITY};
  bool equal = true;
  for (float low : values)
    for (float high : values) {
      const unsigned word = cuda::packPair<T>(low, high);
      equal = equal && (word & 0xffffu) == store<T>(low).bits && word >> 16 == store<T>(high).bits;
    }
  expectTrue("pairs of " + dtype, equal);
}

void testCopies() {
  unsigned source[32 * 4];
  for (unsigned i = 0; i < 128; i++) source[i] = i + 1;
  bool early = false, late = true, zeros = true;
  runGrid({1}, {32}, 32 * 16, [&] {
    auto* shared = static_cast<unsigned*>(emulation::dynamicShared());
    const unsigned lane = threadIdx.x;
    cuda::copyAsync(shared + 4 * lane, source + 4 * lane, lane % 2 == 0);
    // What nobody has waited for is what was there before: the emulation's pattern.
    early = early || shared[4 * lane] != 0xffffffffu;
    cuda::waitForCopies();
    for (unsigned i = 4 * lane; i < 4 * lane + 4; i++) {
      if (lane % 2 == 0)
        late = late && shared[i] == i + 1;
      else
        zeros = zeros && shared[i] == 0;
    }
  });
  expectTrue("copies are not there before they are waited for", !early);
  expectTrue("copies are there then", late);
  expectTrue("copies of nothing are zeros", zeros);
}

}  // namespace

void testTensorCores() {
  testProduct<BFloat16>("bf16");
  testProduct<Float16>("f16");
  testPairs<BFloat16>("bf16");
  testPairs<Float16>("f16");
  testCopies();
}

}  // namespace heddle::test
