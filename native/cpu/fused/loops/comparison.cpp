// Comparison, logic and selection loops; bool is a 32-bit 0 or 1.
#include "apply.h"

namespace heddle::fused::HEDDLE_LEVEL {
namespace {

struct Equal {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a == b;
  }
};
struct NotEqual {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a != b;
  }
};
struct Less {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a < b;
  }
};
struct LessEqual {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a <= b;
  }
};
struct Greater {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a > b;
  }
};
struct GreaterEqual {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a, T b) {
    return a >= b;
  }
};
struct And {
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return a & b; }
};
struct Or {
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return a | b; }
};
struct Xor {
  HEDDLE_INLINE int32_t apply(int32_t a, int32_t b) { return a ^ b; }
};
struct Not {
  HEDDLE_INLINE int32_t apply(int32_t a) { return a ^ 1; }
};
struct IsNaN {
  template <typename T>
  HEDDLE_INLINE int32_t apply(T a) {
    return a != a;
  }
};
struct IsFinite {
  HEDDLE_INLINE int32_t apply(float a) { return (bitsOf(a) & 0x7fffffff) < 0x7f800000; }
  HEDDLE_INLINE int32_t apply(double a) { return (bitsOf(a) & INT64_MAX) < int64_t{0x7ff} << 52; }
};

template <typename F>
void compare(Loops& table, Opcode op) {
  addBinary<F, float, int32_t>(table, op, RegisterClass::f32);
  addBinary<F, double, int32_t>(table, op, RegisterClass::f64);
  addBinary<F, int32_t, int32_t>(table, op, RegisterClass::i32);
  addBinary<F, int64_t, int32_t>(table, op, RegisterClass::i64);
  addBinary<F, int32_t, int32_t>(table, op, RegisterClass::bool_);
}

template <typename T, int repeats>
void select(void* out, const void* condition, const void* a, const void* b, int64_t n) {
  T* y = static_cast<T*>(out);
  const int32_t* c = static_cast<const int32_t*>(condition);
  const T* x0 = static_cast<const T*>(a);
  const T* x1 = static_cast<const T*>(b);
  const int32_t choice = c[0];
  const T first = x0[0];
  const T second = x1[0];
#pragma GCC ivdep
#pragma GCC unroll kUnrolled
  for (int64_t i = 0; i < n; i++) {
    // Both sides are read before the choice, so that the loop has no branch.
    const T left = repeats & 2 ? first : x0[i];
    const T right = repeats & 4 ? second : x1[i];
    y[i] = (repeats & 1 ? choice : c[i]) ? left : right;
  }
}

template <typename T>
void addSelect(Compute* loops) {
  loops[0] = select<T, 0>;
  loops[1] = select<T, 1>;
  loops[2] = select<T, 2>;
  loops[3] = select<T, 3>;
  loops[4] = select<T, 4>;
  loops[5] = select<T, 5>;
  loops[6] = select<T, 6>;
  loops[7] = select<T, 7>;
}

}  // namespace

void addComparisons(Loops& table) {
  compare<Equal>(table, Opcode::eq);
  compare<NotEqual>(table, Opcode::ne);
  compare<Less>(table, Opcode::lt);
  compare<LessEqual>(table, Opcode::le);
  compare<Greater>(table, Opcode::gt);
  compare<GreaterEqual>(table, Opcode::ge);
  addBinary<And, int32_t, int32_t>(table, Opcode::and_, RegisterClass::bool_);
  addBinary<Or, int32_t, int32_t>(table, Opcode::or_, RegisterClass::bool_);
  addBinary<Xor, int32_t, int32_t>(table, Opcode::xor_, RegisterClass::bool_);
  addUnary<Not, int32_t, int32_t>(table, Opcode::not_, RegisterClass::bool_);
  addUnary<IsNaN, float, int32_t>(table, Opcode::isNaN, RegisterClass::f32);
  addUnary<IsNaN, double, int32_t>(table, Opcode::isNaN, RegisterClass::f64);
  addUnary<IsFinite, float, int32_t>(table, Opcode::isFinite, RegisterClass::f32);
  addUnary<IsFinite, double, int32_t>(table, Opcode::isFinite, RegisterClass::f64);
  addSelect<int32_t>(table.where[0]);
  addSelect<int64_t>(table.where[1]);
}

}  // namespace heddle::fused::HEDDLE_LEVEL
