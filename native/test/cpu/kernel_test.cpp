// The harness of the kernel tests.
#include "kernel_test.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "../../core/check.h"
#include "../../core/element.h"

namespace heddle::test {
namespace {

int passed = 0;
int failed = 0;

void record(const std::string& label, bool good, const std::string& detail) {
  if (good) {
    passed++;
    return;
  }
  failed++;
  std::printf("FAILED %s: %s\n", label.c_str(), detail.c_str());
}

struct Prepared {
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<void, decltype(&std::free)> workspace{nullptr, &std::free};
  std::vector<const void*> inputs;
  std::vector<void*> outputs;

  void run() {
    kernel->run({inputs, outputs, workspace.get()});
    finishQueued();
  }
};

Prepared prepare(OpId op, const Words& params, const std::vector<Tensor*>& inputs,
                 const std::vector<Tensor*>& outputs) {
  const KernelFactory factory = kernelsUnderTest().find(op);
  if (!factory) throw Error(ErrorCode::unsupported, "the table has no such kernel");
  std::vector<TensorSpec> inputSpecs, outputSpecs;
  Prepared prepared;
  for (Tensor* tensor : inputs) {
    inputSpecs.push_back(tensor->spec());
    prepared.inputs.push_back(tensor->data());
  }
  for (Tensor* tensor : outputs) {
    outputSpecs.push_back(tensor->spec());
    prepared.outputs.push_back(tensor->data());
  }
  WordReader reader(params);
  prepared.kernel = factory(reader, inputSpecs, outputSpecs);
  if (!reader.done()) throw Error(ErrorCode::invalidPlan, "parameters were left unread");
  prepared.kernel->complete();
  const size_t bytes = (prepared.kernel->workspaceBytes() + 127) / 64 * 64;
  prepared.workspace.reset(std::aligned_alloc(64, bytes));
  std::memset(prepared.workspace.get(), 0xff, bytes);
  return prepared;
}

}  // namespace

Shape rowMajor(const Shape& shape) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0; step *= shape[axis]) strides[axis] = step;
  return strides;
}

Shape ordered(const Shape& shape, const std::vector<size_t>& order) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0; step *= shape[order[i]]) strides[order[i]] = step;
  return strides;
}

Shape channelsLast(const Shape& shape) {
  std::vector<size_t> order{0};
  for (size_t axis = 2; axis < shape.size(); axis++) order.push_back(axis);
  order.push_back(1);
  return ordered(shape, order);
}

int64_t sizeOf(const Shape& shape) { return product(shape); }

Tensor::Tensor(DType dtype, Shape shape) : Tensor(dtype, shape, rowMajor(shape)) {}

Tensor::Tensor(DType dtype, Shape shape, Shape strides, int64_t before)
    : spec_{dtype, std::move(shape), std::move(strides)} {
  int64_t low = 0, high = 0;
  for (size_t axis = 0; axis < spec_.shape.size(); axis++) {
    const int64_t reach = std::max<int64_t>(spec_.shape[axis] - 1, 0) * spec_.strides[axis];
    (reach < 0 ? low : high) += reach;
  }
  offset_ = (before - low) * bytesOf(dtype);
  memory_.resize(static_cast<size_t>((before + high - low + 1) * bytesOf(dtype)), 0xcd);
  const auto address = reinterpret_cast<uintptr_t>(data());
  spec_.alignment = static_cast<int64_t>(std::min<uintptr_t>(address & -address, 64));
}

void Tensor::each(const std::function<void(int64_t, unsigned char*)>& visit) const {
  int64_t count = 0;
  forEachIndex(spec_.shape, [&](const Shape& index) {
    int64_t position = 0;
    for (size_t axis = 0; axis < index.size(); axis++) position += index[axis] * spec_.strides[axis];
    visit(count++, const_cast<unsigned char*>(memory_.data()) + offset_ + position * bytesOf(spec_.dtype));
  });
}

void Tensor::write(unsigned char* element, double value) const {
  dispatchAny("test", spec_.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T stored = store<T>(static_cast<Compute<T>>(value));
    std::memcpy(element, &stored, sizeof(T));
  });
}

