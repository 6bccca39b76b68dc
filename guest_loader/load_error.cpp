// The text of a LoadError.
#include "load_error.hpp"

namespace undercroft {
namespace {

// Appends to a caller's buffer and drops what does not fit.
class Line {
 public:
  explicit Line(std::span<char> buffer) : buffer_(buffer) {}

  void add(std::string_view text) {
    for (const char c : text) {
      if (used_ < buffer_.size()) buffer_[used_++] = c;
    }
  }
  void add_number(std::uint64_t value, unsigned radix) {
    std::array<char, 20> digits{};  // 2^64 has 20 decimal digits
    std::size_t first = digits.size();
    do {
      digits[--first] = "0123456789abcdef"[value % radix];
      value /= radix;
    } while (value != 0);
    add({digits.data() + first, digits.size() - first});
  }
  std::string_view text() const { return {buffer_.data(), used_}; }

 private:
  std::span<char> buffer_;
  std::size_t used_ = 0;
};

}  // namespace

std::string_view describe(const LoadError& error, std::span<char> buffer) {
  Line line(buffer);
  line.add("module ");
  line.add_number(error.module, 10);
  line.add(": ");
  line.add(error.field);
  line.add(": ");
  line.add(error.text);
  if (error.has_value) {
    line.add(", found 0x");
    line.add_number(error.value, 16);
  }
  return line.text();
}

std::string_view name_of(GuestFormat format) {
  switch (format) {
    case GuestFormat::linux_kernel:
      return "Linux bzImage";
    case GuestFormat::linux_real_mode:
      return "Linux bzImage in real mode";
    case GuestFormat::multiboot1:
      return "multiboot 1";
    case GuestFormat::multiboot2:
      return "multiboot 2";
    case GuestFormat::elf32:
      return "ELF32";
    case GuestFormat::boot_sector:
      return "a disk's boot sector";
  }
  return "unknown";
}

}  // namespace undercroft
