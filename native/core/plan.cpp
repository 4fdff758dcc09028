// Decoding and making kernels check everything a run relies on, so that running checks nothing.
#include "plan.h"

#include <algorithm>
#include <limits>

#include "replay.h"

namespace heddle {

namespace {

constexpr int64_t kMostRank = 16;

}  // namespace

struct Plan::Step {
  OpId op;
  std::vector<size_t> inputs;
  std::vector<size_t> outputs;
  std::span<const double> params;
  std::unique_ptr<Kernel> kernel;
  // The addresses of a run, kept to spare allocations: one run of a plan at a time.
  std::vector<const void*> inputAddresses;
  std::vector<void*> outputAddresses;
};

Plan::Plan(std::vector<double> words, std::string label, Priority priority, Lane lane)
    : words_(std::move(words)), label_(std::move(label)), priority_(priority), lane_(lane) {
  WordReader reader(words_);
  if (reader.integer() != kPlanVersion) reject("its version is not " + std::to_string(kPlanVersion));
  // Every entry takes at least one word, so no count that passes can be larger than the words are.
  const int64_t limit = static_cast<int64_t>(words_.size());
  const int64_t storageCount = reader.below(limit);
  const int64_t operandCount = reader.below(limit);
  const int64_t stepCount = reader.below(limit);
  for (int64_t i = 0; i < storageCount; i++) decodeStorage(reader);
  for (int64_t i = 0; i < operandCount; i++) decodeOperand(reader);
  firstCellWrite_ = stepCount;
  firstUnguardedCellWrite_ = stepCount;
  for (int64_t i = 0; i < stepCount; i++) decodeStep(reader);
  if (!reader.done()) reject("words are left over after the last step");
  bases_.resize(storages_.size());
}

Plan::~Plan() = default;

Replay& Plan::replay() {
  if (!replay_) replay_ = std::make_unique<Replay>(*this);
  return *replay_;
}

void Plan::reject(const std::string& what) const {
  throw Error(ErrorCode::invalidPlan, "plan " + label_ + ": " + what);
}

void Plan::decodeStorage(WordReader& words) {
  const auto kind = words.enumerator<StorageKind>(static_cast<int64_t>(StorageKind::count));
  const int64_t bytes = words.integer();
  const bool written = words.flag();
  const std::string name = "storage " + std::to_string(storages_.size());
  if (bytes < 0) reject(name + " has a negative size");
  if (kind == StorageKind::input && written) reject(name + " is an input and cannot be written");
  if (kind != StorageKind::arena && callerCount_ != storages_.size())
    reject(name + " is the caller's but follows an arena storage");
  storages_.push_back({kind, static_cast<size_t>(bytes), written});
  if (kind != StorageKind::arena) callerCount_ = storages_.size();
}

void Plan::decodeOperand(WordReader& words) {
  const std::string name = "operand " + std::to_string(operands_.size());
  const int64_t storage = words.below(static_cast<int64_t>(storages_.size()));
  const int64_t byteOffset = words.integer();
  const auto dtype = words.enumerator<DType>(static_cast<int64_t>(DType::count));
  const int64_t rank = words.below(kMostRank + 1);
  TensorSpec tensor{dtype, words.integers(rank), words.integers(rank)};

  const int64_t elementBytes = kDTypeBytes[static_cast<size_t>(dtype)];
  if (byteOffset < 0 || byteOffset % elementBytes != 0)
    reject(name + " does not start at a whole element of its storage");
  // The lowest and highest element touched, in 128 bits where 16 products of safe integers cannot overflow.
  __int128 lowest = 0, highest = 0, size = 1;
  for (size_t axis = 0; axis < tensor.shape.size(); axis++) {
    const int64_t extent = tensor.shape[axis];
    if (extent < 0) reject(name + " has a negative extent");
    if (size != 0 && extent > std::numeric_limits<int64_t>::max() / size) reject(name + " has too many elements");
    size *= extent;
    const __int128 reach = static_cast<__int128>(tensor.strides[axis]) * (extent - 1);
    (reach < 0 ? lowest : highest) += reach;
  }
  const __int128 bytes = static_cast<__int128>(storages_[static_cast<size_t>(storage)].bytes);
  const bool inside =
      size == 0 ? byteOffset <= bytes
                : byteOffset + lowest * elementBytes >= 0 && byteOffset + (highest + 1) * elementBytes <= bytes;
  if (!inside)
    reject(name + " reaches outside storage " + std::to_string(storage) + " of " +
           std::to_string(storages_[static_cast<size_t>(storage)].bytes) + " bytes");
  // Storages begin at multiples of 64.
  tensor.alignment = byteOffset == 0 ? int64_t{kAlignment} : std::min(byteOffset & -byteOffset, int64_t{kAlignment});
  operands_.push_back({static_cast<size_t>(storage), static_cast<size_t>(byteOffset), std::move(tensor)});
}

void Plan::decodeStep(WordReader& words) {
  const auto operandList = [&] {
    std::vector<size_t> list;
    for (const int64_t id : words.list()) {
      if (id < 0 || id >= static_cast<int64_t>(operands_.size()))
        reject("step " + std::to_string(steps_.size()) + " uses an operand that does not exist");
      list.push_back(static_cast<size_t>(id));
    }
    return list;
  };
  Step step;
  step.op = words.enumerator<OpId>(static_cast<int64_t>(OpId::count));
  step.inputs = operandList();
  step.outputs = operandList();
  step.params = words.slice(words.integer());
  for (const size_t id : step.outputs) {
    const StorageSpec& storage = storages_[operands_[id].storage];
    if (storage.kind == StorageKind::input || (storage.kind == StorageKind::cell && !storage.written))
      reject(std::string(kOpNames[static_cast<size_t>(step.op)]) + " writes storage " +
             std::to_string(operands_[id].storage) + ", which is not marked as written");
  }
  step.inputAddresses.resize(step.inputs.size());
  step.outputAddresses.resize(step.outputs.size());
  steps_.push_back(std::move(step));
}

void Plan::prepare(const Backend& backend, const std::atomic<bool>& cancelled) {
  const auto goOn = [&] {
    if (cancelled) throw Error(ErrorCode::internal, "plan " + label_ + ": nobody waits for it any more");
  };
  int64_t position = 0;
  for (Step& step : steps_) {
    goOn();
    makeKernel(step, position++, backend);
  }
  for (const Step& step : steps_) {
    goOn();
    step.kernel->complete();
  }
  goOn();
  place();
}

void Plan::settle(FailurePointer failure) {
  failure_ = std::move(failure);
  ready_.store(!failure_, std::memory_order_release);
}

void Plan::makeKernel(Step& step, int64_t position, const Backend& backend) {
  const std::string op = kOpNames[static_cast<size_t>(step.op)];
  WordReader params(step.params);
  std::vector<TensorSpec> inputs, outputs;
  for (const size_t id : step.inputs) inputs.push_back(operands_[id].tensor);
  for (const size_t id : step.outputs) {
    outputs.push_back(operands_[id].tensor);
    outputs.back().kept = storages_[operands_[id].storage].kind == StorageKind::cell;
  }
  const KernelFactory make = backend.kernels().find(step.op);
  if (!make)
    throw Error(ErrorCode::unsupported, op + ": the " + backend.describe().kind + " backend has no kernel for it");
  try {
    step.kernel = make(params, inputs, outputs);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::internal, op + ": its kernel could not be prepared: " + error.what());
  }
  if (!params.done()) reject(op + " has more parameter words than its schema says");
  if (std::any_of(outputs.begin(), outputs.end(), [](const TensorSpec& output) { return output.kept; })) {
    firstCellWrite_ = std::min(firstCellWrite_, position);
    if (!step.kernel->guarded()) firstUnguardedCellWrite_ = std::min(firstUnguardedCellWrite_, position);
  }
}

