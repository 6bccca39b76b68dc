// Disks for the IDE controller's tests, and a driver's view of the controller.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "monitor/devices/ide_controller.hpp"
#include "vector_memory.hpp"

namespace undercroft {

class VectorDisks final : public DiskPort {
 public:
  struct Disk {
    DiskKind kind = DiskKind::ata;
    std::vector<std::byte> bytes;
  };
  void add(DiskKind kind, std::uint32_t sectors) {
    Disk disk{kind, std::vector<std::byte>(sectors * 512)};
    for (std::size_t i = 0; i < disk.bytes.size(); ++i) disk.bytes[i] = initial(i);
    disks.push_back(disk);
  }
  static std::byte initial(std::size_t i) { return static_cast<std::byte>(i * 3 + i / 512 * 7); }

  unsigned disk_count() const override { return static_cast<unsigned>(disks.size()); }
  DiskInformation disk(unsigned number) const override {
    const Disk& disk = disks[number];
    return {disk.kind, disk.kind == DiskKind::cdrom, false,
            static_cast<std::uint32_t>(disk.bytes.size() / 512)};
  }
  bool read_disk(unsigned number, std::uint32_t sector, std::span<std::byte> out) override {
    if (!has(number, sector, out.size())) return false;
    std::memcpy(out.data(), disks[number].bytes.data() + sector * 512, out.size());
    return true;
  }
  bool write_disk(unsigned number, std::uint32_t sector, std::span<const std::byte> in) override {
    if (!has(number, sector, in.size()) || disks[number].kind == DiskKind::cdrom) return false;
    std::memcpy(disks[number].bytes.data() + sector * 512, in.data(), in.size());
    return true;
  }
  std::vector<Disk> disks;

 private:
  bool has(unsigned number, std::uint32_t sector, std::size_t bytes) const {
    return bytes % 512 == 0 && std::size_t{sector} * 512 + bytes <= disks[number].bytes.size();
  }
};

// Register accesses of the first channel, if no other is named.
struct IdeTest : testing::Test {
  static constexpr std::uint16_t command_block = 0x1f0, control_block = 0x3f6;

  VectorDisks disks;
  VectorMemory memory{0x40000};
  IdeController ide;
  std::uint16_t base = command_block, control = control_block;

  void attach(DiskKind kind, std::uint32_t sectors) {
    disks.add(kind, sectors);
    const unsigned number = disks.disk_count() - 1;
    ASSERT_TRUE(ide.attach(number, disks.disk(number)));
  }
  void use_second_channel() {
    base = 0x170;
    control = 0x376;
  }
  unsigned channel() const { return base == command_block ? 0 : 1; }
  IdeController::Reach reach() { return {disks, &memory}; }

  std::uint32_t port_in(std::uint16_t port, unsigned size = 1) {
    const auto found = IdeController::find_port(port, size);
    EXPECT_TRUE(found.has_value()) << std::hex << port;
    return found ? ide.read(*found, size, reach()) : 0;
  }
  void port_out(std::uint16_t port, std::uint32_t value, unsigned size = 1) {
    const auto found = IdeController::find_port(port, size);
    ASSERT_TRUE(found.has_value()) << std::hex << port;
    ide.write(*found, value, size, reach());
  }
  std::uint32_t get(unsigned offset) { return port_in(static_cast<std::uint16_t>(base + offset)); }
  void set(unsigned offset, std::uint32_t value) {
    port_out(static_cast<std::uint16_t>(base + offset), value);
  }
  std::uint32_t status() { return get(7); }
  std::uint32_t alternate_status() { return port_in(control); }
  bool line() const { return ide.interrupt_line(channel()); }

  // Drive 0, a 28-bit block address.
  void command(std::uint32_t code, std::uint32_t sector = 0, std::uint32_t count = 1) {
    set(6, 0xe0 | (sector >> 24 & 0x0f));
    set(2, count);
    set(3, sector);
    set(4, sector >> 8);
    set(5, sector >> 16);
    set(7, code);
  }
  // A 48-bit one.
  void extended(std::uint32_t code, std::uint32_t sector, std::uint32_t count) {
    set(6, 0x40);
    set(2, count >> 8);
    set(3, sector >> 24);
    set(4, 0);
    set(5, 0);
    set(2, count);
    set(3, sector);
    set(4, sector >> 8);
    set(5, sector >> 16);
    set(7, code);
  }
  std::vector<std::byte> read_words(unsigned bytes, unsigned size = 2) {
    std::vector<std::byte> out(bytes);
    for (unsigned i = 0; i < bytes; i += size) {
      const std::uint32_t word = port_in(base, size);
      std::memcpy(out.data() + i, &word, std::min(size, bytes - i));
    }
    return out;
  }
  void write_words(const std::vector<std::byte>& bytes, unsigned size = 2) {
    for (unsigned i = 0; i < bytes.size(); i += size) {
      std::uint32_t word = 0;
      std::memcpy(&word, bytes.data() + i, size);
      port_out(base, word, size);
    }
  }
  static std::vector<std::byte> sectors_of(const VectorDisks::Disk& disk, unsigned first,
                                           unsigned count) {
    return {disk.bytes.begin() + first * 512, disk.bytes.begin() + (first + count) * 512};
  }
  static std::vector<std::byte> pattern(unsigned bytes, unsigned seed) {
    std::vector<std::byte> out(bytes);
    for (unsigned i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i * 11 + seed + i / 256);
    return out;
  }
  unsigned word_of(const std::vector<std::byte>& bytes, unsigned index) const {
    return std::to_integer<unsigned>(bytes[2 * index]) |
           std::to_integer<unsigned>(bytes[2 * index + 1]) << 8;
  }

  // The bus master's registers of the channel.
  std::uint32_t master(unsigned offset) { return ide.read_bus_master(8 * channel() + offset, 1); }
  void set_master(unsigned offset, std::uint32_t value, unsigned size = 1) {
    ide.write_bus_master(8 * channel() + offset, value, size, reach());
  }
  struct Region {
    std::uint32_t address, bytes;
    bool last;
  };
  static constexpr std::uint32_t table = 0x1000;
  void set_table(const std::vector<Region>& regions) {
    std::uint32_t at = table;
    for (const Region& region : regions) {
      memory.set_word(at, region.address);
      memory.set_word(at + 4, region.bytes | (region.last ? 0x80000000u : 0));
      at += 8;
    }
    set_master(4, table, 4);
  }
  std::vector<std::byte> memory_at(std::uint32_t address, std::uint32_t bytes) const {
    return {memory.bytes.begin() + address, memory.bytes.begin() + address + bytes};
  }
};

}  // namespace undercroft
