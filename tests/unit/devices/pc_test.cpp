// The PC as a guest's driver sees it: ports, interrupt lines, time.
#include "monitor/devices/pc.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/fakes/device_fakes.hpp"

namespace undercroft {
namespace {

constexpr std::uint64_t millisecond = 1'000'000;

struct PcTest : testing::Test {
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{256u << 20, 1577836800}, clock, com1, debug_console, log};

  std::uint32_t in(std::uint16_t port, unsigned size = 1) { return pc.port_read(port, size); }
  void out(std::uint16_t port, std::uint32_t value, unsigned size = 1) {
    pc.port_write(port, value, size);
  }
  // As Linux does: vectors from 0x30, everything masked but `lines`.
  void set_up_interrupts(unsigned lines) {
    for (const std::uint32_t word : {0x11u}) out(0x20, word);
    for (const std::uint32_t word : {0x30u, 0x04u, 0x01u}) out(0x21, word);
    out(0xa0, 0x11);
    for (const std::uint32_t word : {0x38u, 0x02u, 0x01u}) out(0xa1, word);
    out(0x21, ~lines & 0xfb);
    out(0xa1, ~lines >> 8 & 0xff);
  }
  void set_up_timer(std::uint16_t count) {
    out(0x43, 0x34);
    out(0x40, count & 0xff);
    out(0x40, count >> 8);
  }
  unsigned take() {  // one interrupt, with its EOI
    if (!pc.interrupt_pending()) return 0;
    const unsigned vector = pc.acknowledge_interrupt();
    if (vector >= 0x38) out(0xa0, 0x20);
    out(0x20, 0x20);
    return vector;
  }
  void move_to(std::uint64_t time) {
    clock.time = time;
    pc.advance(time);
  }
  // A running guest: all that happens until then.
  void pass_until(std::uint64_t time) {
    while (pc.next_deadline() <= time) move_to(pc.next_deadline());
    move_to(time);
  }
  // A guest whose handler takes that long; how many interrupts it has begun with.
  unsigned serve_until(std::uint64_t end, std::uint64_t handler = 0) {
    unsigned begun = 0;
    while (clock.time < end) {
      if (!pc.interrupt_pending()) {
        move_to(std::min(end, pc.next_deadline()));
        continue;
      }
      pc.acknowledge_interrupt();
      pass_until(clock.time + handler);
      out(0x20, 0x20);
      ++begun;
    }
    return begun;
  }
};

TEST_F(PcTest, TheAcpiTimerRaisesIrq9IfAskedTo) {
  set_up_interrupts(1u << 9 | 1u << 2);
  EXPECT_EQ(in(0x604) & 1, 1u) << "ACPI is on";
  out(0x602, 0x01);
  constexpr std::uint64_t due = 2'343'484'438;  // 2^23 ticks
  EXPECT_LE(pc.next_deadline(), due);
  move_to(due - 100);
  EXPECT_FALSE(pc.interrupt_pending());
  move_to(due);
  EXPECT_EQ(take(), 0x39u);
  out(0x600, 0x01);
  EXPECT_FALSE(pc.interrupt_pending());
}

// What is answered without bringing the devices up to date is what they would say.
TEST_F(PcTest, PortsOfTime) {
  out(0x43, 0xb6);  // channel 2: square wave
  out(0x42, 0x00);
  out(0x42, 0x10);
  out(0x61, 0x01);
  for (std::uint64_t time = 0; time < 40 * millisecond; time += 321'987) {
    clock.time = time;
    EXPECT_EQ(pc.read_time_port(0x608, 4), in(0x608, 4));
    EXPECT_EQ(pc.read_time_port(0x61, 1), in(0x61));
  }
  for (const auto& [port, size] : {std::pair{0x608, 1u}, {0x604, 4u}, {0x61, 2u}, {0x60, 1u}}) {
    EXPECT_FALSE(pc.read_time_port(static_cast<std::uint16_t>(port), size).has_value()) << port;
  }
}

// Every device answers at its ports, and only there.
TEST_F(PcTest, PortsThatAnswer) {
  struct Range {
    std::uint16_t first, last;
  };
  const std::vector<Range> claimed{
      {0x00, 0x0f},     {0x20, 0x21},    {0x40, 0x43},   {0x60, 0x61},   {0x64, 0x64},
      {0x70, 0x71},     {0x80, 0x8f},    {0x92, 0x92},   {0xa0, 0xa1},   {0xc0, 0xdf},
      {0xe9, 0xe9},     {0xf0, 0xf1},    {0xf4, 0xf7},   {0x3b4, 0x3b5}, {0x3ba, 0x3ba},
      {0x3c0, 0x3df},   {0x3f8, 0x3ff},  {0x4d0, 0x4d1}, {0x600, 0x60b}, {0xcf8, 0xcff},
      {0x8900, 0x8900}, {0xc040, 0xc0bf}};
  std::vector<bool> expected(0x10000, false);
  for (const Range& range : claimed) {
    for (unsigned port = range.first; port <= range.last; ++port) expected[port] = true;
  }
  for (unsigned port = 0; port < 0x10000; ++port) {
    log.entries.clear();
    const std::uint32_t value = in(static_cast<std::uint16_t>(port));
    ASSERT_EQ(log.entries.empty(), static_cast<bool>(expected[port])) << std::hex << port;
    ASSERT_TRUE(expected[port] || value == 0xff) << std::hex << port;
  }
}

TEST_F(PcTest, AbsentSerialPortsReadAsOnes) {
  for (const std::uint16_t port : {0x2f8, 0x3e8, 0x2e8}) EXPECT_EQ(in(port + 5u), 0xffu);
}

TEST_F(PcTest, AbsentPciReadsAsOnes) {
  Pc isa{{256u << 20, 0, MachineKind::isa}, clock, com1, debug_console, log};
  isa.port_write(0xcf8, 0x80000000, 4);
  EXPECT_EQ(isa.port_read(0xcf8, 4), 0xffffffffu);
  EXPECT_EQ(isa.port_read(0xcfc, 4), 0xffffffffu);
  EXPECT_EQ(isa.port_read(0x4d1, 1), 0u);
  EXPECT_TRUE(log.entries.empty());
}

TEST_F(PcTest, PciConfigurationLeavesTheResetRegisterAlone) {
  for (const MachineKind kind : {MachineKind::isa, MachineKind::pc}) {
    Pc machine{{256u << 20, 0, kind}, clock, com1, debug_console, log};
    machine.port_write(0xcf8, 0xffffffff, 4);  // covers 0xcf9, and is not a reset
    machine.port_write(0xcf9, 0xffff, 2);
    machine.port_write(0xcfa, 0xff, 1);
    EXPECT_EQ(machine.request().kind, PcRequest::Kind::none);
    machine.port_write(0xcf9, 0x06, 1);
    EXPECT_EQ(machine.request().kind, PcRequest::Kind::reset);
  }
}

// Bytes and words at 0xcf8 are not the address register's.
TEST_F(PcTest, PciConfigurationPorts) {
  out(0xcf8, 0x80000800, 4);
  out(0xcf8, 0x00, 1);
  out(0xcfa, 0x0000, 2);
  EXPECT_EQ(in(0xcf8, 4), 0x80000800u);
  EXPECT_EQ(in(0xcf8, 2), 0xffffu);
  EXPECT_EQ(in(0xcfb), 0xffu);
  EXPECT_EQ(in(0xcfc, 4), 0x70008086u);
  EXPECT_EQ(in(0xcfe, 2), 0x7000u);
  EXPECT_EQ(in(0xcfd), 0x80u);
  EXPECT_EQ(in(0xcfa, 4), 0x8086ffffu) << "across both registers";
  EXPECT_EQ(in(0xcff, 2), 0xff70u) << "past the end";
  out(0xcf8, 0x800008e0, 4);
  EXPECT_EQ(in(0xcfc, 4), 0u);
  EXPECT_EQ(in(0x4d1), 0x0cu) << "the firmware has made the routed lines level-triggered";
}

TEST_F(PcTest, TextGoesToItsSinks) {
  for (const char c : {'h', 'i'}) out(0x3f8, c);
  out(0xe9, '!');
  EXPECT_EQ(in(0xe9), 0xe9u);
  EXPECT_EQ(com1.text, "hi");
  EXPECT_EQ(debug_console.text, "!");
}

struct RequestRow {
  const char* name;
  std::uint16_t port;
  std::uint32_t value;
  unsigned size;
  PcRequest request;
};

TEST_F(PcTest, WaysToEndTheMachine) {
  const RequestRow rows[] = {
      {"ACPI", 0x604, 0x2000, 2, {PcRequest::Kind::power_off, 0}},
      {"reset control", 0xcf9, 0x06, 1, {PcRequest::Kind::reset, 0}},
      {"keyboard controller", 0x64, 0xfe, 1, {PcRequest::Kind::reset, 0}},
      {"port A", 0x92, 0x03, 1, {PcRequest::Kind::reset, 0}},
      {"exit, byte", 0xf4, 0x10, 1, {PcRequest::Kind::exit, 0x10}},
      {"exit, double word", 0xf4, 0x1234, 4, {PcRequest::Kind::exit, 0x1234}},
  };
  for (const RequestRow& row : rows) {
    Pc fresh{{64u << 20, 0}, clock, com1, debug_console, log};
    EXPECT_EQ(fresh.request().kind, PcRequest::Kind::none);
    fresh.port_write(row.port, row.value, row.size);
    EXPECT_EQ(fresh.request(), row.request) << row.name;
  }
  for (const char c : std::string_view("Shutdown")) out(0x8900, c);
  EXPECT_EQ(pc.request().kind, PcRequest::Kind::power_off);
}

TEST_F(PcTest, TimerInterruptsComeAtTheirDeadlines) {
  set_up_interrupts(0x0001);
  take();
  set_up_timer(4773);
  take();
  std::uint64_t ticks = 0;
  while (pc.next_deadline() < 1000 * millisecond) {
    move_to(pc.next_deadline());
    ASSERT_TRUE(pc.interrupt_pending());
    ASSERT_EQ(take(), 0x30u);
    ASSERT_FALSE(pc.interrupt_pending());
    ++ticks;
  }
  EXPECT_EQ(ticks, 249u) << "HZ=250, a little less";
}

TEST_F(PcTest, TicksThatPassedWhileTheGuestWasNotRunAreGivenLater) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);  // 1 ms
  take();
  const std::uint64_t begin = clock.time;
  move_to(begin + 10 * millisecond + millisecond / 2);
  EXPECT_EQ(take(), 0x30u);
  EXPECT_EQ(take(), 0u) << "not one right behind the other";
  EXPECT_EQ(serve_until(begin + 15 * millisecond + millisecond / 4), 10u) << "twice as many";
  EXPECT_EQ(serve_until(begin + 30 * millisecond + millisecond / 4), 19u) << "none is lost";
}

