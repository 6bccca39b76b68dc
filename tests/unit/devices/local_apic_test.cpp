// The local APIC: SDM volume 3, chapter 10, section by section.
#include "monitor/devices/local_apic.hpp"

#include <gtest/gtest.h>

#include "monitor/devices/device_ports.hpp"
#include "monitor/devices/local_apic_registers.hpp"

namespace undercroft {
namespace {

namespace reg = local_apic;

struct LocalApicTest : testing::Test {
  LocalApic apic{true};
  std::uint64_t now = 1'000'000;

  std::uint32_t read(unsigned offset, unsigned size = 4) { return apic.read(offset, size, now); }
  void write(unsigned offset, std::uint32_t value) { apic.write(offset, value, now); }
  bool has(unsigned field, unsigned vector) {
    return (read(field + vector / 32 * 16) >> vector % 32 & 1) != 0;
  }
  void send_to_self(std::uint32_t vector) { write(reg::command_low, 1u << 18 | vector); }
  static ApicMessage fixed(unsigned vector, bool level = false) {
    return {DeliveryMode::fixed, static_cast<std::uint8_t>(vector), level, false, 0};
  }
};

// As SeaBIOS leaves it on QEMU's pc.
TEST_F(LocalApicTest, IsAsFirmwareLeavesIt) {
  EXPECT_EQ(apic.base_register(), 0xfee00900u);
  EXPECT_EQ(read(reg::id), 0u);
  EXPECT_EQ(read(reg::version), 0x00050014u);
  EXPECT_EQ(read(reg::destination_format), 0xffffffffu);
  EXPECT_EQ(read(reg::spurious), 0x1ffu);
  EXPECT_EQ(read(reg::command_low), 0x000c4610u);
  const std::uint32_t entries[] = {0x10000, 0x10000, 0x10000, 0x8700, 0x8400, 0x10000};
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(read(reg::vector_table + 16 * i), entries[i]) << i;
  EXPECT_TRUE(apic.takes_external());
  EXPECT_FALSE(apic.interrupt_pending());
}

TEST_F(LocalApicTest, RegistersKeepTheirWritableBits) {
  const struct {
    unsigned offset;
    std::uint32_t mask;
  } rows[] = {{reg::id, 0xff000000},
              {reg::task_priority, 0xff},
              {reg::logical_destination, 0xff000000},
              {reg::spurious, 0x3ff},
              {reg::command_high, 0xff000000},
              {0x320, 0x300ff},
              {0x330, 0x107ff},
              {0x340, 0x107ff},
              {0x350, 0x1a7ff},
              {0x360, 0x1a7ff},
              {0x370, 0x100ff},
              {reg::divide, 0x0b}};
  for (const auto& row : rows) {
    write(row.offset, ~0u);
    EXPECT_EQ(read(row.offset), row.mask) << std::hex << row.offset;
    write(row.offset, row.offset == reg::spurious ? 0x100 : 0);
    EXPECT_EQ(read(row.offset), row.offset == reg::spurious ? 0x100u : 0u)
        << std::hex << row.offset;
  }
  write(reg::destination_format, 0);
  EXPECT_EQ(read(reg::destination_format), 0x0fffffffu);
  const unsigned read_only[] = {
      reg::version,      reg::arbitration_priority, reg::processor_priority,
      reg::in_service,   reg::trigger_mode,         reg::requests,
      reg::current_count};
  for (const unsigned offset : read_only) {
    const std::uint32_t before = read(offset);
    write(offset, ~before);
    EXPECT_EQ(read(offset), before) << std::hex << offset;
  }
}

TEST_F(LocalApicTest, NarrowReadsGiveTheirPart) {
  EXPECT_EQ(read(reg::version, 1) & 0xff, 0x14u);
  EXPECT_EQ(read(reg::version + 2, 2), 0x0005u);
  EXPECT_EQ(read(reg::version + 4, 4), 0u);
}

TEST_F(LocalApicTest, AnInterruptFromRequestToEnd) {
  send_to_self(0x41);
  EXPECT_TRUE(has(reg::requests, 0x41));
  ASSERT_TRUE(apic.interrupt_pending());
  EXPECT_EQ(apic.acknowledge(), 0x41);
  EXPECT_FALSE(has(reg::requests, 0x41));
  EXPECT_TRUE(has(reg::in_service, 0x41));
  EXPECT_EQ(read(reg::processor_priority), 0x40u);
  EXPECT_EQ(apic.end_interrupt(), 0) << "an edge is not told to the I/O APIC";
  EXPECT_FALSE(has(reg::in_service, 0x41));
  EXPECT_EQ(apic.end_interrupt(), 0) << "nothing is in service";
}

TEST_F(LocalApicTest, ALevelsEndIsTold) {
  ASSERT_TRUE(apic.accept(fixed(0x64, true)));
  EXPECT_TRUE(has(reg::trigger_mode, 0x64));
  apic.acknowledge();
  EXPECT_EQ(apic.end_interrupt(), 0x64);
  ASSERT_TRUE(apic.accept(fixed(0x64)));
  EXPECT_FALSE(has(reg::trigger_mode, 0x64));
}

TEST_F(LocalApicTest, OnlyAHigherClassInterrupts) {
  apic.accept(fixed(0x55));
  apic.acknowledge();
  apic.accept(fixed(0x5f));
  EXPECT_FALSE(apic.interrupt_pending());
  apic.accept(fixed(0x60));
  ASSERT_TRUE(apic.interrupt_pending());
  EXPECT_EQ(apic.acknowledge(), 0x60);
  apic.end_interrupt();
  EXPECT_FALSE(apic.interrupt_pending());
  apic.end_interrupt();
  EXPECT_EQ(apic.acknowledge(), 0x5f);
}

TEST_F(LocalApicTest, TaskPriorityHoldsBack) {
  apic.accept(fixed(0x6a));
  write(reg::task_priority, 0x60);
  EXPECT_FALSE(apic.interrupt_pending());
  EXPECT_EQ(apic.acknowledge(), 0xff) << "spurious: it was raised too late";
  EXPECT_FALSE(has(reg::in_service, 0xff));
  write(reg::task_priority, 0x5f);
  EXPECT_EQ(apic.acknowledge(), 0x6a);
}

// 10.8.3.1 and 10.6.2.4, by task priority, vector in service and vector requested.
TEST_F(LocalApicTest, Priorities) {
  const struct {
    unsigned task, serving, requested, processor, arbitration;
  } rows[] = {{0x00, 0, 0, 0x00, 0x00},    {0x35, 0, 0, 0x35, 0x35},
              {0x35, 0x41, 0, 0x40, 0x00}, {0x45, 0x41, 0, 0x45, 0x40},
              {0x55, 0x41, 0, 0x55, 0x55}, {0x35, 0, 0x52, 0x35, 0x50},
              {0x65, 0, 0x52, 0x65, 0x65}, {0x65, 0x73, 0x82, 0x70, 0x80}};
  for (const auto& row : rows) {
    LocalApic fresh(true);
    if (row.serving != 0) {
      fresh.accept(fixed(row.serving));
      fresh.acknowledge();
    }
    if (row.requested != 0) fresh.accept(fixed(row.requested));
    fresh.write(reg::task_priority, row.task, now);
    EXPECT_EQ(fresh.read(reg::processor_priority, 4, now), row.processor) << row.task;
    EXPECT_EQ(fresh.read(reg::arbitration_priority, 4, now), row.arbitration) << row.task;
  }
}

TEST_F(LocalApicTest, Destinations) {
  const struct {
    bool logical;
    unsigned destination;
    std::uint32_t format;
    unsigned logical_id;
    bool matches;
  } rows[] = {{false, 3, ~0u, 0, true},
              {false, 2, ~0u, 0, false},
              {false, 0xff, ~0u, 0, true},
              {true, 0x06, ~0u, 0x02, true},
              {true, 0x05, ~0u, 0x02, false},
              {true, 0xff, ~0u, 0x00, true},
              {true, 0x25, 0x0fffffff, 0x24, true},
              {true, 0x2a, 0x0fffffff, 0x24, false},
              {true, 0x34, 0x0fffffff, 0x24, false},
              {true, 0xf4, 0x0fffffff, 0x24, true},
              {true, 0x24, 0x5fffffff, 0x24, false}};
  write(reg::id, 3u << 24);
  for (const auto& row : rows) {
    write(reg::destination_format, row.format);
    write(reg::logical_destination, row.logical_id << 24);
    const ApicMessage message{DeliveryMode::nmi, 0, false, row.logical,
                              static_cast<std::uint8_t>(row.destination)};
    EXPECT_EQ(apic.accept(message), row.matches) << row.logical << row.destination;
    EXPECT_EQ(apic.nmi_pending(), row.matches);
    apic.take_nmi();
  }
}

TEST_F(LocalApicTest, CommandsByModeAndShorthand) {
  write(reg::command_high, 0);
  write(reg::command_low, 0x400);
  EXPECT_TRUE(apic.nmi_pending());
  apic.take_nmi();
  write(reg::command_low, 0xc4400);  // all others: nobody
  EXPECT_FALSE(apic.nmi_pending());
  write(reg::command_low, 0x0600);  // start-up: the processor runs
  write(reg::command_low, 0x8500);  // INIT level de-assert
  EXPECT_FALSE(apic.init_requested());
  write(reg::command_low, 0xc4500);  // INIT to the others
  EXPECT_FALSE(apic.init_requested());
  write(reg::command_low, 0x4500);
  EXPECT_TRUE(apic.init_requested());
}

TEST_F(LocalApicTest, PinsByMode) {
  write(0x350, 0x62);
  apic.set_pin(0, true);
  EXPECT_EQ(apic.acknowledge(), 0x62);
  apic.end_interrupt();
  EXPECT_FALSE(apic.interrupt_pending()) << "an edge comes once";
  apic.set_pin(0, false);
  write(0x350, 0x10062);
  apic.set_pin(0, true);
  EXPECT_FALSE(apic.interrupt_pending()) << "masked";
  apic.set_pin(0, false);
  write(0x350, 0x400);
  apic.set_pin(0, true);
  EXPECT_TRUE(apic.nmi_pending());
  EXPECT_TRUE(apic.external_gives_nmi());
  EXPECT_FALSE(apic.takes_external());
  apic.take_nmi();
  apic.set_pin(1, true);  // LINT1 is NMI from the start
  EXPECT_TRUE(apic.nmi_pending());
}

TEST_F(LocalApicTest, LevelOnLint0HasARemoteIrr) {
  apic.set_pin(0, true);
  write(0x350, 0x8062);
  EXPECT_EQ(read(0x350), 0xc062u);
  EXPECT_EQ(apic.acknowledge(), 0x62);
  EXPECT_EQ(apic.end_interrupt(), 0x62);
  EXPECT_EQ(apic.acknowledge(), 0x62) << "the pin is still high";
  apic.set_pin(0, false);
  apic.end_interrupt();
  EXPECT_FALSE(apic.interrupt_pending());
  EXPECT_EQ(read(0x350), 0x8062u);
}

TEST_F(LocalApicTest, ErrorsShowAfterAWriteAndInterruptOnce) {
  write(0x370, 0x71);
  send_to_self(0x05);
  EXPECT_EQ(read(reg::error_status), 0u) << "until it is written";
  EXPECT_EQ(apic.acknowledge(), 0x71);
  apic.end_interrupt();
  send_to_self(0x06);
  EXPECT_FALSE(apic.interrupt_pending()) << "not armed";
  write(reg::error_status, 0);
  EXPECT_EQ(read(reg::error_status), 0x60u) << "sent and received an illegal vector";
  write(reg::error_status, 0);
  EXPECT_EQ(read(reg::error_status), 0u);
  read(0x040);  // no register
  EXPECT_EQ(apic.acknowledge(), 0x71);
  write(reg::error_status, 0);
  EXPECT_EQ(read(reg::error_status), 0x80u);
}

TEST_F(LocalApicTest, AnIllegalErrorVectorIsNoLoop) {
  write(0x370, 0x05);
  send_to_self(0x05);
  EXPECT_FALSE(apic.interrupt_pending());
}

TEST_F(LocalApicTest, DisabledBySoftware) {
  write(0x320, 0x70);
  apic.accept(fixed(0x41));
  write(reg::spurious, 0x0ff);
  EXPECT_EQ(read(0x320), 0x10070u);
  write(0x320, 0x70);
  EXPECT_EQ(read(0x320), 0x10070u) << "the mask stays";
  EXPECT_FALSE(apic.accept(fixed(0x42)));
  EXPECT_FALSE(apic.takes_external());
  EXPECT_TRUE(apic.interrupt_pending()) << "what was accepted is held";
  EXPECT_TRUE(apic.accept({DeliveryMode::nmi, 0, false, false, 0}));
  write(reg::spurious, 0x1ff);
  EXPECT_EQ(read(0x320), 0x10070u);
  EXPECT_TRUE(apic.accept(fixed(0x42)));
}

TEST_F(LocalApicTest, SwitchedOffByTheBaseRegister) {
  apic.accept(fixed(0x41));
  apic.write_base_register(0xfee00000);
  EXPECT_EQ(apic.base_register(), 0xfee00100u);
  EXPECT_TRUE(apic.takes_external()) << "LINT0 is INTR";
  EXPECT_FALSE(apic.interrupt_pending());
  EXPECT_FALSE(apic.accept(fixed(0x41)));
  apic.set_pin(1, true);
  EXPECT_TRUE(apic.nmi_pending()) << "LINT1 is NMI";
  apic.write_base_register(0xfee00800);
  EXPECT_FALSE(apic.enabled()) << "until reset";
}

TEST_F(LocalApicTest, TheBaseMoves) {
  apic.write_base_register(0x12345800);
  EXPECT_EQ(apic.page(), GuestPhysical(0x12345000));
  EXPECT_EQ(apic.base_register(), 0x12345900u);
  EXPECT_EQ(read(reg::spurious), 0x1ffu);
}

TEST_F(LocalApicTest, OneThatIsNotPresentPassesThe8259On) {
  const LocalApic absent(false);
  EXPECT_TRUE(absent.takes_external());
  EXPECT_EQ(absent.next_deadline(), no_deadline);
}

TEST_F(LocalApicTest, TheTimerInterrupts) {
  write(reg::divide, 0xb);
  write(0x320, 0x70);
  write(reg::initial_count, 500);
  EXPECT_EQ(apic.next_deadline(), now + 500);
  apic.advance(now + 499);
  EXPECT_FALSE(apic.interrupt_pending());
  apic.advance(now + 500);
  EXPECT_EQ(apic.acknowledge(), 0x70);
  EXPECT_EQ(apic.next_deadline(), no_deadline);
}

TEST_F(LocalApicTest, AMaskedTimerIsNoDeadlineAndItsExpiriesAreLost) {
  write(reg::divide, 0xb);
  write(0x320, 0x30070);  // periodic, masked
  write(reg::initial_count, 500);
  EXPECT_EQ(apic.next_deadline(), no_deadline);
  now += 10'000;
  EXPECT_EQ(read(reg::current_count), 500u);
  write(0x320, 0x20070);
  EXPECT_FALSE(apic.interrupt_pending());
  EXPECT_EQ(apic.next_deadline(), now + 500);
}

struct LocalApicTicks : LocalApicTest {
  static constexpr std::uint64_t period = 1000;
  LocalApicTicks() {
    write(reg::divide, 0xb);
    write(0x320, 0x20070);
    write(reg::initial_count, period);
  }
  // Acknowledges what waits; whether anything did.
  bool take() { return apic.interrupt_pending() && apic.acknowledge() == 0x70; }
  // A guest that takes each tick at once and ends it at once.
  unsigned run(std::uint64_t span) {
    unsigned taken = 0;
    for (const std::uint64_t end = now + span; apic.next_deadline() <= end;) {
      apic.advance(now = apic.next_deadline());
      for (; take(); ++taken) apic.end_interrupt();
    }
    return taken;
  }
};

TEST_F(LocalApicTicks, ExpiriesFoundTogetherAreGivenBetweenThoseToCome) {
  apic.advance(now += 5 * period);
  EXPECT_TRUE(take());
  apic.end_interrupt();
  EXPECT_FALSE(take()) << "not one right behind the other";
  EXPECT_EQ(apic.next_deadline(), now + period / 2);
  EXPECT_EQ(run(3 * period), 6u);
  EXPECT_EQ(run(3 * period), 4u) << "one was left";
  EXPECT_EQ(run(3 * period), 3u);
}

TEST_F(LocalApicTicks, WhatARunningGuestDoesNotTakeIsLost) {
  for (int i = 0; i < 3; ++i) apic.advance(now += period);
  EXPECT_EQ(run(period / 4), 0u);
  EXPECT_TRUE(take());
  apic.end_interrupt();
  EXPECT_FALSE(take());
  EXPECT_EQ(run(3 * period), 3u);
}

// What was found together comes no earlier than the guest has ended the one before.
TEST_F(LocalApicTicks, AHandlerThatTakesLongGetsNoLateOnes) {
  apic.advance(now += 5 * period);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(take());
    apic.advance(now += period / 2);
    EXPECT_FALSE(apic.busy(0x70) && apic.interrupt_pending());
    apic.advance(now += period / 4);
    apic.end_interrupt();
    EXPECT_FALSE(take()) << "time for what is not its handler";
    apic.advance(now += period / 4);
  }
  EXPECT_TRUE(take());
  apic.end_interrupt();
  EXPECT_EQ(run(4 * period), 8u) << "when the handler is fast again";
}

TEST_F(LocalApicTicks, AMaskOrANewCountEndsThem) {
  apic.advance(now += 5 * period);
  write(0x320, 0x30070);
  EXPECT_TRUE(take()) << "the one that was requested before the mask";
  apic.end_interrupt();
  write(0x320, 0x20070);
  EXPECT_EQ(run(2 * period), 2u);
  apic.advance(now += 5 * period);
  write(reg::initial_count, period);
  EXPECT_TRUE(take());
  apic.end_interrupt();
  EXPECT_EQ(run(2 * period), 2u);
}

}  // namespace
}  // namespace undercroft
