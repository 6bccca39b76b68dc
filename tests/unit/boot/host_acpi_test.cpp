#include "boot/host_acpi.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace undercroft::boot {
namespace {

// Memory that is zero where a test has put nothing.
class Memory final : public PhysicalReader {
 public:
  std::uint8_t byte(std::uint32_t address) const override {
    const auto found = bytes.find(address);
    return found == bytes.end() ? std::uint8_t{0} : found->second;
  }
  void put(std::uint32_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
  }
  void text(std::uint32_t at, const std::string& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      bytes[at + static_cast<std::uint32_t>(i)] = static_cast<std::uint8_t>(words[i]);
    }
  }
  void make_sum_zero(std::uint32_t at, std::uint32_t length, std::uint32_t where) {
    put(where, 0, 1);
    std::uint8_t sum = 0;
    for (std::uint32_t i = 0; i < length; ++i) sum = static_cast<std::uint8_t>(sum + byte(at + i));
    put(where, static_cast<std::uint8_t>(-sum), 1);
  }
  void table(std::uint32_t at, const std::string& name, std::uint32_t length) {
    text(at, name);
    put(at + 4, length, 4);
    make_sum_zero(at, length, at + 9);
  }

  std::map<std::uint32_t, std::uint8_t> bytes;
};

class HostAcpiTables : public testing::Test {
 protected:
  static constexpr std::uint32_t pointer = 0xf5ad0, root = 0x7fe0000;
  static constexpr std::uint32_t madt = 0x7fe1000, hpet = 0x7fe2000, fadt = 0x7fe3000;

  HostAcpiTables() {
    memory.text(pointer, "RSD PTR ");
    memory.put(pointer + 16, root, 4);
    memory.make_sum_zero(pointer, 20, pointer + 8);
    unsigned entry = 0;
    for (const std::uint32_t table : {madt, hpet, fadt}) {
      memory.put(root + 36 + 4 * entry++, table, 4);
    }
    memory.table(root, "RSDT", 48);
    // Two processors that can be used, one that cannot, an I/O APIC and an override.
    const std::uint8_t entries[][8] = {{0, 8, 0, 0, 1}, {0, 8, 1, 1, 1}, {0, 8, 2, 2, 0}};
    std::uint32_t at = madt + 44;
    for (const auto& bytes : entries) {
      for (const std::uint8_t byte : bytes) memory.put(at++, byte, 1);
    }
    memory.put(at, 0x0c01, 2);
    at += 12;
    memory.put(at, 0x0a02, 2);
    at += 10;
    memory.table(madt, "APIC", at - madt);
    memory.put(hpet + 44, 0xfed00000, 4);
    memory.table(hpet, "HPET", 56);
    memory.put(fadt + 76, 0x608, 4);
    memory.put(fadt + 91, 4, 1);
    memory.table(fadt, "FACP", 116);
  }
  HostAcpi found(std::uint32_t at = 0) const { return read_host_acpi(memory, at); }

  Memory memory;
};

TEST_F(HostAcpiTables, AreFoundInTheBiosArea) {
  const HostAcpi acpi = found();
  EXPECT_TRUE(acpi.found);
  EXPECT_EQ(acpi.hpet, 0xfed00000u);
  EXPECT_EQ(acpi.power_timer, 0x608);
  EXPECT_EQ(acpi.processors, 2u);
  EXPECT_EQ(acpi.io_apics, 1u);
}

TEST_F(HostAcpiTables, AreFoundInTheExtendedDataArea) {
  for (unsigned i = 0; i < 20; ++i) memory.put(0x9fc20 + i, memory.byte(pointer + i), 1);
  memory.put(pointer, 0, 1);
  EXPECT_FALSE(found().found);
  memory.put(0x40e, 0x9fc0, 2);
  EXPECT_TRUE(found().found);
}

TEST_F(HostAcpiTables, AreFoundWhereTheLoaderSays) {
  for (unsigned i = 0; i < 20; ++i) memory.put(0x12344 + i, memory.byte(pointer + i), 1);
  memory.put(pointer, 0, 1);
  EXPECT_TRUE(found(0x12344).found);
  EXPECT_FALSE(found(0x12348).found);
}

TEST_F(HostAcpiTables, RootOf64BitAddresses) {
  memory.put(pointer + 15, 2, 1);
  memory.put(pointer + 16, 0, 4);
  memory.put(pointer + 24, root + 0x800, 8);
  memory.make_sum_zero(pointer, 20, pointer + 8);
  memory.put(root + 0x824, hpet, 8);
  memory.put(root + 0x82c, 0x100000000 + fadt, 8);  // out of reach
  memory.table(root + 0x800, "XSDT", 52);
  EXPECT_EQ(found().hpet, 0xfed00000u);
  EXPECT_EQ(found().power_timer, 0u);
}

TEST_F(HostAcpiTables, WrongChecksumsAndSizesAreNothing) {
  const auto with = [this](auto change) {
    const Memory kept = memory;
    change();
    const HostAcpi acpi = found();
    memory = kept;
    return acpi;
  };
  EXPECT_FALSE(with([&] { memory.put(pointer + 9, 1, 1); }).found);
  EXPECT_FALSE(with([&] { memory.put(root + 10, 1, 1); }).found);
  EXPECT_FALSE(with([&] { memory.put(root + 4, 0xfffffff0, 4); }).found);
  EXPECT_EQ(with([&] { memory.put(hpet + 10, 1, 1); }).hpet, 0u);
  EXPECT_EQ(with([&] { memory.table(hpet, "HPET", 55); }).hpet, 0u);
  EXPECT_EQ(with([&] {
              memory.put(hpet + 48, 1, 4);
              memory.table(hpet, "HPET", 56);
            }).hpet,
            0u);
  // An entry of no length ends the list.
  EXPECT_EQ(with([&] {
              memory.put(madt + 44 + 9, 0, 1);
              memory.table(madt, "APIC", 90);
            }).processors,
            1u);
}

}  // namespace
}  // namespace undercroft::boot