TEST_F(PcTest, LateTicksAreBounded) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  move_to(clock.time + 10'000 * millisecond);
  move_to(clock.time + 10'000 * millisecond);
  EXPECT_EQ(take(), 0x30u);
  const unsigned ticks = serve_until(clock.time + 1000 * millisecond + millisecond / 4);
  EXPECT_EQ(ticks, 1000 + LateTicks::most);
}

// There is time for what is not its handler, though ticks are owed.
TEST_F(PcTest, AHandlerThatTakesMoreThanHalfAPeriodGetsNoLateTicks) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  move_to(clock.time + 10 * millisecond + millisecond / 2);
  EXPECT_EQ(serve_until(clock.time + 10 * millisecond, 7 * millisecond / 10), 10u);
  EXPECT_EQ(serve_until(clock.time + 2 * millisecond), 4u) << "when it is faster again";
}

// One would wait at the end of each handler, and nothing else would ever run.
TEST_F(PcTest, AHandlerThatTakesMoreThanAPeriodLeavesTimeToAGuestThatIsOwedTicks) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  move_to(clock.time + 10 * millisecond + millisecond / 2);
  EXPECT_EQ(serve_until(clock.time + 30 * millisecond, 3 * millisecond / 2), 15u)
      << "in each two milliseconds half of one is left";
}

