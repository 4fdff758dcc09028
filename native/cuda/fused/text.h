// Source text that is written line by line.
#pragma once

#include <string>

namespace heddle::cuda {

class Text {
 public:
  void line(const std::string& content) {
    if (!content.empty()) text_.append(static_cast<size_t>(depth_) * 2, ' ');
    text_ += content;
    text_ += '\n';
  }
  /// A line that ends in a brace, or the brace alone; `close` ends its block.
  void open(const std::string& head) {
    line(head.empty() ? "{" : head + " {");
    depth_++;
  }
  void close(const std::string& tail = "}") {
    depth_--;
    line(tail);
  }
  const std::string& string() const { return text_; }

 private:
  std::string text_;
  int depth_ = 0;
};

}  // namespace heddle::cuda
