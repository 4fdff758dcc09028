// Decoding checks everything a run relies on, so that running checks nothing.
#include "plan.h"

#include <algorithm>
#include <limits>

#include "replay.h"

namespace heddle {

namespace {

constexpr int64_t kMostRank = 16;
constexpr size_t kAlignment = 64;

}  // namespace

struct Plan::Step {
  OpId op;
  std::vector<size_t> inputs;
  std::vector<size_t> outputs;
  std::unique_ptr<Kernel> kernel;
  size_t workspaceBytes;
  // The addresses of a run, kept to spare allocations: one run of a plan at a time.
  std::vector<const void*> inputAddresses;
  std::vector<void*> outputAddresses;
};

Plan::Plan(const Backend& backend, std::vector<double> words, std::string label)
    : words_(std::move(words)), label_(std::move(label)) {
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
  for (int64_t i = 0; i < stepCount; i++) decodeStep(reader, backend);
  if (!reader.done()) reject("words are left over after the last step");
  for (const Step& step : steps_) step.kernel->complete();
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

void Plan::decodeStep(WordReader& words, const Backend& backend) {
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
  WordReader params(words.slice(words.integer()));

  const std::string op = kOpNames[static_cast<size_t>(step.op)];
  std::vector<TensorSpec> inputs, outputs;
  for (const size_t id : step.inputs) inputs.push_back(operands_[id].tensor);
  for (const size_t id : step.outputs) {
    const StorageSpec& storage = storages_[operands_[id].storage];
    if (storage.kind == StorageKind::input || (storage.kind == StorageKind::cell && !storage.written))
      reject(op + " writes storage " + std::to_string(operands_[id].storage) + ", which is not marked as written");
    outputs.push_back(operands_[id].tensor);
    outputs.back().kept = storage.kind == StorageKind::cell;
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
    const auto position = static_cast<int64_t>(steps_.size());
    firstCellWrite_ = std::min(firstCellWrite_, position);
    if (!step.kernel->guarded()) firstUnguardedCellWrite_ = std::min(firstUnguardedCellWrite_, position);
  }
  step.workspaceBytes = step.kernel->workspaceBytes();
  step.inputAddresses.resize(inputs.size());
  step.outputAddresses.resize(outputs.size());
  steps_.push_back(std::move(step));
}

std::span<const StorageSpec> Plan::callerStorages() const { return std::span(storages_).first(callerCount_); }

int64_t Plan::stepCount() const { return static_cast<int64_t>(steps_.size()); }

std::vector<size_t> Plan::workspaceBytes() const {
  std::vector<size_t> bytes;
  for (const Step& step : steps_) bytes.push_back(step.workspaceBytes);
  return bytes;
}

void Plan::place(std::span<const double> offsets, double arenaBytes) {
  const size_t arenaCount = storages_.size() - callerCount_;
  if (offsets.size() != arenaCount + steps_.size())
    reject("place needs " + std::to_string(arenaCount) + " storage and " + std::to_string(steps_.size()) +
           " workspace offsets, got " + std::to_string(offsets.size()));
  WordReader reader(offsets);
  const double size[] = {arenaBytes};
  const int64_t limit = WordReader(size).integer();
  const auto next = [&](size_t bytes) {
    const int64_t offset = reader.integer();
    if (offset < 0 || offset % static_cast<int64_t>(kAlignment) != 0 ||
        static_cast<__int128>(offset) + static_cast<__int128>(bytes) > limit)
      reject("place puts " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) +
             ", which is not a multiple of 64 inside the arena of " + std::to_string(limit) + " bytes");
    return static_cast<size_t>(offset);
  };
  auto placement = std::make_shared<Placement>();
  placement->storages.resize(storages_.size());
  for (size_t id = callerCount_; id < storages_.size(); id++) placement->storages[id] = next(storages_[id].bytes);
  for (const Step& step : steps_) placement->workspaces.push_back(next(step.workspaceBytes));
  placement->arenaBytes = static_cast<size_t>(limit);
  placement_ = std::move(placement);
}

std::shared_ptr<const Placement> Plan::placement() const {
  if (!placement_) throw Error(ErrorCode::invalidArgument, "plan " + label_ + ": place it before running it");
  return placement_;
}

void Plan::run(Backend& backend, std::span<void* const> caller, char* arena, const Placement& placement,
               const std::atomic<bool>& cancelled) {
  for (size_t id = 0; id < bases_.size(); id++)
    bases_[id] = id < callerCount_ ? static_cast<char*>(caller[id]) : arena + placement.storages[id];
  const auto address = [&](size_t id) { return bases_[operands_[id].storage] + operands_[id].byteOffset; };
  for (size_t position = 0; position < steps_.size(); position++) {
    if (cancelled.load(std::memory_order_relaxed)) return;
    Step& step = steps_[position];
    backend.beginStep(static_cast<int64_t>(position));
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
  }
}

}  // namespace heddle