TEST_F(PcTest, TicksThatTheRunningGuestDidNotTakeAreLost) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  for (int i = 0; i < 10; ++i) move_to(pc.next_deadline());
  EXPECT_EQ(take(), 0x30u);
  EXPECT_EQ(take(), 0u);
}

TEST_F(PcTest, LateTicksAreNotKeptForAMaskedOrReprogrammedTimer) {
  set_up_interrupts(0x0000);
  set_up_timer(1193);
  move_to(clock.time + 10 * millisecond + millisecond / 2);
  out(0x21, 0xfa);
  EXPECT_EQ(take(), 0x30u) << "the one that is latched";
  EXPECT_EQ(serve_until(clock.time + 2 * millisecond), 2u);
  move_to(clock.time + 10 * millisecond);
  out(0x43, 0x30);  // mode 0: the output falls, the request is withdrawn
  EXPECT_EQ(take(), 0u);
}

TEST_F(PcTest, LatchesAndOtherChannelsDoNotTouchLateTicks) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  move_to(clock.time + 5 * millisecond + millisecond / 2);
  out(0x43, 0x00);
  out(0x43, 0xc2);
  out(0x43, 0xb0);  // another channel's control word and count
  out(0x42, 0x12);
  EXPECT_EQ(take(), 0x30u);
  EXPECT_EQ(serve_until(clock.time + 7 * millisecond / 4), 4u) << "two of them late";
}

