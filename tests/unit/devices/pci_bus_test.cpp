// Configuration mechanism 1, configuration spaces, I/O ranges and the interrupt lines that
// functions share.
#include "monitor/devices/pci_bus.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/pci_chipset.hpp"

namespace undercroft {
namespace {

constexpr PciPlace odd = pci_place(3), even = pci_place(4), other_odd = pci_place(5);

struct PciBusTest : testing::Test {
  PciBusTest() {
    pci_chipset::add_bridges(bus);
    for (const PciPlace place : {odd, even, other_odd}) {
      PciFunctionLayout layout{.place = place,
                               .vendor = 0x1af4,
                               .device = 0x1005,
                               .class_code = 0x00ff01,
                               .revision = 7,
                               .subsystem_vendor = 0x1af4,
                               .subsystem = 4};
      layout.io_bar = 2;
      layout.io_size = 0x20;
      layout.io_address = static_cast<std::uint16_t>(0xc000 + 0x20 * (place >> 3));
      layout.interrupt = true;
      EXPECT_TRUE(bus.add(layout));
    }
  }
  void address(PciPlace place, unsigned offset, unsigned on_bus = 0) {
    bus.write_address(0x80000000u | on_bus << 16 | std::uint32_t{place} << 8 | (offset & 0xfc));
  }
  std::uint32_t get(PciPlace place, unsigned offset, unsigned size) {
    address(place, offset);
    return bus.read_data(offset & 3, size);
  }
  void set(PciPlace place, unsigned offset, std::uint32_t value, unsigned size) {
    address(place, offset);
    bus.write_data(offset & 3, value, size);
  }
  PciBus bus;
};

TEST_F(PciBusTest, AddressRegisterKeepsItsBitsOnly) {
  bus.write_address(0xffffffff);
  EXPECT_EQ(bus.read_address(), 0x80fffffcu);
  bus.write_address(0);
  EXPECT_EQ(bus.read_address(), 0u);
}

TEST_F(PciBusTest, HeaderSaysWhatTheFunctionIs) {
  EXPECT_EQ(get(odd, 0x00, 4), 0x10051af4u);
  EXPECT_EQ(get(odd, 0x08, 4), 0x00ff0107u);
  EXPECT_EQ(get(odd, 0x0c, 4), 0u);
  EXPECT_EQ(get(odd, 0x2c, 4), 0x00041af4u);
  EXPECT_EQ(get(odd, 0x3c, 2), 0x010bu) << "INTA, IRQ 11";
  EXPECT_EQ(get(even, 0x3c, 2), 0x010au) << "INTA, IRQ 10";
  EXPECT_EQ(get(odd, 0x02, 2), 0x1005u);
  EXPECT_EQ(get(odd, 0x03, 1), 0x10u);
}

TEST_F(PciBusTest, Bridges) {
  EXPECT_EQ(get(pci_chipset::host_bridge, 0x00, 4), 0x12378086u);
  EXPECT_EQ(get(pci_chipset::host_bridge, 0x08, 4), 0x06000002u);
  EXPECT_EQ(get(pci_chipset::isa_bridge, 0x00, 4), 0x70008086u);
  EXPECT_EQ(get(pci_chipset::isa_bridge, 0x08, 4), 0x06010000u);
  EXPECT_EQ(get(pci_chipset::isa_bridge, 0x0e, 1), 0x80u) << "several functions";
  EXPECT_EQ(get(pci_chipset::host_bridge, 0x0e, 1), 0u);
  EXPECT_EQ(get(pci_chipset::isa_bridge, 0x60, 4), 0x0a0b0a0bu);
}

TEST_F(PciBusTest, NothingAnswersElsewhere) {
  EXPECT_EQ(get(pci_place(2), 0, 4), 0xffffffffu);
  EXPECT_EQ(get(pci_place(3, 1), 0, 2), 0xffffu);
  address(odd, 0, 1);
  EXPECT_EQ(bus.read_data(0, 4), 0xffffffffu) << "another bus";
  bus.write_address(std::uint32_t{odd} << 8);
  EXPECT_EQ(bus.read_data(0, 4), 0xffffffffu) << "not enabled";
  bus.write_data(0, 0, 4);
}

TEST_F(PciBusTest, IdentityCannotBeWritten) {
  for (const unsigned offset : {0x00u, 0x08u, 0x0cu, 0x2cu, 0x30u, 0x34u}) {
    const std::uint32_t before = get(odd, offset, 4);
    set(odd, offset, ~before, 4);
    EXPECT_EQ(get(odd, offset, 4), before) << offset;
  }
  set(odd, 0x3d, 0xff, 1);
  EXPECT_EQ(get(odd, 0x3d, 1), 1u) << "the pin";
}

TEST_F(PciBusTest, RangeTellsItsSizeAndMoves) {
  EXPECT_EQ(get(odd, 0x18, 4), 0xc061u);
  set(odd, 0x18, 0xffffffff, 4);
  EXPECT_EQ(get(odd, 0x18, 4), 0xffffffe1u);
  EXPECT_EQ(bus.find_port(0xffe0, 1), std::nullopt) << "beyond 64 K";
  set(odd, 0x18, 0xd007, 4);
  EXPECT_EQ(get(odd, 0x18, 4), 0xd001u);
  EXPECT_EQ(bus.find_port(0xc060, 1), std::nullopt);
  EXPECT_EQ(bus.find_port(0xd01f, 1), (PciPort{odd, 0x1f}));
  for (const unsigned other : {0x10u, 0x14u, 0x1cu, 0x20u, 0x24u}) {
    set(odd, other, 0xffffffff, 4);
    EXPECT_EQ(get(odd, other, 4), 0u) << "no other range";
  }
}

TEST_F(PciBusTest, PortsBelongToTheFunctionWhoseRangeHasThem) {
  EXPECT_EQ(bus.find_port(0xc080, 4), (PciPort{even, 0}));
  EXPECT_EQ(bus.find_port(0xc07f, 1), (PciPort{odd, 0x1f}));
  EXPECT_EQ(bus.find_port(0xc07f, 2), std::nullopt) << "in part only";
  EXPECT_EQ(bus.find_port(0xc05f, 1), std::nullopt);
  set(even, 0x04, 0x0000, 2);
  EXPECT_EQ(bus.find_port(0xc080, 4), std::nullopt) << "I/O off";
}

TEST_F(PciBusTest, CommandAndStatus) {
  EXPECT_EQ(get(odd, 0x04, 4), 0x02000001u);
  EXPECT_FALSE(bus.may_master(odd));
  set(odd, 0x04, 0xffffffff, 4);
  EXPECT_EQ(get(odd, 0x04, 4), 0x02000547u) << "status is not written";
  EXPECT_TRUE(bus.may_master(odd));
  EXPECT_FALSE(bus.may_master(pci_place(9)));
}

TEST_F(PciBusTest, FunctionsShareLines) {
  EXPECT_EQ(bus.interrupt_lines(), 0u);
  bus.set_interrupt(odd, true);
  bus.set_interrupt(other_odd, true);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 11);
  bus.set_interrupt(odd, false);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 11) << "the other one still asks";
  EXPECT_EQ(get(other_odd, 0x06, 2), 0x0208u) << "and its status says so";
  bus.set_interrupt(even, true);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 10 | 1u << 11);
  bus.set_interrupt(other_odd, false);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 10);
  bus.set_interrupt(pci_place(9), true);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 10);
}

