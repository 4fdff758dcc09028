// One chunk of Adam, SGD and the sum of squares; included once per instruction-set level.
// Results may be the very memory of their operands, element for element, which is what `ivdep` promises.

template <typename T>
void adamChunk(const AdamFactors<Compute<T>>& f, const T* param, const T* grad, const Compute<T>* m, const Compute<T>* v,
               T* paramOut, Compute<T>* mOut, Compute<T>* vOut, int64_t count) {
  typedef Compute<T> C;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; i++) {
    const C g = load(grad[i]) * f.gradScale + f.coupledDecay * load(param[i]);
    const C first = m[i] + (g - m[i]) * f.oneMinusBeta1;
    const C second = v[i] * f.beta2 + g * g * f.oneMinusBeta2;
    const C denominator = std::sqrt(second) * f.rootCorrection + f.eps;
    mOut[i] = first;
    vOut[i] = second;
    paramOut[i] = store<T>(load(param[i]) * f.keep - f.stepSize * first / denominator);
  }
}

/// `velocity` is null without momentum; at the first step it is not read.
template <typename T>
void sgdChunk(const SgdFactors<Compute<T>>& f, const T* param, const T* grad, const Compute<T>* velocity, T* paramOut,
              Compute<T>* velocityOut, int64_t count) {
  typedef Compute<T> C;
  if (!velocityOut) {
#pragma GCC ivdep
    for (int64_t i = 0; i < count; i++) {
      const C p = load(param[i]);
      paramOut[i] = store<T>(p - f.rate * (load(grad[i]) * f.gradScale + f.decay * p));
    }
    return;
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < count; i++) {
    const C p = load(param[i]);
    const C g = load(grad[i]) * f.gradScale + f.decay * p;
    const C now = f.first ? g : velocity[i] * f.momentum + g * f.gradShare;
    velocityOut[i] = now;
    paramOut[i] = store<T>(p - f.rate * (f.nesterov ? g + f.momentum * now : now));
  }
}

/// In f64, so that neither overflow nor rounding of f32 squares matters.
template <typename T>
double sumOfSquares(const T* x, int64_t count) {
  double lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int64_t j = 0; j < 16; j++) {
      const double value = static_cast<double>(load(x[i + j]));
      lanes[j] += value * value;
    }
  double sum = 0;
  for (; i < count; i++) sum += static_cast<double>(load(x[i])) * static_cast<double>(load(x[i]));
  for (int64_t j = 0; j < 16; j++) sum += lanes[j];
  return sum;
}