TEST_F(PcTest, OneShotTimerAsLinuxProgramsIt) {
  set_up_interrupts(0x0001);
  take();
  out(0x43, 0x38);  // mode 4
  out(0x40, 0xa9);
  out(0x40, 0x04);  // 1193 ticks, 1 ms
  EXPECT_EQ(take(), 0u);
  const std::uint64_t due = pc.next_deadline();
  EXPECT_GT(due, clock.time + millisecond);
  EXPECT_LT(due, clock.time + millisecond + 3000);
  move_to(due);
  EXPECT_EQ(take(), 0x30u);
  EXPECT_EQ(pc.next_deadline(), no_deadline);
}

TEST_F(PcTest, SerialInputInterruptsOnLine4) {
  set_up_interrupts(0x0010);
  out(0x3fa, 0x01);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x01);
  EXPECT_TRUE(pc.can_take_serial_input());
  pc.serial_input('a');
  EXPECT_EQ(take(), 0x34u);
  EXPECT_EQ(in(0x3fa) & 0x0f, 0x04u);
  EXPECT_EQ(in(0x3f8), 'a');
  EXPECT_EQ(take(), 0u);
  pc.serial_input('b');
  EXPECT_EQ(take(), 0x34u);
}

TEST_F(PcTest, SerialTransmitterInterruptsAgainAfterEachBatch) {
  set_up_interrupts(0x0010);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x02);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(take(), 0x34u) << i;
    EXPECT_EQ(in(0x3fa) & 0x0f, 0x02u);
    out(0x3f8, 'x');
  }
}

TEST_F(PcTest, SerialTimeoutIsADeadline) {
  set_up_interrupts(0x0010);
  set_up_timer(0);
  out(0x3fa, 0xc1);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x01);
  pc.serial_input('a');
  EXPECT_EQ(take(), 0u);
  move_to(pc.next_deadline());
  EXPECT_EQ(take(), 0x34u);
}

TEST_F(PcTest, KeysInterruptOnLine1OnceForEachByte) {
  set_up_interrupts(0x0002);
  for (const std::uint8_t code : {0xe0, 0x48}) pc.keyboard_input(code);
  EXPECT_EQ(take(), 0x31u);
  EXPECT_EQ(in(0x60), 0xe0u);
  EXPECT_EQ(take(), 0x31u) << "the second byte is a new edge";
  EXPECT_EQ(in(0x60), 0x48u);
  EXPECT_EQ(take(), 0u);
}

TEST_F(PcTest, ClockInterruptsOnLine8) {
  set_up_interrupts(0x0100);
  out(0x43, 0x30);  // the timer is quiet
  out(0x70, 0x0b);
  out(0x71, 0x12);
  move_to(pc.next_deadline());
  EXPECT_EQ(clock.time, 1000 * millisecond);
  EXPECT_EQ(take(), 0x38u);
  move_to(2000 * millisecond);
  EXPECT_EQ(take(), 0u) << "until register C is read";
  out(0x70, 0x0c);
  EXPECT_EQ(in(0x71) & 0x90, 0x90u);
  move_to(pc.next_deadline());
  EXPECT_EQ(clock.time, 3000 * millisecond);
  EXPECT_EQ(take(), 0x38u);
}

TEST_F(PcTest, FpuErrorIsLine13UntilPortF0IsWritten) {
  set_up_interrupts(0x2000);
  pc.raise_fpu_error();
  EXPECT_EQ(take(), 0x3du);
  out(0xf0, 0);
  EXPECT_EQ(take(), 0u);
  pc.raise_fpu_error();
  EXPECT_EQ(take(), 0x3du);
}

