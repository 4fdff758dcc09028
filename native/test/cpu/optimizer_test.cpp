// Adam, SGD and the global norm against PyTorch's formulas in f64, over several steps, in place and not.
#include <cmath>
#include <cstdio>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

const Shape kShapes[] = {{3}, {70, 50}, {}, {0}, {40000}};

struct State {
  std::vector<Tensor> params, grads, m, v;
};

State makeState(DType dtype) {
  const DType statistic = dtype == DType::f64 ? DType::f64 : DType::f32;
  State s;
  uint32_t seed = 1;
  for (const Shape& shape : kShapes) {
    s.params.emplace_back(dtype, shape).random(seed++);
    s.grads.emplace_back(dtype, shape);
    s.m.emplace_back(statistic, shape).fill(0);
    s.v.emplace_back(statistic, shape).fill(0);
  }
  return s;
}

std::vector<Tensor*> pointers(std::initializer_list<std::vector<Tensor>*> lists) {
  std::vector<Tensor*> result;
  for (auto* list : lists)
    for (Tensor& tensor : *list) result.push_back(&tensor);
  return result;
}

void checkAdam(DType dtype, bool decoupled, bool scaled, bool inPlace) {
  const double b1 = 0.9, b2 = 0.99, eps = 1e-8, decay = 0.1, rate = 0.01, scale = scaled ? 0.5 : 1;
  State s = makeState(dtype);
  Tensor lr(DType::f64, {}), step(DType::i64, {}), factor(DType::f64, {});
  lr.fill(0.01);
  factor.fill(0.5);
  const size_t count = s.params.size();
  for (int t = 1; t <= 3; t++) {
    step.fill(t);
    State out = s;
    std::vector<std::vector<double>> ep, em, ev;
    for (size_t i = 0; i < count; i++) {
      std::vector<double> p = s.params[i].values(), g = s.grads[i].random(uint32_t(t * 10) + uint32_t(i)).values();
      std::vector<double> m = s.m[i].values(), v = s.v[i].values();
      for (size_t j = 0; j < p.size(); j++) {
        double grad = g[j] * scale;
        if (decoupled)
          p[j] -= rate * decay * p[j];
        else
          grad += decay * p[j];
        m[j] = b1 * m[j] + (1 - b1) * grad;
        v[j] = b2 * v[j] + (1 - b2) * grad * grad;
        p[j] -= rate / (1 - std::pow(b1, t)) * m[j] / (std::sqrt(v[j] / (1 - std::pow(b2, t))) + eps);
      }
      ep.push_back(p);
      em.push_back(m);
      ev.push_back(v);
    }
    State& to = inPlace ? s : out;
    std::vector<Tensor*> inputs{&lr, &step};
    if (scaled) inputs.push_back(&factor);
    for (Tensor* tensor : pointers({&s.params, &s.grads, &s.m, &s.v})) inputs.push_back(tensor);
    runOp(OpId::adam, {double(count), b1, b2, eps, decay, double(decoupled), double(scaled), 0}, inputs,
          pointers({&to.params, &to.m, &to.v}));
    const std::string label = std::string("adam ") + kDTypeNames[int(dtype)] + " step " + std::to_string(t);
    for (size_t i = 0; i < count; i++) {
      expectNear(label + " p", to.params[i], ep[i]);
      expectNear(label + " m", to.m[i], em[i]);
      expectNear(label + " v", to.v[i], ev[i]);
    }
    if (!inPlace) {
      s.params = out.params;
      s.m = out.m;
      s.v = out.v;
    }
  }
}

void checkSgd(DType dtype, double momentum, bool nesterov) {
  const double rate = 0.1, decay = 0.01, dampening = nesterov ? 0 : 0.1;
  State s = makeState(dtype);
  Tensor lr(DType::f64, {}), step(DType::i64, {});
  lr.fill(0.1);
  const size_t count = s.params.size();
  for (int t = 1; t <= 3; t++) {
    step.fill(t);
    std::vector<std::vector<double>> ep, em;
    for (size_t i = 0; i < count; i++) {
      std::vector<double> p = s.params[i].values(), g = s.grads[i].random(uint32_t(t * 10) + uint32_t(i)).values();
      std::vector<double> b = s.m[i].values();
      for (size_t j = 0; j < p.size(); j++) {
        double grad = g[j] + decay * p[j];
        if (momentum != 0) {
          b[j] = t == 1 ? grad : momentum * b[j] + (1 - dampening) * grad;
          grad = nesterov ? grad + momentum * b[j] : b[j];
        }
        p[j] -= rate * grad;
      }
      ep.push_back(p);
      em.push_back(b);
    }
    std::vector<Tensor*> inputs{&lr, &step};
    std::vector<Tensor*> outputs = pointers({&s.params});
    for (Tensor* tensor : pointers({&s.params, &s.grads})) inputs.push_back(tensor);
    if (momentum != 0)
      for (Tensor& tensor : s.m) {
        inputs.push_back(&tensor);
        outputs.push_back(&tensor);
      }
    runOp(OpId::sgd, {double(count), momentum, dampening, double(nesterov), decay, 0, 0}, inputs, outputs);
    const std::string label = std::string("sgd ") + kDTypeNames[int(dtype)] + " step " + std::to_string(t);
    for (size_t i = 0; i < count; i++) {
      expectNear(label + " p", s.params[i], ep[i]);
      if (momentum != 0) expectNear(label + " velocity", s.m[i], em[i]);
    }
  }
}

