// Fused programs over many loop nests: orders of axes, broadcasts, reversals, reductions, stores in place; exact
// values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>

#include "families.h"
#include "fused_program.h"

namespace heddle::test {
namespace {

const DType kAll[] = {DType::f32, DType::f64, DType::bf16, DType::f16,  DType::i8,
                      DType::u8,  DType::i32, DType::i64,  DType::bool_};

class Walks {
 public:
  explicit Walks(uint32_t seed) : random_(seed), seed_(seed) {}

  void one() {
    const Shape extents = shape();
    std::vector<bool> reduced;
    const bool reduces = below(5) < 3;
    for (size_t axis = 0; axis < extents.size(); axis++) reduced.push_back(reduces && below(2) == 1);
    FusedProgram program(extents, reduced);
    Shape kept = extents;
    for (size_t axis = 0; axis < extents.size(); axis++) kept[axis] = reduced[axis] ? 1 : kept[axis];

    // Small whole numbers are exact in every dtype and so are the sums and products below.
    const DType work = below(2) == 0   ? DType::f32
                       : below(2) == 0 ? DType::i32
                       : below(2) == 0 ? DType::f64
                                       : DType::i64;
    std::vector<int> values;
    for (int64_t i = 0; i <= below(3); i++) {
      const int value = program.load(tensor(kAll[below(9)], extents, strides(extents, true)));
      values.push_back(program.dtypeOf(value) == work ? value : program.apply(Opcode::cast, work, {value}));
      if (below(8) == 0) raw(program, value, extents);
    }
    if (below(3) == 0) values.push_back(program.iota(work, 2, Shape(extents.size(), 1)));
    if (below(3) == 0) values.push_back(program.constant(work, 2));
    expand(program, work, values, 1 + below(5));
    if (below(3) > 0 || !reduces) output(program, values.back(), work, extents);
    if (reduces) {
      const Reduction kinds[] = {Reduction::sum, Reduction::max, Reduction::min};
      const int argument = values[static_cast<size_t>(below(static_cast<int64_t>(values.size())))];
      std::vector<int> after{program.reduce(work, kinds[below(3)], argument)};
      if (below(2) == 0 && sizeOf(extents) > 0) {
        Shape repeated = strides(kept, true);
        for (size_t axis = 0; axis < extents.size(); axis++) repeated[axis] = reduced[axis] ? 0 : repeated[axis];
        after.push_back(program.load(tensor(work, extents, repeated)));
        std::swap(after.front(), after.back());
      }
      const int result = after.back();
      if (below(2) == 0) output(program, result, work, kept);
      const int sum = program.apply(Opcode::add, work, {result, after.front()});
      output(program, sum, work, kept);
      if (below(3) == 0) output(program, program.apply(Opcode::cast, DType::f64, {sum}), DType::f64, kept);
    }
    program.run(2);
    const auto expected = program.expected();
    for (size_t i = 0; i < outputs_.size(); i++)
      expectExact("fused walk " + std::to_string(seed_) + " store " + std::to_string(i), *outputs_[i], expected[i]);
  }

 private:
  int64_t below(int64_t limit) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(limit)); }

  Shape shape() {
    Shape extents;
    const int64_t rank = below(5);
    const int64_t sizes[] = {1, 2, 3, 5, 8, 16, 33, 70};
    int64_t size = 1;
    for (int64_t axis = 0; axis < rank; axis++) {
      int64_t extent = below(25) == 0 ? 0 : sizes[below(8)];
      if (below(6) == 0) extent = 100 + below(2000);
      if (size * extent > 60000) extent = 2;
      size *= std::max<int64_t>(extent, 1);
      extents.push_back(extent);
    }
    return extents;
  }

  /// A permutation of gapless memory, with gaps, reversals and (for reading) repetitions now and then.
  Shape strides(const Shape& extents, bool repeats) {
    std::vector<size_t> order;
    for (size_t axis = 0; axis < extents.size(); axis++) order.push_back(axis);
    if (below(2) == 0) std::shuffle(order.begin(), order.end(), random_);
    Shape result(extents.size());
    int64_t step = below(6) == 0 ? 2 : 1;
    for (size_t i = order.size(); i-- > 0;) {
      const size_t axis = order[i];
      result[axis] = step * (below(12) == 0 ? -1 : 1);
      if (repeats && below(4) == 0)
        result[axis] = 0;
      else
        step *= std::max<int64_t>(extents[axis], 1);
      if (below(12) == 0) step += 3;
    }
    return result;
  }

  Tensor& tensor(DType dtype, const Shape& shape, const Shape& strides) {
    tensors_.push_back(std::make_unique<Tensor>(dtype, shape, strides, below(6) == 0 ? 1 + below(3) : 0));
    const bool isUnsigned = dtype == DType::u8 || dtype == DType::bool_;
    tensors_.back()->integers(static_cast<uint32_t>(random_()), isUnsigned ? 0 : -2, dtype == DType::bool_ ? 1 : 2);
    return *tensors_.back();
  }