TEST_F(PcTest, PortAccessesSeeTheTimeWithoutAdvance) {
  out(0x43, 0xb0);  // channel 2, mode 0: how Linux calibrates
  out(0x61, 0x01);
  out(0x42, 0x9b);
  out(0x42, 0x2e);  // 11931 ticks, 10 ms
  clock.time += 9 * millisecond;
  EXPECT_EQ(in(0x61) & 0x20, 0u);
  clock.time += 2 * millisecond;
  EXPECT_EQ(in(0x61) & 0x20, 0x20u);
}

TEST_F(PcTest, A20IsOnUnlessBothGatesAreOff) {
  EXPECT_TRUE(pc.a20_enabled());
  out(0x92, 0x00);
  EXPECT_TRUE(pc.a20_enabled());
  out(0x64, 0xdd);
  EXPECT_FALSE(pc.a20_enabled());
  out(0x92, 0x02);
  EXPECT_TRUE(pc.a20_enabled());
}

TEST_F(PcTest, VideoMemoryIsAtA0000) {
  const auto claims = [this](std::uint32_t address) {
    return std::ranges::any_of(pc.memory_ranges(), [address](const MemoryRange& range) {
      return range.has(GuestPhysical(address));
    });
  };
  EXPECT_FALSE(claims(0x9ffff));
  EXPECT_TRUE(claims(0xa0000));
  EXPECT_TRUE(claims(0xbffff));
  EXPECT_FALSE(claims(0xc0000));
  EXPECT_EQ(pc.memory_read(GuestPhysical(0xc0000), 4), 0xffffffffu);
  EXPECT_EQ(pc.memory_read(GuestPhysical(0xb8002), 2), 0xffffffffu) << "no memory yet";
  FakeVideoMemory memory;
  pc.set_video_memory(memory);
  pc.memory_write(GuestPhysical(0xb8002), 0x0741, 2);
  EXPECT_EQ(pc.memory_read(GuestPhysical(0xb8002), 2), 0x0741u);
  EXPECT_EQ(memory.bytes_[2], 'A');
  out(0x3d4, 0x0a0e, 2);  // index and data in one access
  EXPECT_EQ(pc.vga().registers().cursor(), 0x0a00);
  out(0x3c2, 0x66);
  out(0x3b4, 0x0b0e, 2);  // the monochrome place
  EXPECT_EQ(pc.vga().registers().cursor(), 0x0b00);
  EXPECT_NE(in(0x3ba), 0xffu);
}

TEST_F(PcTest, StateCanBeKeptAndPutBack) {
  set_up_interrupts(0x0010);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x01);
  pc.serial_input('a');
  const PcState kept = pc.state();
  EXPECT_EQ(take(), 0x34u);
  in(0x3f8);
  out(0x80, 0x55);
  pc.restore(kept);
  EXPECT_EQ(in(0x80), 0x00u);
  EXPECT_EQ(take(), 0x34u);
  EXPECT_EQ(in(0x3f8), 'a');
}

TEST_F(PcTest, NmiMaskIsBit7OfTheClocksIndex) {
  EXPECT_TRUE(pc.nmi_enabled());
  out(0x70, 0x8f);
  EXPECT_FALSE(pc.nmi_enabled());
}

// The local APIC and the I/O APIC within the machine.
struct PcApicTest : PcTest {
  static constexpr std::uint32_t local = 0xfee00000, io = 0xfec00000;
  std::uint32_t read(std::uint32_t address) { return pc.memory_read(GuestPhysical(address), 4); }
  void write(std::uint32_t address, std::uint32_t value) {
    pc.memory_write(GuestPhysical(address), value, 4);
  }
  void set_entry(unsigned pin, std::uint32_t low) {
    write(io, 0x10 + 2 * pin);
    write(io + 0x10, low);
  }
  unsigned take_apic() {
    if (!pc.interrupt_pending()) return 0;
    const unsigned vector = pc.acknowledge_interrupt();
    write(local + 0xb0, 0);
    return vector;
  }
};

TEST_F(PcApicTest, The8259ComesThroughLint0) {
  set_up_interrupts(0x0001);
  set_up_timer(1193);
  take();
  move_to(pc.next_deadline());
  EXPECT_TRUE(pc.interrupt_pending());
  write(local + 0x350, 0x10700);
  EXPECT_FALSE(pc.interrupt_pending());
  set_entry(0, 0x700);
  EXPECT_TRUE(pc.interrupt_pending()) << "by the I/O APIC's pin 0";
  set_entry(0, 0x10700);
  pc.write_apic_base(0xfee00000);
  EXPECT_TRUE(pc.interrupt_pending()) << "without an APIC";
  EXPECT_EQ(take(), 0x30u);
}

