// What the emulated cuDNN's descriptors hold.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "../../cuda/cudnn.h"

namespace heddle::cuda::dnn {

struct Impl;

struct Attribute {
  int type;
  int64_t count;
  std::vector<char> bytes;
  std::vector<std::shared_ptr<Impl>> descriptors;
};

struct Impl {
  int type;
  bool finalized = false;
  std::map<int, Attribute> attributes;

  bool has(int name) const { return attributes.count(name) > 0; }
  template <typename Value>
  std::vector<Value> values(int name) const {
    const Attribute& attribute = attributes.at(name);
    std::vector<Value> list(static_cast<size_t>(attribute.count));
    std::memcpy(list.data(), attribute.bytes.data(), attribute.bytes.size());
    return list;
  }
  template <typename Value>
  Value value(int name) const {
    return values<Value>(name).front();
  }
  const Impl& part(int name) const { return *attributes.at(name).descriptors.front(); }
};

}  // namespace heddle::cuda::dnn