  void expand(FusedProgram& program, DType work, std::vector<int>& values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
      const int a = values[static_cast<size_t>(below(static_cast<int64_t>(values.size())))];
      const int b = values[static_cast<size_t>(below(static_cast<int64_t>(values.size())))];
      const Opcode ops[] = {Opcode::add, Opcode::sub, Opcode::max, Opcode::min};
      if (below(5) == 0)
        values.push_back(program.apply(Opcode::where, work, {program.apply(Opcode::lt, DType::bool_, {a, b}), b, a}));
      else
        values.push_back(program.apply(ops[below(4)], work, {a, b}));
    }
  }

  void output(FusedProgram& program, int value, DType dtype, const Shape& shape) {
    outputs_.push_back(&tensor(dtype, shape, strides(shape, false)));
    program.store(value, *outputs_.back());
  }
  void raw(FusedProgram& program, int value, const Shape& extents) {
    output(program, value, program.dtypeOf(value), extents);
  }

  std::mt19937 random_;
  uint32_t seed_;
  std::vector<std::unique_ptr<Tensor>> tensors_;
  std::vector<Tensor*> outputs_;
};

/// y = 2x + z where y is x's memory, with the reduction of x beside it.
void inPlace() {
  for (const int64_t size : {5, 1000, 70000}) {
    Tensor x(DType::f32, {size}), z(DType::f32, {size}), total(DType::f32, {1});
    x.integers(1, -4, 4);
    z.integers(2, -4, 4);
    FusedProgram program({size}, {true});
    const int loaded = program.load(x);
    const int scaled = program.apply(Opcode::add, DType::f32, {loaded, loaded});
    const int sum = program.apply(Opcode::add, DType::f32, {scaled, program.load(z)});
    const int late = program.apply(Opcode::sub, DType::f32, {sum, loaded});
    program.store(program.apply(Opcode::add, DType::f32, {late, loaded}), x);
    program.store(program.reduce(DType::f32, Reduction::sum, loaded), total);
    const auto expected = program.expected();
    program.run();
    expectExact("fused in place, " + std::to_string(size), x, expected[0]);
    expectExact("fused in place, reduced, " + std::to_string(size), total, expected[1]);
  }
}

/// One value for each row and a count along it, where rows are about as long as a vector.
void shortRows() {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64})
    for (int64_t columns = 1; columns < 40; columns++) {
      const int64_t apart = columns % 3 == 0 ? 100 : 0;
      const Shape extents{37, columns};
      Tensor x(dtype, extents, {1, 0}), y(dtype, extents);
      x.integers(4, -9, 9);
      FusedProgram program(extents);
      program.store(program.apply(Opcode::add, dtype, {program.load(x), program.iota(dtype, 5, {apart, -3})}), y);
      program.run();
      expectExact(
          std::string("fused short rows ") + kDTypeNames[static_cast<int>(dtype)] + " " + std::to_string(columns), y,
          program.expected()[0]);
    }
}

/// Every second or third element of a row, of bytes and of wider elements.
void strided() {
  for (const DType dtype : {DType::f32, DType::f64, DType::i8, DType::u8, DType::bf16, DType::i64})
    for (const int64_t step : {2, 3})
      for (const int64_t columns : {1, 7, 16, 33, 300}) {
        const Shape extents{3, columns};
        Tensor x(dtype, extents, {step * columns + 1, step}), y(dtype, extents);
        x.integers(6, 0, 100);
        FusedProgram program(extents);
        const int loaded = program.load(x);
        program.store(program.apply(Opcode::max, dtype, {loaded, loaded}), y);
        program.run();
        expectExact(std::string("fused strided ") + kDTypeNames[static_cast<int>(dtype)] + " " +
                        std::to_string(columns) + " by " + std::to_string(step),
                    y, program.expected()[0]);
      }
}

