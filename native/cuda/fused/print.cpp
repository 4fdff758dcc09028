// A kernel's text is its walk (which coordinates a thread takes) around the program's text at a coordinate (body.h).
#include "print.h"

#include <algorithm>

#include "../../core/element.h"
#include "body.h"
#include "device_sources.gen.h"
#include "expression.h"
#include "text.h"

namespace heddle::cuda {
namespace {

class Printer {
 public:
  Printer(const Program& program, const Schedule& schedule, bool guarded, Source& source)
      : program_(program), schedule_(schedule), guarded_(guarded), source_(source), body_(program, schedule, text_) {
    if (program.reduce >= 0) {
      const Instruction& reduce = program.instructions[static_cast<size_t>(program.reduce)];
      accumulator_ = accumulatorType(reduce.dtype);
      combine_ = combination(reduce.reduction);
      identity_ = identityOf(reduce.reduction, reduce.dtype);
    }
  }

  void print() {
    text_.line("struct Operands {");
    text_.line("  const void* inputs[" + std::to_string(source_.inputs) + "];");
    text_.line("  void* outputs[" + std::to_string(source_.outputs) + "];");
    text_.line("  void* workspace;");
    text_.line("  const int* finding;");
    text_.line("};");
    text_.line(std::string("using Index = ") + (schedule_.wide ? "long long" : "int") + ";");
    text_.line(std::string("using Count = ") + (schedule_.wide ? "unsigned long long" : "unsigned") + ";");
    const bool parts = schedule_.parts > 1 || schedule_.reducedCount == 0;
    const bool reduces = schedule_.kind == Schedule::Kind::rows || schedule_.kind == Schedule::Kind::columns;
    if (schedule_.kind == Schedule::Kind::elements)
      elements();
    else if (schedule_.kind == Schedule::Kind::turned)
      turned();
    else if (schedule_.reducedCount > 0)
      schedule_.kind == Schedule::Kind::rows ? rows() : columns();
    if (reduces && parts) finish();
    source_.text = text_.string();
  }

 private:
  std::string count(int64_t value) const { return std::to_string(value) + (schedule_.wide ? "ull" : "u"); }

  void openKernel(const char* name, unsigned threads, int64_t tiles) {
    text_.line("");
    text_.open("extern \"C\" __global__ void __launch_bounds__(" + std::to_string(threads) + ") " + name +
               "(const Operands operands)");
    if (guarded_) text_.line("if (*operands.finding != 0) return;");
    source_.stages.push_back({name, tiles, threads});
  }

  /// The block's position among the tiles, which lies on the grid's stride.
  void openTiles(int64_t tiles) {
    text_.open("for (Count tile = blockIdx.x; tile < " + count(tiles) + "; tile += gridDim.x)");
  }

  void elements() {
    const std::string threads = count(schedule_.threads);
    openKernel("fused", schedule_.threads, schedule_.tiles());
    body_.start({&schedule_.after});
    text_.open("for (Count i = blockIdx.x * " + threads + " + threadIdx.x; i < " + count(schedule_.packs()) +
               "; i += gridDim.x * " + threads + ")");
    body_.coordinates(Side::kept, "i", schedule_.pack);
    body_.evaluate(schedule_.after, schedule_.pack, "");
    text_.close();
    text_.close();
  }

  /// Turned loads come in with neighbouring threads along the second axis, and leave the tile along the first.
  void turned() {
    const int64_t size = schedule_.tile[0] * schedule_.tile[1];
    const std::string first = count(schedule_.tile[0]), second = count(schedule_.tile[1]);
    const Axis &along = schedule_.kept[0], &across = schedule_.kept[1];
    openKernel("fused", schedule_.threads, schedule_.tiles());
    body_.start({&schedule_.after});
    for (size_t i = 0; i < program_.instructions.size(); i++) {
      if (!schedule_.turned[i] || !schedule_.after.needed[i]) continue;
      const DType dtype = program_.instructions[i].dtype;
      text_.line(std::string("__shared__ ") + memoryType(dtype) + " tile" + std::to_string(i) + "[" +
                 std::to_string(schedule_.tile[0]) + "][" + std::to_string(schedule_.tileStride(bytesOf(dtype))) +
                 "];");
    }
    openTiles(schedule_.tiles());
    const std::string tiles0 = count((along.extent + schedule_.tile[0] - 1) / schedule_.tile[0]);
    const std::string tiles1 = count((across.extent + schedule_.tile[1] - 1) / schedule_.tile[1]);
    text_.line("const Count first = tile % " + tiles0 + " * " + first + ";");
    text_.line("const Count second = tile / " + tiles0 + " % " + tiles1 + " * " + second + ";");
    body_.coordinates(Side::kept, "tile / " + tiles0 + " / " + tiles1, 1, 2);
    const auto openElements = [&](const std::string& x, const std::string& y) {
      text_.line("#pragma unroll 4");
      text_.open("for (Count i = threadIdx.x; i < " + count(size) + "; i += " + count(schedule_.threads) + ")");
      text_.line("const Count x = " + x + ", y = " + y + ";");
      text_.line("const Index k0 = static_cast<Index>(first + x), k1 = static_cast<Index>(second + y);");
      std::string inside;
      if (along.extent % schedule_.tile[0] != 0) inside = "k0 < " + std::to_string(along.extent);
      if (across.extent % schedule_.tile[1] != 0)
        inside += (inside.empty() ? "k1 < " : " && k1 < ") + std::to_string(across.extent);
      text_.open(inside.empty() ? "" : "if (" + inside + ")");
    };
    openElements("i / " + second, "i % " + second);
    body_.fill();
    text_.close();
    text_.close();
    text_.line("__syncthreads();");
    openElements("i % " + first, "i / " + first);
    body_.evaluate(schedule_.after, 1, "");
    text_.close();
    text_.close();
    text_.line("__syncthreads();");
    text_.close();
    text_.close();
  }