TEST_F(PcApicTest, The8259AsAFixedInterrupt) {
  set_up_interrupts(0x0001);
  write(local + 0x350, 0x61);
  set_up_timer(1193);
  move_to(pc.next_deadline());
  EXPECT_EQ(take_apic(), 0x61u);
  set_entry(0, 0x62);
  in(0x21);
  EXPECT_EQ(take_apic(), 0u) << "it has been high since";
}

TEST_F(PcApicTest, LinesAreSharedWithTheIoApic) {
  set_up_interrupts(0);
  set_up_timer(1193);
  take();
  set_entry(2, 0x50);
  set_entry(1, 0x51);
  set_entry(8, 0x58);
  move_to(pc.next_deadline());
  EXPECT_EQ(take_apic(), 0x50u);
  pc.keyboard_input(0x1e);
  EXPECT_EQ(take_apic(), 0x51u);
  EXPECT_EQ(take_apic(), 0u);
}

TEST_F(PcApicTest, LateTicksAreGivenByTheIoApicToo) {
  set_up_interrupts(0);
  set_up_timer(1193);
  set_entry(2, 0x50);
  take_apic();
  move_to(clock.time + 10 * millisecond + millisecond / 2);
  EXPECT_EQ(take_apic(), 0x50u);
  EXPECT_EQ(take_apic(), 0u);
  move_to(pc.next_deadline());
  EXPECT_EQ(pc.acknowledge_interrupt(), 0x50u);
  EXPECT_LT(pc.next_deadline(), clock.time + 3 * millisecond / 4) << "a period's second half";
  move_to(pc.next_deadline());
  EXPECT_FALSE(pc.interrupt_pending()) << "the last has not ended";
  write(local + 0xb0, 0);
  EXPECT_EQ(take_apic(), 0u) << "a tick while others are owed";
  move_to(pc.next_deadline());
  EXPECT_EQ(take_apic(), 0x50u);
}

TEST_F(PcApicTest, TheEndOfALevelReachesTheIoApic) {
  set_entry(4, 0x8064);
  out(0x3fc, 0x0b);
  out(0x3f9, 0x02);
  EXPECT_EQ(take_apic(), 0x64u);
  EXPECT_EQ(take_apic(), 0x64u) << "the transmitter still requests";
  out(0x3f9, 0x00);
  EXPECT_EQ(take_apic(), 0x64u);
  EXPECT_EQ(take_apic(), 0u);
}

TEST_F(PcApicTest, TheTimerIsADeadline) {
  write(local + 0x3e0, 0xb);
  write(local + 0x320, 0x70);
  write(local + 0x380, 5000);
  EXPECT_TRUE(pc.needs_service());
  EXPECT_EQ(pc.next_deadline(), clock.time + 5000);
  clock.time += 3000;
  EXPECT_EQ(read(local + 0x390), 2000u);
  move_to(pc.next_deadline());
  EXPECT_FALSE(pc.needs_service());
  EXPECT_EQ(take_apic(), 0x70u);
}

TEST_F(PcApicTest, AccessesThatMakeAnInterruptAskForService) {
  move_to(1);
  ASSERT_FALSE(pc.needs_service());
  write(local + 0xb0, 0);
  write(local + 0x80, 0);
  EXPECT_FALSE(pc.needs_service());
  write(local + 0x300, 0x40041);
  EXPECT_TRUE(pc.needs_service());
  take_apic();
  move_to(2);
  write(local + 0x310, 0);
  write(local + 0x300, 0x400);
  EXPECT_TRUE(pc.needs_service());
  EXPECT_TRUE(pc.nmi_pending());
  pc.take_nmi();
  EXPECT_FALSE(pc.nmi_pending());
}

TEST_F(PcApicTest, NarrowWritesAreLost) {
  pc.memory_write(GuestPhysical(local + 0x80), 0x55, 1);
  pc.memory_write(GuestPhysical(local + 0x84), 0x55, 4);
  EXPECT_EQ(read(local + 0x80), 0u);
}

TEST_F(PcApicTest, InitIsAReset) {
  write(local + 0x310, 0);
  write(local + 0x300, 0x4500);
  EXPECT_EQ(pc.request().kind, PcRequest::Kind::reset);
  EXPECT_TRUE(pc.needs_service());
}

