// A fuzzer's bytes, taken one after another; zeros when there are no more.
#pragma once

#include <cstddef>
#include <cstdint>

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint32_t next(unsigned bytes = 1) {
    std::uint32_t value = 0;
    for (; bytes != 0 && left_ != 0; --bytes, --left_) value = value << 8 | *data_++;
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};
