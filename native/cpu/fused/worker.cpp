// Walks tiles and runs block steps on them.
#include "worker.h"

#include <cstring>

namespace heddle::fused {
namespace {

constexpr size_t kLine = 64;
constexpr size_t roundUp(size_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

/// Steps a position by one tile; addresses follow. False once it is back at the start.
bool advance(const std::vector<Level>& levels, int64_t* indices, int64_t* addresses, size_t accesses) {
  for (size_t l = 0; l < levels.size(); l++) {
    const Level& level = levels[l];
    if (++indices[l] < level.count) {
      for (size_t a = 0; a < accesses; a++) addresses[a] += level.steps[a];
      return true;
    }
    indices[l] = 0;
    for (size_t a = 0; a < accesses; a++) addresses[a] -= level.steps[a] * (level.count - 1);
  }
  return false;
}

void place(const std::vector<Level>& levels, int64_t tile, int64_t* indices, int64_t* addresses, size_t accesses) {
  for (size_t l = 0; l < levels.size(); l++) {
    indices[l] = tile % levels[l].count;
    tile /= levels[l].count;
    for (size_t a = 0; a < accesses; a++) addresses[a] += levels[l].steps[a] * indices[l];
  }
}

}  // namespace

size_t Worker::scratchBytes(const Executable& executable) {
  const size_t values = static_cast<size_t>(executable.values) + 1;
  const size_t words = values * 2 + executable.accesses.size() * 2 + executable.geometry.kept.size() +
                       executable.geometry.reduced.size();
  return roundUp(words * 8) + roundUp(static_cast<size_t>(executable.keptWidth()) * 8) +
         static_cast<size_t>(executable.registerBytes);
}

Worker::Worker(const Executable& executable, const RunOperands& operands, char* scratch) : executable_(executable) {
  const size_t values = static_cast<size_t>(executable.values) + 1;
  const size_t accesses = executable.accesses.size();
  char* const start = scratch;
  const auto take = [&scratch](size_t words) {
    char* const here = scratch;
    scratch += words * 8;
    return here;
  };
  values_ = reinterpret_cast<void**>(take(values));
  resident_ = reinterpret_cast<int64_t*>(take(values));
  addresses_ = reinterpret_cast<int64_t*>(take(accesses));
  origins_ = reinterpret_cast<int64_t*>(take(accesses));
  keptIndices_ = reinterpret_cast<int64_t*>(take(executable.geometry.kept.size()));
  reducedIndices_ = reinterpret_cast<int64_t*>(take(executable.geometry.reduced.size()));
  std::memset(start, 0, static_cast<size_t>(scratch - start));
  char* place = start + roundUp(static_cast<size_t>(scratch - start));
  accumulators_ = reinterpret_cast<int64_t*>(place);
  place += roundUp(static_cast<size_t>(executable.keptWidth()) * 8);
  for (const auto& [value, offset] : executable.registers) values_[value] = place + offset;
  for (const auto& [value, word] : executable.constants) values_[value] = const_cast<int64_t*>(&executable.words[word]);
  for (size_t a = 0; a < accesses; a++) {
    const Access& access = executable.accesses[a];
    const size_t operand = static_cast<size_t>(access.operand);
    if (access.kind == Access::Kind::load) origins_[a] = reinterpret_cast<int64_t>(operands.inputs[operand]);
    if (access.kind == Access::Kind::store) origins_[a] = reinterpret_cast<int64_t>(operands.outputs[operand]);
    if (access.kind == Access::Kind::iota) origins_[a] = executable.starts[a];
    addresses_[a] = origins_[a];
  }
  run(executable.once, {1, 1});
}

void Worker::moveTo(int64_t tile) {
  const size_t accesses = executable_.accesses.size();
  for (size_t a = 0; a < accesses; a++) addresses_[a] = origins_[a];
  place(executable_.geometry.kept, tile, keptIndices_, addresses_, accesses);
}

void Worker::evaluate(int64_t begin, int64_t end) {
  const int64_t reducedTiles = executable_.reduces ? executable_.geometry.reducedTiles() : 0;
  moveTo(begin);
  for (int64_t tile = begin; tile < end; tile++) {
    if (executable_.reduces) {
      reduceTiles(0, reducedTiles, accumulators_);
      finish(accumulators_);
    }
    run(executable_.after, windowOf(executable_.after));
    advance(executable_.geometry.kept, keptIndices_, addresses_, executable_.accesses.size());
  }
  if (executable_.streamEnd) executable_.streamEnd();
}

void Worker::accumulate(int64_t tile, int64_t begin, int64_t end, int64_t* accumulators) {
  moveTo(tile);
  reduceTiles(begin, end, accumulators);
}

void Worker::complete(int64_t tile, const int64_t* accumulators, int64_t parts, int64_t stride) {
  moveTo(tile);
  for (size_t l = 0; l < executable_.geometry.reduced.size(); l++) reducedIndices_[l] = 0;
  const int64_t width = executable_.keptWidth();
  for (int64_t i = 0; i < width; i++) accumulators_[i] = executable_.identity;
  for (int64_t part = 0; part < parts; part++)
    executable_.combine(accumulators_, accumulators + part * stride, 1, width, width);
  finish(accumulators_);
  run(executable_.after, windowOf(executable_.after));
}

/// Ends where it began, if it runs over all reduced tiles.
void Worker::reduceTiles(int64_t begin, int64_t end, int64_t* accumulators) {
  const int64_t width = executable_.keptWidth();
  for (int64_t i = 0; i < width; i++) accumulators[i] = executable_.identity;
  const size_t accesses = executable_.accesses.size();
  const Geometry& geometry = executable_.geometry;
  if (begin >= end) return;
  place(geometry.reduced, begin, reducedIndices_, addresses_, accesses);
  for (int64_t i = begin; i < end; i++) {
    const Window window = tile();
    run(executable_.before, window);
    const void* values = values_[executable_.reduceArgument];
    // An axis that is treated like the other one is folded into it.
    const bool fold = geometry.row.reduced == geometry.column.reduced;
    const int64_t columns = fold ? window.rows * window.columns : window.columns;
    executable_.reduce(accumulators, values, fold ? 1 : window.rows, columns,
                       executable_.reduceRowStride != 0 ? executable_.reduceRowStride : columns);
    advance(geometry.reduced, reducedIndices_, addresses_, accesses);
  }
}

void Worker::finish(const int64_t* accumulators) {
  if (executable_.reduceResult < 0) return;
  const Window window = windowOf(executable_.after);
  for (const Binding& binding : executable_.after.bindings)
    if (binding.value == executable_.reduceResult)
      values_[binding.value] = reinterpret_cast<void*>(addresses_[binding.access]);
  executable_.finish(values_[executable_.reduceResult], accumulators, nullptr, nullptr, window.rows * window.columns);
}

Worker::Window Worker::tile() const {
  const Geometry& geometry = executable_.geometry;
  const auto size = [](const Axis& axis, int64_t tile, int level, const int64_t* indices) {
    if (level < 0) return tile;
    const int64_t left = axis.extent - indices[level] * tile;
    return left < tile ? left : tile;
  };
  return {
      size(geometry.row, geometry.tileRows, geometry.rowLevel, geometry.row.reduced ? reducedIndices_ : keptIndices_),
      size(geometry.column, geometry.tileColumns, geometry.columnLevel,
           geometry.column.reduced ? reducedIndices_ : keptIndices_)};
}

Worker::Window Worker::windowOf(const Phase& phase) const {
  const Window all = tile();
  if (phase.columns) return {phase.rows ? all.rows : 1, all.columns};
  return {1, phase.rows ? all.rows : 1};
}

void Worker::run(const Phase& phase, Window window) {
  for (const Binding& binding : phase.bindings)
    values_[binding.value] = reinterpret_cast<void*>(addresses_[binding.access]);
  prefetch(phase, window);
  for (const Step& step : phase.steps) runStep(phase, step, window);
}

/// Whether a resident value has less than these elements; it is then made anew.
bool Worker::grows(int value, int64_t elements) {
  if (resident_[value] >= elements) return false;
  resident_[value] = elements;
  return true;
}

/// Asks for the memory of the tile that is next, so that it comes while this one is computed. (Where there is none a
/// prefetch is ignored.)
void Worker::prefetch(const Phase& phase, Window window) const {
  for (const Ahead& ahead : phase.ahead) {
    const int64_t start = addresses_[ahead.access] + ahead.toNext;
    int64_t rows = window.rows, bytes = window.columns * ahead.unit;
    if (ahead.rowBytes == bytes) {
      bytes *= rows;
      rows = 1;
    }
    for (int64_t row = 0; row < rows; row++)
      for (int64_t byte = 0; byte < bytes; byte += static_cast<int64_t>(kLine))
        __builtin_prefetch(reinterpret_cast<const void*>(start + row * ahead.rowBytes + byte));
  }
}

void Worker::stream(const Phase& phase, const Step& step, int64_t bytes) const {
  const char* ahead[kMostAheadWithStores];
  int64_t count = 0;
  if (step.looksAhead)
    for (const Ahead& next : phase.aheadWithStores)
      ahead[count++] = reinterpret_cast<const char*>(addresses_[next.access] + next.toNext);
  step.stream(reinterpret_cast<char*>(addresses_[step.access]), static_cast<const char*>(values_[step.a]), bytes, ahead,
              count);
}

void Worker::runStep(const Phase& phase, const Step& step, Window window) {
  const int64_t rows = step.single ? 1 : window.rows;
  const int64_t columns = step.single ? 1 : window.columns;
  switch (step.kind) {
    case Step::Kind::compute:
      step.compute(values_[step.out], values_[step.a], values_[step.b], values_[step.c], rows * columns);
      return;
    case Step::Kind::load:
      if (step.resident && !grows(step.out, rows * columns)) return;
      step.load(values_[step.out], step.packed ? columns : step.outRowStride,
                reinterpret_cast<const void*>(addresses_[step.access]), step.rowStride, step.columnStride, rows,
                columns);
      return;
    case Step::Kind::repeat:
      step.load(values_[step.out], step.packed ? columns : step.outRowStride, values_[step.a], 0, 0, rows, columns);
      return;
    case Step::Kind::store:
      step.store(reinterpret_cast<void*>(addresses_[step.access]), step.rowStride, step.columnStride, values_[step.a],
                 rows, columns);
      return;
    case Step::Kind::stream: return stream(phase, step, rows * columns * step.unit);
    case Step::Kind::count:
      if (step.resident && !grows(step.out, rows * columns)) return;
      step.count(values_[step.out], addresses_[step.access], step.rowStride, step.columnStride, rows, columns);
      return;
    case Step::Kind::draw: {
      const uint64_t seed = *static_cast<const uint64_t*>(values_[step.a]);
      const uint64_t counter = *static_cast<const uint64_t*>(values_[step.b]) + static_cast<uint64_t>(step.offset);
      step.draw(values_[step.out], static_cast<const int64_t*>(values_[step.c]), seed, counter, step.contiguous,
                rows * columns);
      return;
    }
  }
}

}  // namespace heddle::fused