// The HPET's first two timers in the place of the 8254 and the clock.
TEST_F(PcApicTest, TheHpetReplacesTheTimer) {
  constexpr std::uint32_t hpet = 0xfed00000;
  set_up_interrupts(0x0101);
  set_up_timer(1193);
  take();
  write(hpet + 0x100, 0x14c);  // periodic, 32 bits
  write(hpet + 0x108, 100'000);
  write(hpet + 0x120, 0x104);
  write(hpet + 0x128, 250'000);
  write(hpet + 0x10, 3);
  EXPECT_TRUE(pc.needs_service());
  const std::uint64_t begin = clock.time;
  unsigned ticks = 0, alarms = 0;
  while (pc.next_deadline() <= begin + 10 * millisecond) {
    move_to(pc.next_deadline());
    while (const unsigned vector = take()) ++(vector == 0x30 ? ticks : alarms);
  }
  EXPECT_EQ(ticks, 10u) << "and none of the 8254's, which ticks every millisecond too";
  EXPECT_EQ(alarms, 1u);
  EXPECT_EQ(read(hpet + 0xf0), (clock.time - begin) / 10);
}

TEST_F(PcApicTest, LateTicksOfTheHpetGoWithItsTimer) {
  constexpr std::uint32_t hpet = 0xfed00000;
  set_up_interrupts(0x0001);
  write(hpet + 0x100, 0x14c);
  write(hpet + 0x108, 100'000);  // 1 ms
  write(hpet + 0x10, 3);
  move_to(clock.time + 5 * millisecond + millisecond / 2);
  EXPECT_EQ(take(), 0x30u);
  EXPECT_EQ(serve_until(clock.time + 3 * millisecond / 4), 2u) << "one of them late";
  write(hpet + 0x100, 0);
  EXPECT_EQ(serve_until(clock.time + 5 * millisecond), 0u);
}

TEST_F(PcApicTest, AnHpetLevelHoldsItsPin) {
  constexpr std::uint32_t hpet = 0xfed00000;
  set_entry(2, 0x8050);
  write(hpet + 0x140, 0x506);  // by level, 32 bits, route 2
  write(hpet + 0x148, 1000);
  write(hpet + 0x10, 1);
  move_to(clock.time + 10'000);
  EXPECT_EQ(read(hpet + 0x20), 4u);
  EXPECT_EQ(take_apic(), 0x50u);
  EXPECT_EQ(take_apic(), 0x50u);
  write(hpet + 0x20, 4);
  EXPECT_EQ(take_apic(), 0x50u) << "accepted before";
  EXPECT_EQ(take_apic(), 0u);
}

TEST_F(PcApicTest, WhatCanWakeAHaltedProcessor) {
  EXPECT_FALSE(pc.nmi_may_come());
  set_entry(2, 0x400);
  EXPECT_TRUE(pc.nmi_may_come());
  set_entry(2, 0x10400);
  write(local + 0x350, 0x400);
  EXPECT_TRUE(pc.nmi_may_come());
}

TEST_F(PcApicTest, ThePageMovesAndGoes) {
  pc.write_apic_base(0x10000800);
  EXPECT_EQ(read(local + 0x30), 0xffffffffu);
  EXPECT_EQ(read(0x10000030), 0x00050014u);
  pc.write_apic_base(0x10000000);
  EXPECT_EQ(read(0x10000030), 0xffffffffu);
  EXPECT_FALSE(pc.apic_enabled());
}

TEST_F(PcApicTest, AnIsaMachineHasNone) {
  Pc isa{{64u << 20, 0, MachineKind::isa}, clock, com1, debug_console, log};
  EXPECT_FALSE(isa.has_apic());
  EXPECT_FALSE(isa.apic_enabled());
  EXPECT_EQ(isa.memory_read(GuestPhysical(local + 0x30), 4), 0xffffffffu);
  EXPECT_EQ(isa.memory_read(GuestPhysical(io), 4), 0xffffffffu);
}

TEST_F(PcApicTest, StateHasTheApics) {
  write(local + 0x300, 0x40041);
  const PcState kept = pc.state();
  EXPECT_EQ(take_apic(), 0x41u);
  pc.write_apic_base(0x10000800);
  pc.restore(kept);
  EXPECT_EQ(read(local + 0x30), 0x00050014u);
  EXPECT_EQ(take_apic(), 0x41u);
}

}  // namespace
}  // namespace undercroft
