// The 16550A by its registers.
#include "monitor/devices/serial.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/device_fakes.hpp"

namespace undercroft {
namespace {

constexpr unsigned data = 0, ier = 1, iir = 2, fcr = 2, lcr = 3, mcr = 4, lsr = 5, msr = 6, scr = 7;
constexpr std::uint8_t no_interrupt = 0x01, transmitter_empty = 0x02, data_available = 0x04,
                       line_status = 0x06, timeout = 0x0c, modem_status = 0x00;
constexpr std::uint8_t out2 = 0x08;

struct SerialTest : testing::Test {
  Serial serial;
  RecordingSink line;
  std::uint64_t now = 1'000'000;

  std::uint8_t read(unsigned offset) { return serial.read(offset, now); }
  void write(unsigned offset, unsigned value) {
    serial.write(offset, static_cast<std::uint8_t>(value), now, line);
  }
  void receive(std::string_view text) {
    for (const char c : text) serial.receive(static_cast<std::uint8_t>(c), now);
  }
  std::uint8_t cause() { return read(iir) & 0x0f; }
};

TEST_F(SerialTest, RegistersAfterReset) {
  EXPECT_EQ(read(ier), 0x00);
  EXPECT_EQ(read(iir), 0x01);
  EXPECT_EQ(read(lcr), 0x00);
  EXPECT_EQ(read(mcr), 0x00);
  EXPECT_EQ(read(lsr), 0x60);
  EXPECT_EQ(read(msr), 0xb0);
  EXPECT_FALSE(serial.interrupt_line());
}

// What reads back of 0xff and of 0x00: probing drivers look at it.
TEST_F(SerialTest, WritableBits) {
  struct Row {
    unsigned offset;
    std::uint8_t mask;
  };
  for (const Row& row : {Row{ier, 0x0f}, Row{lcr, 0xff}, Row{mcr, 0x1f}, Row{scr, 0xff}}) {
    write(row.offset, 0xff);
    EXPECT_EQ(read(row.offset), row.mask) << row.offset;
    write(row.offset, 0x00);
    EXPECT_EQ(read(row.offset), 0x00) << row.offset;
  }
}

TEST_F(SerialTest, DivisorLatchStandsBeforeDataAndInterruptEnable) {
  write(ier, 0x05);
  write(lcr, 0x83);
  write(0, 0x34);
  write(1, 0x12);
  EXPECT_EQ(read(0), 0x34);
  EXPECT_EQ(read(1), 0x12);
  write(lcr, 0x03);
  EXPECT_EQ(read(ier), 0x05);
  EXPECT_EQ(line.text, "");
}

TEST_F(SerialTest, SendsAtOnce) {
  write(data, 'o');
  write(data, 'k');
  EXPECT_EQ(line.text, "ok");
  EXPECT_EQ(read(lsr), 0x60);
}

TEST_F(SerialTest, InterruptIdentificationShowsTheFifos) {
  EXPECT_EQ(read(iir), 0x01);
  write(fcr, 0x01);
  EXPECT_EQ(read(iir), 0xc1);
  write(fcr, 0xc0);  // without the enable bit nothing else counts
  EXPECT_EQ(read(iir), 0x01);
}

TEST_F(SerialTest, TransmitterInterrupt) {
  write(mcr, out2);
  write(ier, 0x02);
  EXPECT_TRUE(serial.interrupt_line()) << "empty when it is enabled";
  EXPECT_EQ(cause(), transmitter_empty);
  EXPECT_FALSE(serial.interrupt_line()) << "reading IIR takes it";
  EXPECT_EQ(cause(), no_interrupt);
  write(data, 'x');
  EXPECT_TRUE(serial.interrupt_line()) << "empty again";
  EXPECT_EQ(cause(), transmitter_empty);
  write(ier, 0x02);
  EXPECT_FALSE(serial.interrupt_line()) << "was enabled before";
  write(ier, 0x00);
  write(ier, 0x02);
  EXPECT_TRUE(serial.interrupt_line());
}

TEST_F(SerialTest, ReceivesWithoutFifo) {
  write(mcr, out2);
  write(ier, 0x01);
  EXPECT_TRUE(serial.can_receive());
  receive("a");
  EXPECT_FALSE(serial.can_receive());
  EXPECT_TRUE(serial.interrupt_line());
  EXPECT_EQ(cause(), data_available);
  EXPECT_EQ(read(lsr), 0x61);
  EXPECT_EQ(read(data), 'a');
  EXPECT_EQ(read(lsr), 0x60);
  EXPECT_FALSE(serial.interrupt_line());
}

TEST_F(SerialTest, OverrunWithoutFifoLosesTheOlder) {
  write(mcr, out2);
  write(ier, 0x05);
  receive("ab");
  EXPECT_EQ(cause(), line_status);
  EXPECT_EQ(read(lsr), 0x63);
  EXPECT_EQ(read(lsr), 0x61) << "reading clears the error";
  EXPECT_EQ(cause(), data_available);
  EXPECT_EQ(read(data), 'b');
}

TEST_F(SerialTest, FifoHolds16AndOverrunLosesTheNewer) {
  write(fcr, 0x01);
  receive("0123456789abcde");
  EXPECT_TRUE(serial.can_receive());
  receive("f");
  EXPECT_FALSE(serial.can_receive());
  receive("X");
  EXPECT_EQ(read(lsr), 0x63);
  for (const char c : std::string_view("0123456789abcdef")) EXPECT_EQ(read(data), c);
  EXPECT_EQ(read(lsr), 0x60);
}

TEST_F(SerialTest, TriggerLevels) {
  struct Row {
    std::uint8_t control;
    unsigned level;
  };
  for (const Row& row : {Row{0x01, 1}, Row{0x41, 4}, Row{0x81, 8}, Row{0xc1, 14}}) {
    serial = Serial{};
    write(mcr, out2);
    write(ier, 0x01);
    write(fcr, row.control);
    for (unsigned i = 1; i <= row.level; ++i) {
      EXPECT_FALSE(serial.interrupt_line()) << row.level << ' ' << i;
      receive("x");
    }
    EXPECT_TRUE(serial.interrupt_line()) << row.level;
    EXPECT_EQ(cause(), data_available);
    read(data);
    EXPECT_FALSE(serial.interrupt_line()) << row.level << ", fallen below";
  }
}

TEST_F(SerialTest, CharacterTimeoutAfterFourCharacterTimes) {
  write(lcr, 0x83);
  write(0, 1);  // 115200 baud
  write(1, 0);
  write(lcr, 0x03);  // 10 bits a character
  write(mcr, out2);
  write(ier, 0x01);
  write(fcr, 0x81);
  receive("ab");
  const std::uint64_t due = now + 40 * 1'000'000'000ull / 115200;
  EXPECT_EQ(serial.next_deadline(), due);
  serial.advance(due - 1);
  EXPECT_FALSE(serial.interrupt_line());
  serial.advance(due);
  EXPECT_TRUE(serial.interrupt_line());
  EXPECT_EQ(serial.next_deadline(), no_deadline);
  now = due;
  EXPECT_EQ(read(iir), 0xc0 | timeout);
  EXPECT_EQ(read(data), 'a');
  EXPECT_FALSE(serial.interrupt_line()) << "reading restarts the time";
  now = serial.next_deadline();
  serial.advance(now);
  EXPECT_EQ(cause(), timeout);
  EXPECT_EQ(read(data), 'b');
  EXPECT_EQ(serial.next_deadline(), no_deadline) << "nothing left";
}

// Start bit, 5 to 8 data bits, parity, one or two stop bits; at 9600 baud.
TEST_F(SerialTest, CharacterTimeFollowsTheFormat) {
  struct Row {
    std::uint8_t format;
    std::uint64_t bits;
  };
  for (const Row& row :
       {Row{0x00, 7}, Row{0x03, 10}, Row{0x04, 8}, Row{0x08, 8}, Row{0x1b, 11}, Row{0x0f, 12}}) {
    serial = Serial{};
    write(lcr, row.format);
    write(ier, 0x01);
    write(fcr, 0x81);
    receive("a");
    EXPECT_EQ(serial.next_deadline(), now + 4 * row.bits * 1'000'000'000 / 9600) << row.bits;
  }
}

TEST_F(SerialTest, NoTimeoutDeadlineWithoutItsInterrupt) {
  write(fcr, 0x81);
  receive("a");
  EXPECT_EQ(serial.next_deadline(), no_deadline);
}

TEST_F(SerialTest, ClearingTheFifo) {
  write(fcr, 0x01);
  receive("abc");
  write(fcr, 0x05);  // the transmitter's only
  EXPECT_EQ(read(lsr), 0x61);
  write(fcr, 0x03);
  EXPECT_EQ(read(lsr), 0x60);
  receive("d");
  EXPECT_EQ(read(data), 'd');
  receive("e");
  write(fcr, 0x00);
  EXPECT_EQ(read(lsr), 0x60) << "switching it off clears it";
}

TEST_F(SerialTest, PrioritiesOfInterrupts) {
  write(mcr, 0x10);  // loopback: the modem inputs fall
  write(mcr, out2);  // and rise
  receive("ab");     // data, overrun
  write(ier, 0x0f);
  EXPECT_EQ(cause(), line_status);
  read(lsr);
  EXPECT_EQ(cause(), data_available);
  read(data);
  EXPECT_EQ(cause(), transmitter_empty);
  EXPECT_EQ(cause(), modem_status);
  EXPECT_TRUE(serial.interrupt_line());
  read(msr);
  EXPECT_EQ(cause(), no_interrupt);
  EXPECT_FALSE(serial.interrupt_line());
}

TEST_F(SerialTest, InterruptLineGoesThroughOut2) {
  write(ier, 0x02);
  EXPECT_FALSE(serial.interrupt_line());
  write(mcr, out2);
  EXPECT_TRUE(serial.interrupt_line());
  write(mcr, out2 | 0x10);
  EXPECT_FALSE(serial.interrupt_line()) << "loopback";
}

TEST_F(SerialTest, LoopbackOfData) {
  write(mcr, 0x10);
  write(data, 'q');
  EXPECT_EQ(line.text, "");
  EXPECT_EQ(read(lsr), 0x61);
  EXPECT_EQ(read(data), 'q');
}

// Each modem output on its own: the input that it becomes in loopback.
TEST_F(SerialTest, LoopbackOfModemLines) {
  struct Row {
    std::uint8_t output, input;
  };
  for (const Row& row : {Row{0x01, 0x20}, Row{0x02, 0x10}, Row{0x04, 0x40}, Row{0x08, 0x80},
                         Row{0x0a, 0x90}, Row{0x00, 0x00}}) {
    write(mcr, 0x10 | row.output);
    EXPECT_EQ(read(msr) & 0xf0, row.input) << unsigned{row.output};
  }
}

TEST_F(SerialTest, DeltasOfModemLines) {
  write(mcr, 0x10);
  EXPECT_EQ(read(msr), 0x0b) << "CTS, DSR and DCD have fallen";
  EXPECT_EQ(read(msr), 0x00) << "reading clears";
  write(mcr, 0x14);
  EXPECT_EQ(read(msr), 0x40) << "the ring's leading edge does not count";
  write(mcr, 0x10);
  EXPECT_EQ(read(msr), 0x04) << "its trailing edge does";
  write(mcr, 0x00);
  EXPECT_EQ(read(msr), 0xbb);
}

TEST_F(SerialTest, StatusRegistersIgnoreWrites) {
  write(lsr, 0xff);
  write(msr, 0xff);
  EXPECT_EQ(read(lsr), 0x60);
  EXPECT_EQ(read(msr), 0xb0);
}

}  // namespace
}  // namespace undercroft
