// Reads the words (f64) a plan and its parameters are encoded in; every read is bounds- and range-checked.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "error.h"

namespace heddle {

class WordReader {
 public:
  explicit WordReader(std::span<const double> words) : words_(words) {}

  double number() {
    if (position_ >= words_.size()) throw Error(ErrorCode::invalidPlan, "plan: words end early");
    return words_[position_++];
  }

  int64_t integer() {
    const double word = number();
    if (std::trunc(word) != word || std::fabs(word) > 9007199254740991.0)
      throw Error(ErrorCode::invalidPlan, "plan: a word that should be a safe integer is not");
    return static_cast<int64_t>(word);
  }

  /// An integer in [0, limit): a count, an index or an enumerator.
  int64_t below(int64_t limit) {
    const int64_t value = integer();
    if (value < 0 || value >= limit) throw Error(ErrorCode::invalidPlan, "plan: a word is out of its range");
    return value;
  }

  bool flag() { return below(2) == 1; }

  template <typename Enum>
  Enum enumerator(int64_t count) {
    return static_cast<Enum>(below(count));
  }

  std::vector<int64_t> integers(int64_t count) {
    if (count < 0 || count > static_cast<int64_t>(words_.size() - position_))
      throw Error(ErrorCode::invalidPlan, "plan: words end early");
    std::vector<int64_t> list(static_cast<size_t>(count));
    for (int64_t& value : list) value = integer();
    return list;
  }

  /// A list behind its length.
  std::vector<int64_t> list() { return integers(below(int64_t{1} << 32)); }

  /// The next `count` words, to be read by a reader of their own.
  std::span<const double> slice(int64_t count) {
    if (count < 0 || count > static_cast<int64_t>(words_.size() - position_))
      throw Error(ErrorCode::invalidPlan, "plan: words end early");
    const auto part = words_.subspan(position_, static_cast<size_t>(count));
    position_ += static_cast<size_t>(count);
    return part;
  }

  bool done() const { return position_ == words_.size(); }

 private:
  std::span<const double> words_;
  size_t position_ = 0;
};

}  // namespace heddle