double Tensor::read(const unsigned char* element) const {
  return dispatchAny("test", spec_.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T stored;
    std::memcpy(&stored, element, sizeof(T));
    return static_cast<double>(load(stored));
  });
}

Tensor& Tensor::random(uint32_t seed, double low, double high) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> distribution(low, high);
  each([&](int64_t, unsigned char* element) { write(element, distribution(generator)); });
  return *this;
}

Tensor& Tensor::integers(uint32_t seed, int64_t low, int64_t high) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int64_t> distribution(low, high);
  each([&](int64_t, unsigned char* element) { write(element, static_cast<double>(distribution(generator))); });
  return *this;
}

Tensor& Tensor::fill(double value) {
  each([&](int64_t, unsigned char* element) { write(element, value); });
  return *this;
}

Tensor& Tensor::assign(const std::vector<double>& values) {
  each([&](int64_t i, unsigned char* element) { write(element, values[static_cast<size_t>(i)]); });
  return *this;
}

std::vector<double> Tensor::values() const {
  std::vector<double> values;
  each([&](int64_t, unsigned char* element) { values.push_back(read(element)); });
  return values;
}

void runOp(OpId op, const Words& params, std::vector<Tensor*> inputs, std::vector<Tensor*> outputs, int times) {
  Prepared prepared = prepare(op, params, inputs, outputs);
  for (int i = 0; i < times; i++) prepared.run();
}

double timeOp(OpId op, const Words& params, std::vector<Tensor*> inputs, std::vector<Tensor*> outputs) {
  using Clock = std::chrono::steady_clock;
  Prepared prepared = prepare(op, params, inputs, outputs);
  double best = 1e30, spent = 0;
  for (int i = 0; i < 200 && (i < 5 || spent < 300); i++) {
    const auto start = Clock::now();
    prepared.run();
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    best = std::min(best, ms);
    spent += ms;
  }
  return best;
}

Tolerance toleranceOf(DType dtype) {
  switch (dtype) {
    case DType::f64: return {1e-7, 1e-7};
    case DType::f32: return {1.3e-6, 1e-5};
    case DType::f16: return {1e-3, 1e-5};
    case DType::bf16: return {1.6e-2, 1e-5};
    default: return {0, 0};
  }
}

void expectNear(const std::string& label, const Tensor& actual, const std::vector<double>& expected,
                Tolerance tolerance) {
  const std::vector<double> values = actual.values();
  if (values.size() != expected.size()) {
    record(label, false, "the reference has another size");
    return;
  }
  for (size_t i = 0; i < values.size(); i++) {
    if (std::isnan(values[i]) && std::isnan(expected[i])) continue;
    if (values[i] == expected[i]) continue;
    const double allowed = tolerance.absolute + tolerance.relative * std::fabs(expected[i]);
    if (std::fabs(values[i] - expected[i]) <= allowed) continue;
    char text[160];
    std::snprintf(text, sizeof text, "element %zu of %zu is %.9g, expected %.9g", i, values.size(), values[i],
                  expected[i]);
    record(label, false, text);
    return;
  }
  record(label, true, "");
}

void expectNear(const std::string& label, const Tensor& actual, const std::vector<double>& expected) {
  expectNear(label, actual, expected, toleranceOf(actual.spec().dtype));
}

void expectExact(const std::string& label, const Tensor& actual, const std::vector<double>& expected) {
  expectNear(label, actual, expected, {0, 0});
}

void expectTrue(const std::string& label, bool condition) { record(label, condition, "is not so"); }

void expectError(const std::string& label, ErrorCode code, const std::string& part,
                 const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    const bool good = error.code == code && std::string(error.what()).find(part) != std::string::npos;
    record(label, good, std::string("threw \"") + error.what() + "\"");
    return;
  }
  record(label, false, "threw nothing");
}

void forEachIndex(const Shape& shape, const std::function<void(const Shape&)>& visit) {
  if (sizeOf(shape) == 0) return;
  Shape index(shape.size(), 0);
  for (;;) {
    visit(index);
    size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

int finish() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace heddle::test
