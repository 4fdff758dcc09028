// Random draws: Philox against Random123's known answers, uniforms bit for bit, normals against f64.
#include <cmath>
#include <cstdio>

#include "../../cpu/fused/loops/philox.h"
#include "families.h"
#include "fused_program.h"

namespace heddle::test {
namespace {

using fused::HEDDLE_LEVEL::philox;
using fused::HEDDLE_LEVEL::Words;

constexpr uint64_t join(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

void knownAnswers() {
  const auto check = [](const char* name, uint64_t low, uint64_t high, uint64_t key, const uint32_t(&expected)[4]) {
    const Words words = philox(low, key, high);
    bool same = true;
    for (int i = 0; i < 4; i++) same = same && words.word[i] == expected[i];
    expectTrue(std::string("philox ") + name, same);
  };
  check("zeros", 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  check("ones", ~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  check("digits of pi", join(0x243f6a88, 0x85a308d3), join(0x13198a2e, 0x03707344), join(0xa4093822, 0x299f31d0),
        {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

double uniformReference(DType dtype, uint64_t seed, uint64_t counter, int64_t index) {
  if (dtype == DType::f32)
    return (philox(counter + static_cast<uint64_t>(index / 4), seed).word[index % 4] >> 8) * 0x1p-24;
  const Words words = philox(counter + static_cast<uint64_t>(index / 2), seed);
  return ((words.word[2 * (index % 2)] >> 6) * 0x1p26 + (words.word[2 * (index % 2) + 1] >> 6)) * 0x1p-52;
}

double normalReference(DType dtype, uint64_t seed, uint64_t counter, int64_t index) {
  const int64_t even = index / 2 * 2;
  const long double u1 = 1 - uniformReference(dtype, seed, counter, even);
  const long double u2 = uniformReference(dtype, seed, counter, even + 1);
  const long double angle = 2 * 3.14159265358979323846264338327950288L * u2;
  return static_cast<double>(std::sqrt(-2 * std::log(u1)) * (index % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

/// Positions count up from `first` along both axes, or, `turned`, along the other order of the axes.
void draws(Opcode op, DType dtype, int64_t rows, int64_t columns, int64_t first, bool turned) {
  constexpr int64_t kSeed = 0x123456789abc, kCounter = 0xfffffff0, kOffset = 9;
  Tensor seed(DType::i64, {rows, columns}, {0, 0}), counter(DType::i64, {rows, columns}, {0, 0}),
      y(dtype, {rows, columns});
  seed.fill(static_cast<double>(kSeed));
  counter.fill(static_cast<double>(kCounter));
  FusedProgram program({rows, columns});
  const int s = program.load(seed), c = program.load(counter);
  const Shape strides = turned ? Shape{1, rows} : Shape{columns, 1};
  program.store(program.draw(op, dtype, kOffset, s, c, program.iota(DType::i64, first, strides)), y);
  program.run();
  std::vector<double> expected;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t k = 0; k < columns; k++) {
      const int64_t index = first + r * strides[0] + k * strides[1];
      expected.push_back(op == Opcode::uniform ? uniformReference(dtype, kSeed, kCounter + kOffset, index)
                                               : normalReference(dtype, kSeed, kCounter + kOffset, index));
    }
  // Four units of the last place. The reference's angle is exact to 2^-64, which is all that is left near a zero.
  const Tolerance normal = dtype == DType::f32 ? Tolerance{4 * 0x1p-23, 1e-18} : Tolerance{4 * 0x1p-52, 1e-17};
  expectNear(std::string("fused ") + (op == Opcode::uniform ? "uniform " : "normal ") +
                 kDTypeNames[static_cast<int>(dtype)] + " " + std::to_string(rows) + "x" + std::to_string(columns) +
                 (turned ? " turned" : ""),
             y, expected, op == Opcode::uniform ? Tolerance{0, 0} : normal);
}

}  // namespace

void testFusedDraws() {
  knownAnswers();
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Opcode op : {Opcode::uniform, Opcode::normal})
      for (const bool turned : {false, true}) {
        draws(op, dtype, 1, 1, 0, turned);
        draws(op, dtype, 3, 7, 5, turned);
        draws(op, dtype, 100, 1000, 2, turned);
      }
}

}  // namespace heddle::test
