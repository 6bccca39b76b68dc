// Encodes ACPI Machine Language (ACPI 2.0, chapter 17, and 6.4 for resource descriptors): just the
// terms that describe fixed devices. Everything is constexpr, so that a table is bytes in the
// image. Terms nest by calling back: scope("\\_SB_", [&] { ... }).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace undercroft {

template <std::size_t capacity>
class Aml {
 public:
  // DefName, DefScope, DefDevice, DefProcessor
  template <class Value>
  constexpr void name(std::string_view path, Value value) {
    byte(0x08);
    name_string(path);
    value();
  }
  template <class Body>
  constexpr void scope(std::string_view path, Body body) {
    byte(0x10);
    sized([&] {
      name_string(path);
      body();
    });
  }
  template <class Body>
  constexpr void device(std::string_view path, Body body) {
    extended(0x82);
    sized([&] {
      name_string(path);
      body();
    });
  }
  // Without a control block.
  constexpr void processor(std::string_view path, std::uint8_t id) {
    extended(0x83);
    sized([&] {
      name_string(path);
      byte(id);
      dword(0);
      byte(0);
    });
  }

  // Values
  constexpr void integer(std::uint32_t value) {
    if (value < 2) return byte(static_cast<std::uint8_t>(value));  // ZeroOp, OneOp
    if (value <= 0xff) {
      byte(0x0a);
      return byte(static_cast<std::uint8_t>(value));
    }
    if (value <= 0xffff) {
      byte(0x0b);
      return word(static_cast<std::uint16_t>(value));
    }
    byte(0x0c);
    dword(value);
  }
  // "PNP0A03" as the 32-bit number that _HID gives (6.1.5): three letters of five bits, four
  // hexadecimal digits, high byte first.
  constexpr void eisa_id(std::string_view id) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 3; ++i) value = value << 5 | (static_cast<unsigned>(id[i]) - 0x40);
    for (unsigned i = 3; i < 7; ++i) value = value << 4 | hexadecimal(id[i]);
    byte(0x0c);
    for (int shift = 24; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  template <class Body>
  constexpr void package(std::uint8_t elements, Body body) {
    byte(0x12);
    sized([&] {
      byte(elements);
      body();
    });
  }
  // A buffer of resource descriptors; the end tag's checksum of 0 means that none was made.
  template <class Body>
  constexpr void resources(Body body) {
    byte(0x11);
    sized([&] {
      byte(0x0b);
      const std::size_t length_at = size_;
      word(0);
      body();
      byte(0x79);
      byte(0);
      const std::size_t length = size_ - length_at - 2;
      bytes_[length_at] = static_cast<std::uint8_t>(length);
      bytes_[length_at + 1] = static_cast<std::uint8_t>(length >> 8);
    });
  }

  // Resource descriptors
  constexpr void ports(std::uint16_t first, std::uint8_t count) {
    byte(0x47);
    byte(1);  // decodes 16 bits
    word(first);
    word(first);
    byte(1);
    byte(count);
  }
  constexpr void irq(unsigned number) {  // edge, high, not shared
    byte(0x22);
    word(static_cast<std::uint16_t>(1u << number));
  }
  constexpr void dma(unsigned channel) {  // 8 bits, compatible
    byte(0x2a);
    byte(static_cast<std::uint8_t>(1u << channel));
    byte(0);
  }
  constexpr void memory(std::uint32_t first, std::uint32_t bytes) {  // fixed, read only
    byte(0x86);
    word(9);
    byte(0);
    dword(first);
    dword(bytes);
  }
  // What a bridge hands on to its bus: bus numbers, ports, memory.
  constexpr void bus_window(std::uint16_t first, std::uint16_t last) {
    word_window(2, 0, first, last);
  }
  constexpr void port_window(std::uint16_t first, std::uint16_t last) {
    word_window(1, 3, first, last);  // ISA and other ranges
  }
  constexpr void memory_window(std::uint32_t first, std::uint32_t last) {
    byte(0x87);
    word(23);
    byte(0);
    byte(window_flags);
    byte(1);  // not cacheable, read and write
    for (const std::uint32_t value : {0u, first, last, 0u, last - first + 1}) dword(value);
  }

  // False: it was too much for `capacity`, or for the two-byte form of a length.
  constexpr bool ok() const { return ok_; }
  constexpr std::size_t size() const { return size_; }
  constexpr std::span<const std::uint8_t> bytes() const { return {bytes_.data(), size_}; }

 private:
  static constexpr std::uint8_t window_flags = 0x0c;  // both ends fixed, decoded, handed on

  constexpr void byte(std::uint8_t value) {
    if (size_ == capacity) {
      ok_ = false;
      return;
    }
    bytes_[size_++] = value;
  }
  constexpr void word(std::uint16_t value) {
    byte(static_cast<std::uint8_t>(value));
    byte(static_cast<std::uint8_t>(value >> 8));
  }
  constexpr void dword(std::uint32_t value) {
    word(static_cast<std::uint16_t>(value));
    word(static_cast<std::uint16_t>(value >> 16));
  }
  constexpr void extended(std::uint8_t code) {
    byte(0x5b);
    byte(code);
  }
  // PkgLength counts itself. Two bytes hold up to 4095: the low four bits, then the others.
  template <class Body>
  constexpr void sized(Body body) {
    const std::size_t start = size_;
    word(0);
    body();
    const std::size_t length = size_ - start;
    if (length > 0xfff || size_ < start + 2) {
      ok_ = false;
      return;
    }
    bytes_[start] = static_cast<std::uint8_t>(0x40 | (length & 0x0f));
    bytes_[start + 1] = static_cast<std::uint8_t>(length >> 4);
  }
  // One segment of four characters, at the root if it begins with a backslash.
  constexpr void name_string(std::string_view path) {
    if (path[0] == '\\') {
      byte('\\');
      path.remove_prefix(1);
    }
    if (path.size() != 4) ok_ = false;
    for (const char c : path) byte(static_cast<std::uint8_t>(c));
  }
  constexpr void word_window(std::uint8_t type, std::uint8_t flags, std::uint16_t first,
                             std::uint16_t last) {
    byte(0x88);
    word(13);
    byte(type);
    byte(window_flags);
    byte(flags);
    const auto length = static_cast<std::uint16_t>(last - first + 1);
    for (const std::uint16_t value : {std::uint16_t{0}, first, last, std::uint16_t{0}, length}) {
      word(value);
    }
  }
  static constexpr std::uint32_t hexadecimal(char digit) {
    return static_cast<std::uint32_t>(digit <= '9' ? digit - '0' : digit - 'A' + 10);
  }

  std::array<std::uint8_t, capacity> bytes_{};
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace undercroft
