// Bias and activation over rows of f32; included once per instruction-set level.

/// erf as an odd rational function of degree 13 over 8, clamped to [-4, 4] where it reaches 1 in f32.
HEDDLE_INLINE FloatVector erfVector(FloatVector x) {
  const FloatVector four = broadcast<FloatVector>(4.0f);
  FloatVector t = x < -four ? -four : x;
  t = t > four ? four : t;
  const FloatVector s = t * t;
  FloatVector p = broadcast<FloatVector>(-2.72614225801306e-10f);
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  FloatVector q = broadcast<FloatVector>(-1.45660718464996e-05f);
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return t * p / q;
}

HEDDLE_INLINE FloatVector sigmoidVector(FloatVector x) { return 1.0f / (1.0f + expOf(-x)); }

template <Activation kind>
HEDDLE_INLINE FloatVector activateVector(FloatVector x) {
  if constexpr (kind == Activation::relu) {
    return x <= 0.0f ? FloatVector{} : x;
  } else if constexpr (kind == Activation::gelu) {
    return 0.5f * x * (1.0f + erfVector(x * 0.70710678f));
  } else if constexpr (kind == Activation::geluTanh) {
    // 0.5 (1 + tanh u) = sigmoid(2u).
    return x * sigmoidVector(x * (1.5957691f + 0.071354814f * x * x));
  } else if constexpr (kind == Activation::sigmoid) {
    return sigmoidVector(x);
  } else if constexpr (kind == Activation::tanh) {
    return 2.0f * sigmoidVector(2.0f * x) - 1.0f;
  } else if constexpr (kind == Activation::silu) {
    return x * sigmoidVector(x);
  } else {
    return x;
  }
}

template <Activation kind>
void biasActivationRow(float* row, const float* bias, int64_t columns) {
  int64_t j = 0;
  for (; j + kLanes<float> <= columns; j += kLanes<float>) {
    FloatVector value = loadVector(row + j);
    if (bias) value += loadVector(bias + j);
    storeVector(row + j, activateVector<kind>(value));
  }
  if (j < columns) {
    FloatVector value = loadPart(row + j, columns - j);
    if (bias) value += loadPart(bias + j, columns - j);
    storePart(row + j, activateVector<kind>(value), columns - j);
  }
}