/// Whatever the gradients are, a step that does not apply changes nothing; one that does is as if nothing had been
/// said.
void checkApplies(DType dtype, bool adam, bool inPlace) {
  State s = makeState(dtype);
  for (auto* list : {&s.m, &s.v})
    for (Tensor& tensor : *list) tensor.random(7, 0, 1);
  const State before = s;
  const double count = double(s.params.size());
  Tensor lr(DType::f64, {}), step(DType::i64, {}), scale(DType::f64, {}), applies(DType::bool_, {});
  lr.fill(0.1);
  step.fill(3);
  scale.fill(0.5);
  const auto run = [&](State& from, State& to, bool conditional) {
    std::vector<Tensor*> inputs{&lr, &step, &scale};
    if (conditional) inputs.push_back(&applies);
    for (Tensor* tensor : pointers({&from.params, &from.grads, &from.m})) inputs.push_back(tensor);
    std::vector<Tensor*> outputs = pointers({&to.params, &to.m});
    if (adam) {
      for (Tensor* tensor : pointers({&from.v})) inputs.push_back(tensor);
      for (Tensor* tensor : pointers({&to.v})) outputs.push_back(tensor);
      runOp(OpId::adam, {count, 0.9, 0.99, 1e-8, 0.1, 1, 1, double(conditional)}, inputs, outputs);
    } else {
      runOp(OpId::sgd, {count, 0.9, 0.1, 0, 0.1, 1, double(conditional)}, inputs, outputs);
    }
  };
  const auto expectSame = [&](const std::string& label, const State& found, const State& wanted) {
    for (size_t i = 0; i < found.params.size(); i++) {
      expectExact(label + " p", found.params[i], wanted.params[i].values());
      expectExact(label + " m", found.m[i], wanted.m[i].values());
      if (adam) expectExact(label + " v", found.v[i], wanted.v[i].values());
    }
  };
  State out = s;
  for (auto* list : {&out.params, &out.m, &out.v})
    for (Tensor& tensor : *list) tensor.fill(9);
  State& to = inPlace ? s : out;
  for (Tensor& tensor : s.grads) tensor.fill(INFINITY);
  applies.fill(0);
  run(s, to, true);
  expectSame("a step that does not apply", to, before);
  applies.fill(1);
  State conditional = before, plain = before;
  uint32_t seed = 50;
  for (size_t i = 0; i < plain.grads.size(); i++) {
    plain.grads[i].random(seed);
    conditional.grads[i].random(seed++);
  }
  run(conditional, conditional, true);
  run(plain, plain, false);
  expectSame("a step that applies", conditional, plain);
}

}  // namespace

void testOptimizers() {
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    for (bool decoupled : {false, true})
      for (bool scaled : {false, true})
        for (bool inPlace : {false, true}) checkAdam(dtype, decoupled, scaled, inPlace);
    for (bool adam : {false, true})
      for (bool inPlace : {false, true}) checkApplies(dtype, adam, inPlace);
    checkSgd(dtype, 0, false);
    checkSgd(dtype, 0.9, false);
    checkSgd(dtype, 0.9, true);
    State s = makeState(dtype);
    double sum = 0;
    for (Tensor& tensor : s.params)
      for (double value : tensor.values()) sum += value * value;
    Tensor norm(dtype == DType::f64 ? DType::f64 : DType::f32, {});
    runOp(OpId::globalNorm, {0}, pointers({&s.params}), {&norm});
    expectNear("globalNorm", norm, {std::sqrt(sum)});
  }
  Tensor norm(DType::f32, {}), large(DType::f32, {100});
  runOp(OpId::globalNorm, {0}, {&large.fill(1e30)}, {&norm});
  expectNear("globalNorm of large values", norm, {1e31});
  runOp(OpId::globalNorm, {0}, {}, {&norm});
  expectExact("globalNorm of nothing", norm, {0});
  Tensor wide(DType::f64, {});
  runOp(OpId::globalNorm, {1}, {&large.fill(3e38)}, {&wide});
  expectNear("globalNorm beyond f32", wide, {10 * large.values()[0]});
}

void timeOptimizers() {
  const Shape shape = {4096, 1024};
  Tensor p(DType::f32, shape), g(DType::f32, shape), m(DType::f32, shape), v(DType::f32, shape);
  Tensor lr(DType::f64, {}), step(DType::i64, {}), norm(DType::f32, {});
  p.random(1);
  g.random(2);
  m.fill(0);
  v.fill(0);
  lr.fill(1e-3);
  step.fill(1);
  const double ms =
      timeOp(OpId::adam, {1, 0.9, 0.999, 1e-8, 0.01, 1, 0, 0}, {&lr, &step, &p, &g, &m, &v}, {&p, &m, &v});
  std::printf("adam of 4M f32: %.3f ms, %.1f GB/s\n", ms, 28e-6 * double(sizeOf(shape)) / ms);
  const double n = timeOp(OpId::globalNorm, {0}, {&p}, {&norm});
  std::printf("globalNorm of 4M f32: %.3f ms, %.1f GB/s\n", n, 4e-6 * double(sizeOf(shape)) / n);
}

}  // namespace heddle::test