/// Memory walked down its columns that goes to memory walked along its rows, with edges of every kind; the largest ones
/// go past the caches.
void transposed() {
  const auto check = [](DType dtype, const Shape& extents, int64_t gap, int64_t before) {
    Tensor x(dtype, extents, {1, extents[0] + gap}), y(dtype, extents, {extents[1] + gap, 1}, before);
    x.integers(13, 0, 100);
    FusedProgram program(extents);
    program.store(program.load(x), y);
    program.run();
    expectExact(std::string("fused transposed ") + kDTypeNames[static_cast<int>(dtype)] + " " +
                    std::to_string(extents[0]) + "x" + std::to_string(extents[1]) + " gap " + std::to_string(gap),
                y, program.expected()[0]);
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::bf16, DType::i8})
    for (const int64_t rows : {2, 15, 16, 33, 130, 300})
      for (const int64_t columns : {2, 7, 8, 16, 31, 129, 257})
        for (const int64_t gap : {0, 3}) {
          if (compilesPrograms() && (rows != 130 || gap != 3)) continue;
          check(dtype, {rows, columns}, gap, gap == 3 ? 1 : 0);
        }
  if (compilesPrograms()) return;
  check(DType::f32, {2050, 2064}, 0, 0);
  check(DType::f32, {2050, 2051}, 0, 0);
  check(DType::f32, {2050, 2064}, 0, 1);
  check(DType::f64, {1030, 2080}, 0, 0);
}

/// Sums of uniform numbers stay within the library's tolerance whatever the length and the direction.
void accuracy() {
  for (const Shape& extents :
       {Shape{1, 1000000}, Shape{100000, 8}, Shape{8, 100000}, Shape{1000, 1000}, Shape{33333, 3}}) {
    Tensor x(DType::f32, extents);
    x.random(7, 0, 1);
    for (int mask = 1; mask < 4; mask++) {
      const std::vector<bool> reduced{(mask & 1) != 0, (mask & 2) != 0};
      FusedProgram program(extents, reduced);
      Tensor y(DType::f32, {reduced[0] ? 1 : extents[0], reduced[1] ? 1 : extents[1]});
      program.store(program.reduce(DType::f32, Reduction::sum, program.load(x)), y);
      program.run();
      expectNear("fused sum " + std::to_string(extents[0]) + "x" + std::to_string(extents[1]) + " mask " +
                     std::to_string(mask),
                 y, program.expected()[0], {1.3e-6, 0});
    }
  }
}

/// Every number of columns up to what several rows are walked as one, and wider ones; a NaN stays in its column.
void columnReductions() {
  for (const DType dtype : {DType::f32, DType::f64})
    for (int64_t columns = 1; columns <= 75; columns += compilesPrograms() ? 37 : 1) {
      const int64_t wide = columns <= 70 ? columns : 250 + columns;  // and some beyond
      for (const int64_t rows : {int64_t{2}, 5 + columns % 4, int64_t{301}}) {
        Tensor x(dtype, {rows, wide});
        std::vector<double> values = x.integers(static_cast<uint32_t>(columns), -40, 40).values();
        values[static_cast<size_t>((rows - 1) * wide + wide / 2)] = std::nan("");
        values[static_cast<size_t>(wide / 3)] = std::nan("");
        x.assign(values);
        for (const Reduction kind : {Reduction::sum, Reduction::max, Reduction::min}) {
          FusedProgram program({rows, wide}, {true, false});
          Tensor y(dtype, {1, wide});
          program.store(program.reduce(dtype, kind, program.load(x)), y);
          program.run();
          expectExact("fused reduction " + std::to_string(static_cast<int>(kind)) + " of " + std::to_string(rows) +
                          " rows of " + std::to_string(wide) + " " + kDTypeNames[static_cast<int>(dtype)],
                      y, program.expected()[0]);
        }
      }
    }
}

/// Columns that take several tiles, of rows that follow one another, lie apart or run backwards; the special values of
/// a column reach its result and no other.
void wideColumnReductions() {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32})
    for (const int64_t columns : {511, 512, 2049, 5003})
      for (const int64_t rows : {1, 3, 8, 13, 150}) {
        if (compilesPrograms() ? columns != 2049 || rows != 13 : rows == 150 && columns > 2049) continue;
        for (const int64_t step : {columns, columns + 5, -columns}) {
          Tensor x(dtype, {rows, columns}, {step, 1});
          std::vector<double> values = x.integers(static_cast<uint32_t>(columns + rows), -40, 40).values();
          if (dtype != DType::i32)
            for (int64_t r = 0; r < rows; r++) {
              double* row = values.data() + r * columns;
              row[7] = -infinity;
              row[8] = infinity;
              row[9] = r == rows / 2 ? std::nan("") : row[9];
              row[columns - 1] = r % 2 == 0 ? -0.0 : 0.0;
              row[columns - 2] = r == 0 ? std::nan("") : infinity;
            }
          x.assign(values);
          for (const Reduction kind : {Reduction::sum, Reduction::max, Reduction::min}) {
            if (dtype == DType::bf16 && kind == Reduction::sum && rows > 3) continue;  // they round
            FusedProgram program({rows, columns}, {true, false});
            Tensor y(dtype, {1, columns}), twice(dtype, {1, columns});
            const int result = program.reduce(dtype, kind, program.load(x));
            program.store(result, y);
            program.store(program.apply(Opcode::add, dtype, {result, result}), twice);
            program.run();
            const std::string name = "fused reduction " + std::to_string(static_cast<int>(kind)) + " of " +
                                     std::to_string(rows) + " rows, " + std::to_string(step) + " apart, of " +
                                     std::to_string(columns) + " " + kDTypeNames[static_cast<int>(dtype)];
            const auto expected = program.expected();
            expectExact(name, y, expected[0]);
            expectExact(name + ", twice", twice, expected[1]);
          }
        }
      }
}