void Plan::place() {
  const int64_t count = stepCount();
  std::vector<Block>& blocks = placement_.blocks;
  for (size_t id = callerCount_; id < storages_.size(); id++) blocks.push_back({storages_[id].bytes, count, 0});
  for (int64_t position = 0; position < count; position++) {
    const Step& step = steps_[static_cast<size_t>(position)];
    for (const std::vector<size_t>* list : {&step.inputs, &step.outputs})
      for (const size_t id : *list) {
        const size_t storage = operands_[id].storage;
        if (storage < callerCount_) continue;
        Block& block = blocks[storage - callerCount_];
        block.first = std::min(block.first, position);
        block.last = position;
      }
  }
  std::vector<size_t> withWorkspace;
  for (size_t position = 0; position < steps_.size(); position++)
    if (const size_t bytes = steps_[position].kernel->workspaceBytes(); bytes > 0) {
      const auto at = static_cast<int64_t>(position);
      blocks.push_back({bytes, at, at});
      withWorkspace.push_back(position);
    }
  Arrangement arrangement = placeBlocks(blocks);
  const size_t arenaCount = storages_.size() - callerCount_;
  placement_.storages.resize(storages_.size());
  placement_.workspaces.resize(steps_.size());
  for (size_t i = 0; i < arenaCount; i++) placement_.storages[callerCount_ + i] = arrangement.offsets[i];
  for (size_t i = 0; i < withWorkspace.size(); i++)
    placement_.workspaces[withWorkspace[i]] = arrangement.offsets[arenaCount + i];
  placement_.arenaBytes = arrangement.bytes;
  placement_.liveBytes = largestLiveBytes(blocks);
  placement_.offsets = std::move(arrangement.offsets);
}

