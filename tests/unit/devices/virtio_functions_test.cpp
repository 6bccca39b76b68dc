// The virtio functions as a driver finds them through the PC's ports.
#include "monitor/devices/virtio_functions.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "monitor/devices/pc.hpp"
#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/virtio_driver.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t page = 0x10, other_page = 0x20;

class TwoDisks final : public DiskPort {
 public:
  unsigned disk_count() const override { return 3; }
  DiskInformation disk(unsigned disk) const override {
    return {disk == 1 ? DiskKind::ata : DiskKind::virtio, false, false, 100 + disk};
  }
  bool read_disk(unsigned disk, std::uint32_t, std::span<std::byte> out) override {
    std::fill(out.begin(), out.end(), static_cast<std::byte>(0x10 + disk));
    return true;
  }
  bool write_disk(unsigned, std::uint32_t, std::span<const std::byte>) override { return true; }
};

struct ZeroEntropy final : EntropySource {
  unsigned samples_of_a_key() const override { return 0; }
  std::uint64_t sample() override { return 0; }
};

struct VirtioFunctionsTest : testing::Test {
  VirtioFunctionsTest() {
    pc.connect(memory);
    pc.connect(entropy);
    pc.connect(disks);
  }
  std::uint32_t in(std::uint32_t port, unsigned size) {
    return pc.port_read(static_cast<std::uint16_t>(port), size);
  }
  void out(std::uint32_t port, std::uint32_t value, unsigned size) {
    pc.port_write(static_cast<std::uint16_t>(port), value, size);
  }
  std::uint32_t configuration(unsigned device, unsigned offset) {
    out(0xcf8, 0x80000000 | device << 11 | offset, 4);
    return in(0xcfc, 4);
  }
  // I/O and bus mastering on; the address of the function's ports.
  std::uint32_t switch_on(unsigned device) {
    const std::uint32_t base = configuration(device, 0x10) & ~3u;
    configuration(device, 4);
    out(0xcfc, 5, 2);
    return base;
  }
  void bring_up_at(std::uint32_t base, std::span<const std::uint32_t> pages) {
    bring_up([&](unsigned o, std::uint32_t v, unsigned s) { out(base + o, v, s); }, 0, pages);
  }

  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  FlatDma memory;
  TwoDisks disks;
  ZeroEntropy entropy;
  Pc pc{{256u << 20, 1577836800}, clock, com1, debug_console, log};
};

TEST_F(VirtioFunctionsTest, TheirPlaces) {
  struct {
    unsigned device;
    std::uint32_t id, subsystem, bar;
  } const rows[] = {
      {3, 0x10051af4, 0x00041af4, 0xc041},     {4, 0x10031af4, 0x00031af4, 0xc081},
      {5, 0x10011af4, 0x00021af4, 0xc0c1},     {6, 0x10011af4, 0x00021af4, 0xc101},
      {7, 0xffffffff, 0xffffffff, 0xffffffff},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(configuration(row.device, 0), row.id) << row.device;
    EXPECT_EQ(configuration(row.device, 0x2c), row.subsystem) << row.device;
    EXPECT_EQ(configuration(row.device, 0x10), row.bar) << row.device;
    EXPECT_EQ(configuration(row.device, 8) & 0xff, row.device == 7 ? 0xffu : 0u);
  }
  EXPECT_EQ(in(0xc0c0 + 20, 4), 100u);
  EXPECT_EQ(in(0xc100 + 20, 4), 102u);  // the second disk of the kind
  Pc isa{{256u << 20, 0, MachineKind::isa}, clock, com1, debug_console, log};
  isa.connect(disks);
  EXPECT_EQ(isa.port_read(0xc0c0 + 20, 4), ~0u);
}

TEST_F(VirtioFunctionsTest, PortsMoveWithTheAddressRegister) {
  configuration(5, 0x10);
  out(0xcfc, 0x7000, 4);
  EXPECT_EQ(in(0x7000 + 20, 4), 100u);
  EXPECT_EQ(in(0xc0c0 + 20, 4), ~0u);
}