/// Integers of the whole range wrap in i32, where sums and products of bytes are taken, and are compared as they are.
void integerReductions() {
  const Shape extents{3, 5001};
  const std::pair<DType, std::pair<int64_t, int64_t>> ranges[] = {
      {DType::i8, {-128, 127}}, {DType::u8, {0, 255}}, {DType::i32, {INT32_MIN, INT32_MAX}}};
  for (const auto& [dtype, range] : ranges)
    for (const Reduction kind : {Reduction::sum, Reduction::prod, Reduction::max, Reduction::min}) {
      const bool extreme = kind == Reduction::max || kind == Reduction::min;
      const DType work = extreme ? dtype : DType::i32;
      Tensor x(dtype, extents), y(work, {3, 1});
      x.integers(11, range.first, range.second);
      std::vector<double> odd = x.values();  // products do not vanish
      for (double& value : odd) value = static_cast<double>(static_cast<int64_t>(value) | 1);
      x.assign(odd);
      FusedProgram program(extents, {false, true});
      const int loaded = program.load(x);
      program.store(program.reduce(work, kind, work == dtype ? loaded : program.apply(Opcode::cast, work, {loaded})),
                    y);
      program.run();
      expectExact(
          "fused reduction " + std::to_string(static_cast<int>(kind)) + " of " + kDTypeNames[static_cast<int>(dtype)],
          y, program.expected()[0]);
    }
}

void decodeErrors() {
  Tensor x(DType::f32, {4}), y(DType::f32, {4});
  const auto refuses = [&](const std::string& part, const Words& words) {
    Words params{static_cast<double>(words.size())};
    params.insert(params.end(), words.begin(), words.end());
    expectError("fused refuses: " + part, ErrorCode::invalidPlan, part,
                [&] { runOp(OpId::fused, params, {&x}, {&y}); });
  };
  const double load = static_cast<double>(Opcode::load), add = static_cast<double>(Opcode::add),
               reduce = static_cast<double>(Opcode::reduce), less = static_cast<double>(Opcode::lt);
  refuses("words end early", {1, 4, 0, 1, load, 0, 0});
  refuses("not computed before it", {1, 4, 0, 2, load, 0, 0, 1, add, 0, 2, 0, 1, 0});
  refuses("takes 2 operands, not 1", {1, 4, 0, 2, load, 0, 0, 1, add, 0, 1, 0, 0});
  refuses("reads input 1 of 1", {1, 4, 0, 1, load, 0, 1, 1, 1, 0, 0, 1});
  refuses("reaches beyond input 0", {1, 4, 0, 1, load, 0, 0, 2, 1, 0, 0, 1});
  refuses("reaches beyond output 0", {1, 4, 0, 1, load, 0, 0, 1, 1, 0, 0, -1});
  refuses("input 0 is f32, the program says f64", {1, 4, 0, 1, load, 1, 0, 1, 1, 0, 1, 1});
  refuses("gives bool", {1, 4, 0, 2, load, 0, 0, 1, less, 0, 2, 0, 0, 1, 1, 0, 1});
  refuses("second reduce", {1, 4, 1, 3, load, 0, 0, 1, reduce, 0, 0, 0, reduce, 0, 0, 1, 1, 2, 0, 0});
  refuses("stride on a reduced axis", {1, 4, 1, 2, load, 0, 0, 1, reduce, 0, 0, 0, 1, 1, 0, 1});
  refuses("is used after the reduce", {1, 4, 1, 3, load, 0, 0, 1, reduce, 0, 0, 0, add, 0, 2, 0, 1, 1, 2, 0, 0});
  refuses("an extent is negative", {1, -4, 0, 0, 0});
  refuses("stores 0 values, the step has 1 outputs", {1, 4, 0, 1, load, 0, 0, 1, 0});
  refuses("words are left", {1, 4, 0, 1, load, 0, 0, 1, 1, 0, 0, 1, 9});
  refuses("safe integer", {1, 0.5, 0, 0, 0});
}

}  // namespace

void testFusedWalks() {
  for (uint32_t seed = 1; seed <= (compilesPrograms() ? 300 : 1500); seed++) Walks(seed).one();
  inPlace();
  shortRows();
  strided();
  transposed();
  accuracy();
  columnReductions();
  wideColumnReductions();
  integerReductions();
  decodeErrors();
}

}  // namespace heddle::test