std::span<const StorageSpec> Plan::callerStorages() const { return std::span(storages_).first(callerCount_); }

int64_t Plan::stepCount() const { return static_cast<int64_t>(steps_.size()); }

void Plan::run(Backend& backend, std::span<void* const> caller, char* arena, const Placement& placement,
               const std::function<bool()>& goOn) {
  for (size_t id = 0; id < bases_.size(); id++)
    bases_[id] = id < callerCount_ ? static_cast<char*>(caller[id]) : arena + placement.storages[id];
  const auto address = [&](size_t id) { return bases_[operands_[id].storage] + operands_[id].byteOffset; };
  for (size_t position = 0; position < steps_.size(); position++) {
    if (!goOn()) return;
    Step& step = steps_[position];
    backend.beginStep(static_cast<int64_t>(position));
    const bool profiled = backend.profile.on();
    const double start = profiled ? monotonicMicroseconds() : 0;
    for (size_t i = 0; i < step.inputs.size(); i++) step.inputAddresses[i] = address(step.inputs[i]);
    for (size_t i = 0; i < step.outputs.size(); i++) step.outputAddresses[i] = address(step.outputs[i]);
    try {
      step.kernel->run({step.inputAddresses, step.outputAddresses, arena + placement.workspaces[position]});
    } catch (const Error& error) {
      throw StepError{error, static_cast<int64_t>(position)};
    } catch (const std::bad_alloc&) {
      throw StepError{Error(ErrorCode::outOfMemory, std::string(kOpNames[static_cast<size_t>(step.op)]) +
                                                        ": the host has no memory left for its scratch data"),
                      static_cast<int64_t>(position)};
    } catch (const std::exception& error) {
      throw StepError{
          Error(ErrorCode::internal, std::string(kOpNames[static_cast<size_t>(step.op)]) + ": " + error.what()),
          static_cast<int64_t>(position)};
    }
    if (profiled)
      backend.profile.add({kOpNames[static_cast<size_t>(step.op)], true, priority_ == Priority::high, lane_.index,
                           start, monotonicMicroseconds()});
  }
}

}  // namespace heddle