  void rows() {
    const unsigned lanes = schedule_.lanes, threads = schedule_.threads, groups = threads / lanes;
    const bool block = lanes > 32;
    openKernel("fused", threads, schedule_.tiles());
    body_.start({&schedule_.before, schedule_.parts > 1 ? nullptr : &schedule_.after});
    if (block) text_.line(std::string("__shared__ ") + accumulator_ + " scratch[32];");
    openTiles(schedule_.tiles());
    std::string first = count(0), end = count(schedule_.packs());
    if (schedule_.parts > 1) {
      text_.line("const Count row = tile / " + count(schedule_.parts) + ";");
      part(schedule_.packs());
      first = "begin";
      end = "end";
    } else if (groups > 1) {
      text_.line("const Count row = tile * " + count(groups) + " + threadIdx.x / " + count(lanes) + ";");
    } else {
      text_.line("const Count row = tile;");
    }
    openAccumulators(schedule_.pack);
    // Threads beyond the last row still take part in the warp's exchange.
    const bool ragged = groups > 1 && schedule_.keptCount % groups != 0;
    if (ragged) text_.open("if (row < " + count(schedule_.keptCount) + ")");
    body_.coordinates(Side::kept, "row", 1);
    const std::string lane = groups > 1 ? "threadIdx.x % " + count(lanes) : "threadIdx.x";
    reduceOver(first + " + " + lane, end, lanes);
    if (ragged) text_.close();
    closeAccumulators(schedule_.pack);
    acrossThreads(lanes);
    text_.open("if (" + lane + " == 0" + (ragged ? " && row < " + count(schedule_.keptCount) : "") + ")");
    result("row");
    text_.close();
    text_.close();
    text_.close();
  }

  void columns() {
    const unsigned width = schedule_.width, threads = schedule_.threads, height = threads / width;
    const int64_t columns = static_cast<int64_t>(width) * schedule_.pack;
    openKernel("fused", threads, schedule_.tiles());
    body_.start({&schedule_.before, schedule_.parts > 1 ? nullptr : &schedule_.after});
    text_.line(std::string("__shared__ __align__(16) ") + accumulator_ + " shared[" + std::to_string(height) + "][" +
               std::to_string(columns) + "];");
    text_.line("const Count x = threadIdx.x % " + count(width) + ", y = threadIdx.x / " + count(width) + ";");
    openTiles(schedule_.tiles());
    std::string first = count(0), end = count(schedule_.reducedCount);
    if (schedule_.parts > 1) {
      text_.line("const Count column = tile / " + count(schedule_.parts) + ";");
      part(schedule_.reducedCount);
      first = "begin";
      end = "end";
    } else {
      text_.line("const Count column = tile;");
    }
    text_.line("const Count first = column * " + count(width) + " + x;");
    openAccumulators(schedule_.pack);
    text_.open("if (first < " + count(schedule_.packs()) + ")");
    body_.coordinates(Side::kept, "first", schedule_.pack);
    reduceOver(first + " + y", end, height);
    text_.close();
    unrolled(schedule_.pack, "shared[y][x * " + count(schedule_.pack) + " + k] = sum[k];");
    text_.line("__syncthreads();");
    text_.open("for (Count c = threadIdx.x; c < " + count(columns) + "; c += " + count(threads) + ")");
    text_.line("const Count kept = column * " + count(columns) + " + c;");
    text_.line("if (kept >= " + count(schedule_.keptCount) + ") break;");
    text_.line(std::string(accumulator_) + " total = shared[0][c];");
    text_.line("#pragma unroll");
    text_.line("for (int other = 1; other < " + std::to_string(height) + "; other++) total = " + combine_ +
               "::combine(total, shared[other][c]);");
    result("kept");
    text_.close();
    text_.line("__syncthreads();");
    text_.close();
    text_.close();
  }