TEST_F(VirtioFunctionsTest, ARequestRaisesTheFunctionsLine) {
  for (const unsigned device : {5u, 6u}) {
    const std::uint32_t base = switch_on(device);
    const std::uint32_t pages[] = {page};
    FakeDriver driver(memory, page, VirtioBlock::queue_size);
    driver.set_offered(0);
    bring_up_at(base, pages);
    memory.set<std::uint32_t>(0x2000, 0);
    memory.set<std::uint64_t>(0x2008, 1);
    driver.offer(0, {{0x2000, 16}, {0x3000, 512, true}, {0x2100, 1, true}});
    const unsigned line = device == 5 ? 11 : 10;
    EXPECT_EQ(pc.state().pci.interrupt_lines(), 0u);
    out(base + 16, 0, 2);
    EXPECT_EQ(memory.get<std::uint8_t>(0x3000), device == 5 ? 0x10 : 0x12);
    EXPECT_EQ(pc.state().pci.interrupt_lines(), 1u << line);
    EXPECT_EQ(in(base + 19, 1), 1u);
    EXPECT_EQ(pc.state().pci.interrupt_lines(), 0u);
  }
}

TEST_F(VirtioFunctionsTest, WithoutBusMasteringNothingIsRead) {
  const std::uint32_t base = switch_on(5);
  configuration(5, 4);
  out(0xcfc, 1, 2);
  const std::uint32_t pages[] = {page};
  bring_up_at(base, pages);
  const unsigned before = memory.accesses;
  out(base + 16, 0, 2);
  EXPECT_EQ(memory.accesses, before);
}

TEST_F(VirtioFunctionsTest, InputIsForTheConsoleWhileCom1DoesNotWantIt) {
  const std::uint32_t base = switch_on(4);
  const std::uint32_t pages[] = {page, other_page};
  FakeDriver receive(memory, page, VirtioConsole::queue_size);
  bring_up_at(base, pages);
  out(0x3fa, 1, 1);  // COM1's FIFO
  ASSERT_TRUE(pc.can_take_serial_input());
  pc.serial_input('a');  // no buffer yet
  EXPECT_EQ(in(0x3f8, 1), std::uint32_t{'a'});
  receive.offer(0, {{0x3000, 8, true}});
  pc.serial_input('b');
  EXPECT_EQ(memory.get<char>(0x3000), 'b');
  EXPECT_EQ(pc.state().pci.interrupt_lines(), 1u << 10);
  receive.offer(0, {{0x3000, 8, true}});
  out(0x3f9, 1, 1);
  pc.serial_input('c');
  EXPECT_EQ(in(0x3f8, 1), std::uint32_t{'c'});
  out(0x3f9, 0, 1);  // a driver that sends disables them for a moment
  pc.serial_input('d');
  EXPECT_EQ(in(0x3f8, 1), std::uint32_t{'d'});
  clock.time += 1'000'000'000;
  pc.serial_input('e');
  EXPECT_EQ(memory.get<char>(0x3000), 'e');
  EXPECT_FALSE(pc.can_take_serial_input()) << "what follows waits for the console's next buffer";
  receive.offer(0, {{0x3000, 8, true}});
  EXPECT_TRUE(pc.can_take_serial_input());
  out(base + 18, 0, 1);  // the driver has gone
  EXPECT_TRUE(pc.can_take_serial_input());
  pc.serial_input('f');
  EXPECT_EQ(in(0x3f8, 1), std::uint32_t{'f'});
}

TEST_F(VirtioFunctionsTest, ConsoleOutputGoesToTheSerialLineInItsTime) {
  const std::uint32_t base = switch_on(4);
  const std::uint32_t pages[] = {page, other_page};
  FakeDriver transmit(memory, other_page, VirtioConsole::queue_size);
  bring_up_at(base, pages);
  transmit.offer(0, {{0x3000, 1500}});
  out(base + 16, 1, 2);
  EXPECT_EQ(com1.text.size(), 1024u);
  EXPECT_LE(pc.next_deadline(), VirtioConsole::pause_nanoseconds);
  clock.time = VirtioConsole::pause_nanoseconds;
  pc.advance(clock.time);
  EXPECT_EQ(com1.text.size(), 1500u);
}

TEST_F(VirtioFunctionsTest, AStatePutBackGoesOn) {
  const std::uint32_t base = switch_on(5);
  const std::uint32_t pages[] = {page};
  FakeDriver driver(memory, page, VirtioBlock::queue_size);
  bring_up_at(base, pages);
  const PcState kept = pc.state();
  out(base + 18, 0, 1);
  pc.restore(kept);
  EXPECT_EQ(in(base + 8, 4), page);
  EXPECT_EQ(in(base + 18, 1), 7u);
}

}  // namespace
}  // namespace undercroft::test
