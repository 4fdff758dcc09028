// A backend for tests of the core and the binding: kernels of a few lines that copy, fail, wait and write cells.
// Op names stand for behaviour here, whatever their kernels compute elsewhere:
// - take: y[i] = x[index[i]] of f32 by i32; an index out of range is an error.
// - concat: copies its f32 inputs, one behind the other.
// - sgd: adds f32 inputs[0] to outputs[0] element by element, in place.
// - pad: a step that takes `value` milliseconds, and whose kernel takes low[0] to make where it is given.
// - softmax: copies f32 by way of a workspace.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "../core/backend.h"

namespace heddle {

namespace {

class Take : public Kernel {
 public:
  Take(int64_t rows, int64_t count) : rows_(rows), count_(count) {}
  void run(const RunOperands& operands) override {
    const auto* x = static_cast<const float*>(operands.inputs[0]);
    const auto* index = static_cast<const int32_t*>(operands.inputs[1]);
    for (int64_t i = 0; i < count_; i++) {
      if (index[i] < 0 || index[i] >= rows_)
        throw Error(ErrorCode::invalidArgument, "take: index " + std::to_string(index[i]) + " is out of range");
      static_cast<float*>(operands.outputs[0])[i] = x[index[i]];
    }
  }

 private:
  int64_t rows_, count_;
};

class Concat : public Kernel {
 public:
  explicit Concat(Specs inputs) {
    for (const TensorSpec& input : inputs) bytes_.push_back(static_cast<size_t>(input.size()) * sizeof(float));
  }
  void run(const RunOperands& operands) override {
    auto* target = static_cast<char*>(operands.outputs[0]);
    for (size_t i = 0; i < bytes_.size(); target += bytes_[i++]) std::memcpy(target, operands.inputs[i], bytes_[i]);
  }

 private:
  std::vector<size_t> bytes_;
};

class Accumulate : public Kernel {
 public:
  explicit Accumulate(int64_t size) : size_(size) {}
  void run(const RunOperands& operands) override {
    for (int64_t i = 0; i < size_; i++)
      static_cast<float*>(operands.outputs[0])[i] += static_cast<const float*>(operands.inputs[0])[i];
  }

 private:
  int64_t size_;
};

class Wait : public Kernel {
 public:
  explicit Wait(double milliseconds) : time_(milliseconds) {}
  void run(const RunOperands&) override { std::this_thread::sleep_for(time_); }

 private:
  std::chrono::duration<double, std::milli> time_;
};

class CopyThroughWorkspace : public Kernel {
 public:
  explicit CopyThroughWorkspace(int64_t size) : bytes_(static_cast<size_t>(size) * sizeof(float)) {}
  size_t workspaceBytes() const override { return bytes_; }
  void run(const RunOperands& operands) override {
    std::memcpy(operands.workspace, operands.inputs[0], bytes_);
    std::memcpy(operands.outputs[0], operands.workspace, bytes_);
  }

 private:
  size_t bytes_;
};

void require(bool condition, const char* message) {
  if (!condition) throw Error(ErrorCode::invalidPlan, message);
}

class TestBackend : public HostBackend {
 public:
  TestBackend() {
    kernels_.add(OpId::take, [](WordReader& words, Specs inputs, Specs outputs) -> std::unique_ptr<Kernel> {
      TakeParams::read(words);
      require(inputs.size() == 2 && outputs.size() == 1, "take: expects x and index");
      return std::make_unique<Take>(inputs[0].size(), outputs[0].size());
    });
    kernels_.add(OpId::concat, [](WordReader& words, Specs inputs, Specs outputs) -> std::unique_ptr<Kernel> {
      ConcatParams::read(words);
      int64_t size = 0;
      for (const TensorSpec& input : inputs) size += input.size();
      require(outputs.size() == 1 && outputs[0].size() == size, "concat: sizes differ");
      return std::make_unique<Concat>(inputs);
    });
    kernels_.add(OpId::sgd, [](WordReader& words, Specs inputs, Specs outputs) -> std::unique_ptr<Kernel> {
      SgdParams::read(words);
      require(inputs.size() == 1 && outputs.size() == 1, "sgd: expects a gradient and a cell");
      return std::make_unique<Accumulate>(outputs[0].size());
    });
    kernels_.add(OpId::pad, [](WordReader& words, Specs, Specs) -> std::unique_ptr<Kernel> {
      const PadParams params = PadParams::read(words);
      if (!params.low.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(params.low[0]));
      return std::make_unique<Wait>(params.value);
    });
    kernels_.add(OpId::softmax, [](WordReader& words, Specs inputs, Specs) -> std::unique_ptr<Kernel> {
      SoftmaxParams::read(words);
      return std::make_unique<CopyThroughWorkspace>(inputs[0].size());
    });
  }

  DeviceDescription describe() const override { return {"test", "test", "none", threads_.load(), size_t{1} << 30}; }
  const KernelTable& kernels() const override { return kernels_; }
  Choices& choices() override { return choices_; }
  void* allocate(size_t bytes) noexcept override { return std::aligned_alloc(64, bytes); }
  void free(void* memory, size_t) noexcept override { std::free(memory); }
  void setThreads(int threads) override { threads_ = threads; }

 private:
  KernelTable kernels_;
  Choices choices_;
  std::atomic<int> threads_{1};
};

}  // namespace

}  // namespace heddle

extern "C" __attribute__((visibility("default"))) size_t heddle_backend_open(heddle::Backend** devices, size_t, char*,
                                                                             size_t) noexcept {
  devices[0] = new heddle::TestBackend;
  return 1;
}
