// The bandwidth fused programs reach, beside a plain copy measured in the same run.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "families.h"
#include "fused_program.h"

namespace heddle::test {
namespace {

double copyBandwidth = 0;

void report(const char* what, double bytes, FusedProgram& program, std::vector<Tensor*> inputs,
            std::vector<Tensor*> outputs) {
  const double ms = timeOp(OpId::fused, program.params(), std::move(inputs), std::move(outputs));
  const double bandwidth = bytes / ms * 1e-6;
  std::printf("%-44s %9.3f ms %7.1f GB/s  %.2f of copy\n", what, ms, bandwidth, bandwidth / copyBandwidth);
}

}  // namespace

void timeFused() {
  constexpr int64_t kLarge = 16 << 20;
  Tensor a(DType::f32, {kLarge}), b(DType::f32, {kLarge}), c(DType::f32, {kLarge});
  a.fill(1);
  b.fill(2);
  c.fill(3);
  const double large = static_cast<double>(kLarge) * 4;
  {
    const float* from = static_cast<const float*>(a.data());
    float* to = static_cast<float*>(c.data());
    double best = 1e30;
    for (int i = 0; i < 12; i++) {
      const auto start = std::chrono::steady_clock::now();
#pragma omp parallel for schedule(static)
      for (int64_t j = 0; j < kLarge; j++) to[j] = from[j];
      best =
          std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    copyBandwidth = 2 * large / best * 1e-6;
    std::printf("%-44s %9.3f ms %7.1f GB/s\n", "plain parallel copy, 16M f32", best, copyBandwidth);
  }
  {
    FusedProgram program({kLarge});
    program.store(program.load(a), c);
    report("copy, 16M f32", 2 * large, program, {&a}, {&c});
  }
  {
    FusedProgram program({kLarge});
    program.store(program.apply(Opcode::add, DType::f32, {program.load(a), program.load(b)}), c);
    report("add, 16M f32", 3 * large, program, {&a, &b}, {&c});
  }
  {
    FusedProgram program({kLarge});
    program.store(program.apply(Opcode::exp, DType::f32, {program.load(a)}), c);
    report("exp, 16M f32", 2 * large, program, {&a}, {&c});
  }
  const auto small = [&](const char* what, Opcode op) {
    constexpr int64_t kSmall = 1 << 20;
    Tensor x(DType::f32, {kSmall}), y(DType::f32, {kSmall});
    x.random(1, -3, 3);
    FusedProgram program({kSmall});
    const int value = program.load(x);
    program.store(op == Opcode::load ? value : program.apply(op, DType::f32, {value}), y);
    report(what, kSmall * 8.0, program, {&x}, {&y});
  };
  small("copy, 1M f32", Opcode::load);
  small("tanh, 1M f32", Opcode::tanh);
  small("erf, 1M f32", Opcode::erf);
  small("log, 1M f32", Opcode::log);
  small("sigmoid, 1M f32", Opcode::sigmoid);
  small("sin, 1M f32", Opcode::sin);
  {
    constexpr int64_t kSmall = 1 << 20;
    Tensor x(DType::f32, {kSmall}), y(DType::f32, {kSmall});
    x.random(1, -3, 3);
    FusedProgram p({kSmall});
    const int v = p.load(x);
    const auto apply = [&](Opcode op, int left, int right) { return p.apply(op, DType::f32, {left, right}); };
    const int cube = apply(Opcode::mul, apply(Opcode::mul, v, v), v);
    const int inner = apply(Opcode::add, v, apply(Opcode::mul, cube, p.constant(DType::f32, 0.044715)));
    const int t = p.apply(Opcode::tanh, DType::f32, {apply(Opcode::mul, inner, p.constant(DType::f32, 0.7978845608))});
    const int half = apply(Opcode::mul, v, p.constant(DType::f32, 0.5));
    p.store(apply(Opcode::mul, half, apply(Opcode::add, t, p.constant(DType::f32, 1))), y);
    report("gelu by tanh, 1M f32", kSmall * 8.0, p, {&x}, {&y});
  }
  const auto reduction = [&](const char* what, Shape extents, std::vector<bool> reduced, bool exponent) {
    Tensor x(DType::f32, extents);
    x.random(1, -3, 3);
    Shape kept = extents;
    for (size_t axis = 0; axis < kept.size(); axis++) kept[axis] = reduced[axis] ? 1 : kept[axis];
    Tensor y(DType::f32, kept);
    FusedProgram program(extents, reduced);
    const int value = program.load(x);
    program.store(
        program.reduce(DType::f32, Reduction::sum, exponent ? program.apply(Opcode::exp, DType::f32, {value}) : value),
        y);
    report(what, static_cast<double>(sizeOf(extents)) * 4, program, {&x}, {&y});
  };
  reduction("row sum of exp, [4096,1024] f32", {4096, 1024}, {false, true}, true);
  reduction("row sum, [4096,4096] f32", {4096, 4096}, {false, true}, false);
  reduction("column sum, [1024,1024] f32", {1024, 1024}, {true, false}, false);
  reduction("column sum, [8192,2048] f32", {8192, 2048}, {true, false}, false);
  reduction("column sum, [100000,8] f32", {100000, 8}, {true, false}, false);
  reduction("row sum, [100000,8] f32", {100000, 8}, {false, true}, false);
  reduction("sum, 16M f32", {16 << 20}, {true}, false);
  {
    Tensor x(DType::f32, {4096, 4096}, {1, 4096}), y(DType::f32, {4096, 4096});
    x.fill(1);
    FusedProgram program({4096, 4096});
    program.store(program.load(x), y);
    report("transposing copy, [4096,4096] f32", 2 * large, program, {&x}, {&y});
  }
  {
    Tensor x(DType::f32, {4096, 1024}), bias(DType::f32, {4096, 1024}, {0, 1}), y(DType::f32, {4096, 1024});
    x.fill(1);
    bias.fill(1);
    FusedProgram program({4096, 1024});
    program.store(program.apply(Opcode::add, DType::f32, {program.load(x), program.load(bias)}), y);
    report("bias add, [4096,1024] f32", 4096.0 * 1024 * 8, program, {&x, &bias}, {&y});
  }
  {
    Tensor x(DType::bf16, {kLarge}), y(DType::bf16, {kLarge});
    x.fill(1);
    FusedProgram program({kLarge});
    const int value = program.load(x);
    program.store(program.apply(Opcode::add, DType::bf16, {value, value}), y);
    report("double, 16M bf16", large, program, {&x}, {&y});
  }
  for (const Opcode op : {Opcode::uniform, Opcode::normal}) {
    constexpr int64_t kSmall = 1 << 20;
    Tensor seed(DType::i64, {kSmall}, {0}), counter(DType::i64, {kSmall}, {0}), y(DType::f32, {kSmall});
    seed.fill(1);
    counter.fill(0);
    FusedProgram program({kSmall});
    const int s = program.load(seed), n = program.load(counter);
    program.store(program.draw(op, DType::f32, 0, s, n, program.iota(DType::i64, 0, {1})), y);
    report(op == Opcode::uniform ? "uniform, 1M f32" : "normal, 1M f32", kSmall * 4.0, program, {&seed, &counter},
           {&y});
  }
  {
    Tensor x(DType::f32, {4}), y(DType::f32, {4});
    x.fill(1);
    FusedProgram program({4});
    const int value = program.load(x);
    program.store(
        program.apply(Opcode::add, DType::f32, {value, program.apply(Opcode::mul, DType::f32, {value, value})}), y);
    report("x + x * x, 4 f32", 32, program, {&x}, {&y});
  }
}

}  // namespace heddle::test