TEST_F(PciBusTest, InterruptDisableHoldsTheRequestBack) {
  bus.set_interrupt(even, true);
  set(even, 0x04, 0x0401, 2);
  EXPECT_EQ(bus.interrupt_lines(), 0u);
  EXPECT_EQ(get(even, 0x06, 2), 0x0208u);
  set(even, 0x04, 0x0001, 2);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 10);
}

TEST_F(PciBusTest, RouterSaysWhichLine) {
  bus.set_interrupt(even, true);  // device 4: line D of the bus
  set(pci_chipset::isa_bridge, 0x63, 5, 1);
  EXPECT_EQ(bus.interrupt_lines(), 1u << 5);
  set(pci_chipset::isa_bridge, 0x63, 0x80, 1);
  EXPECT_EQ(bus.interrupt_lines(), 0u);
  for (const unsigned reserved : {0u, 1u, 2u, 8u, 13u}) {
    set(pci_chipset::isa_bridge, 0x63, reserved, 1);
    EXPECT_EQ(bus.interrupt_lines(), 0u) << reserved;
  }
}

TEST_F(PciBusTest, FullOrTakenPlaces) {
  EXPECT_FALSE(bus.add({.place = odd}));
  unsigned added = 0;
  for (unsigned device = 10; device < 32; ++device) added += bus.add({.place = pci_place(device)});
  EXPECT_EQ(added, PciBus::max_functions - 5);
}

}  // namespace
}  // namespace undercroft