  /// Combines the parts of each kept coordinate and does what is left.
  void finish() {
    const int64_t parts = schedule_.reducedCount == 0 ? 0 : schedule_.parts;
    // A warp for each result, or a block where there are many parts of a few.
    const bool block = parts >= 256 && schedule_.keptCount <= 1024;
    int64_t lanes = block ? 256 : 1;
    while (lanes < parts && lanes < 32) lanes *= 2;
    int64_t threads = std::max<int64_t>(lanes, 32);
    while (threads < 256 && threads < schedule_.keptCount * lanes) threads *= 2;
    const int64_t groups = threads / lanes;
    const int64_t tiles = (schedule_.keptCount + groups - 1) / groups;
    const std::string lane = "threadIdx.x % " + count(lanes);
    openKernel("fusedFinish", static_cast<unsigned>(threads), tiles);
    body_.start({&schedule_.after});
    if (block) text_.line(std::string("__shared__ ") + accumulator_ + " scratch[32];");
    openTiles(tiles);
    text_.line("const Count kept = tile * " + count(groups) + " + threadIdx.x / " + count(lanes) + ";");
    text_.line(std::string(accumulator_) + " total = " + identity_ + ";");
    if (parts > 0) {
      text_.line("if (kept < " + count(schedule_.keptCount) + ")");
      text_.line("  for (Count i = " + lane + "; i < " + count(parts) + "; i += " + count(lanes) + ")");
      text_.line(std::string("    total = ") + combine_ + "::combine(total, static_cast<const " + accumulator_ +
                 "*>(operands.workspace)[kept * " + count(parts) + " + i]);");
      acrossThreads(lanes);
    }
    text_.open("if (" + lane + " == 0 && kept < " + count(schedule_.keptCount) + ")");
    body_.coordinates(Side::kept, "kept", 1);
    body_.evaluate(schedule_.after, 1, "total");
    text_.close();
    text_.close();
    text_.close();
  }

  /// Gives each of `lanes` neighbouring threads their `total`s together.
  void acrossThreads(int64_t lanes) {
    if (lanes > 32)
      text_.line(std::string("total = blockReduce<") + combine_ + ">(total, " + identity_ + ", scratch);");
    else
      text_.line(std::string("total = groupReduce<") + combine_ + ", " + std::to_string(lanes) + ">(total);");
  }

  /// This block's share [begin, end) of `size` steps.
  void part(int64_t size) {
    const int64_t share = (size + schedule_.parts - 1) / schedule_.parts;
    text_.line("const Count part = tile % " + count(schedule_.parts) + ", begin = part * " + count(share) + ";");
    text_.line("const Count end = begin + " + count(share) + " < " + count(size) + " ? begin + " + count(share) +
               " : " + count(size) + ";");
  }

  void openAccumulators(int pack) {
    text_.line(std::string(accumulator_) + " sum[" + std::to_string(pack) + "];");
    unrolled(pack, "sum[k] = " + identity_ + ";");
  }
  void closeAccumulators(int pack) {
    text_.line(std::string(accumulator_) + " total = sum[0];");
    if (pack > 1) {
      text_.line("#pragma unroll");
      text_.line("for (int k = 1; k < " + std::to_string(pack) + "; k++) total = " + combine_ +
                 "::combine(total, sum[k]);");
    }
  }
  void unrolled(int pack, const std::string& statement) {
    text_.line("#pragma unroll");
    text_.line("for (int k = 0; k < " + std::to_string(pack) + "; k++) " + statement);
  }

  /// The loop over reduced coordinates, or packs of them, that a thread takes.
  void reduceOver(const std::string& first, const std::string& end, int64_t step) {
    body_.hoist(schedule_.before);
    text_.open("for (Count r = " + first + "; r < " + end + "; r += " + count(step) + ")");
    body_.coordinates(Side::reduced, "r", schedule_.kind == Schedule::Kind::rows ? schedule_.pack : 1);
    body_.evaluate(schedule_.before, schedule_.pack, "");
    text_.close();
  }

  /// What becomes of a kept coordinate's `total`.
  void result(const std::string& kept) {
    if (schedule_.parts > 1) {
      text_.line(std::string("static_cast<") + accumulator_ + "*>(operands.workspace)[" + kept + " * " +
                 count(schedule_.parts) + " + part] = total;");
      source_.workspaceBytes =
          static_cast<size_t>(schedule_.keptCount * schedule_.parts *
                              accumulatorBytes(program_.instructions[static_cast<size_t>(program_.reduce)].dtype));
      return;
    }
    body_.coordinates(Side::kept, kept, 1);
    body_.evaluate(schedule_.after, 1, "total");
  }

  const Program& program_;
  const Schedule& schedule_;
  const bool guarded_;
  Source& source_;
  Text text_;
  Body body_;
  const char* accumulator_ = "";
  const char* combine_ = "";
  std::string identity_;
};

}  // namespace

Source printSource(const Program& program, const Schedule& schedule, size_t inputs, size_t outputs, bool guarded) {
  Source source;
  source.inputs = inputs > 0 ? inputs : 1;
  source.outputs = outputs > 0 ? outputs : 1;
  Printer(program, schedule, guarded, source).print();
  source.text = std::string(kScalarSource) + kPackSource + kReduceSource + kFunctionsSource +
                (usesRandom(program) ? kPhiloxSource : "") +
                "using namespace heddle;\nusing namespace heddle::cuda;\n" + source.text;
  return source;
}

}  // namespace heddle::cuda
