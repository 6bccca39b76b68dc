// Fakes of what the virtual devices reach: a clock that stands until it is moved, a line that keeps
// what it is sent, a log that keeps what it is told, a graphics card's memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "monitor/devices/device_ports.hpp"
#include "monitor/ports.hpp"

namespace undercroft {

class FakeClock final : public Clock {
 public:
  std::uint64_t now() override { return time; }
  std::uint64_t time = 0;
};

class RecordingSink final : public CharacterSink {
 public:
  void put(std::uint8_t byte) override { text.push_back(static_cast<char>(byte)); }
  std::string text;
};

class RecordingLog final : public DeviceLog {
 public:
  void unclaimed_read(std::uint16_t port, unsigned size) override {
    entries.push_back("read " + std::to_string(port) + " " + std::to_string(size));
  }
  void unclaimed_write(std::uint16_t port, std::uint32_t value, unsigned size) override {
    entries.push_back("write " + std::to_string(port) + " " + std::to_string(size) + " " +
                      std::to_string(value));
  }
  std::vector<std::string> entries;
};

class FakeVideoMemory final : public VideoMemory {
 public:
  std::uint8_t read(std::uint32_t offset) override { return bytes_.at(offset); }
  void write(std::uint32_t offset, std::uint8_t value) override { bytes_.at(offset) = value; }
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(VideoMemory::bytes);
};

}  // namespace undercroft
