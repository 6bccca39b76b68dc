// The VGA's registers and text memory.
#include "monitor/devices/vga.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

constexpr unsigned offset_of(unsigned port) { return port - 0x3b0; }

struct VgaTest : testing::Test {
  Vga vga;
  std::uint64_t now = 0;

  std::uint8_t in(unsigned port) { return vga.read(offset_of(port), now); }
  void out(unsigned port, unsigned value) {
    vga.write(offset_of(port), static_cast<std::uint8_t>(value));
  }
  std::uint8_t get(unsigned port, unsigned index) {
    out(port, index);
    return in(port + 1);
  }
  void set(unsigned port, unsigned index, unsigned value) {
    out(port, index);
    out(port + 1, value);
  }
};

TEST_F(VgaTest, StartsInMode3) {
  EXPECT_EQ(in(0x3cc), 0x67);
  EXPECT_EQ(get(0x3d4, 0x01), 0x4f) << "80 columns";
  EXPECT_EQ(get(0x3d4, 0x09) & 0x1f, 15) << "16 lines a character";
  EXPECT_EQ(get(0x3d4, 0x13), 0x28);
  EXPECT_EQ(get(0x3c4, 0x02), 0x03);
  EXPECT_EQ(get(0x3ce, 0x06) & 0x0c, 0x0c) << "memory at 0xb8000";
  EXPECT_EQ(vga.text()[0], ' ');
  EXPECT_EQ(vga.text()[1], 0x07);
}

// The monitor's own timing of the retrace is that of the registers.
TEST_F(VgaTest, Mode3RegistersDescribe449LinesOf900Dots) {
  const unsigned overflow = get(0x3d4, 0x07);
  const auto line = [overflow](unsigned low, unsigned bit_8, unsigned bit_9) {
    return low | (overflow >> bit_8 & 1) << 8 | (overflow >> bit_9 & 1) << 9;
  };
  EXPECT_EQ((get(0x3d4, 0x00) + 5u) * 9, 900u) << "horizontal total";
  EXPECT_EQ((get(0x3d4, 0x01) + 1u) * 9, 720u) << "horizontal display end";
  EXPECT_EQ(line(get(0x3d4, 0x06), 0, 5) + 2, 449u) << "vertical total";
  EXPECT_EQ(line(get(0x3d4, 0x12), 1, 6) + 1, 400u) << "vertical display end";
  EXPECT_EQ(line(get(0x3d4, 0x10), 2, 7), 412u) << "vertical retrace start";
  EXPECT_EQ(get(0x3d4, 0x11) & 15, (412 + 2) & 15) << "vertical retrace end";
  EXPECT_EQ(line(get(0x3d4, 0x15), 3, 9) & 0x1ff, 406u) << "vertical blank start";
  for (const unsigned index : {0x08u, 0x0cu, 0x0du, 0x0eu, 0x0fu}) {
    EXPECT_EQ(get(0x3d4, index), 0) << "start and cursor: " << index;
  }
  EXPECT_EQ(get(0x3d4, 0x0a) << 8 | get(0x3d4, 0x0b), 0x0d0e) << "cursor at the bottom";
}

TEST_F(VgaTest, IndexedRegistersReadBack) {
  struct Row {
    unsigned port, index;
  };
  for (const Row& row : {Row{0x3d4, 0x0a}, Row{0x3d4, 0x0e}, Row{0x3d4, 0x18}, Row{0x3c4, 0x00},
                         Row{0x3c4, 0x04}, Row{0x3ce, 0x00}, Row{0x3ce, 0x08}}) {
    for (const unsigned value : {0x5au, 0xa5u}) {
      set(row.port, row.index, value);
      EXPECT_EQ(get(row.port, row.index), value) << std::hex << row.port << ' ' << row.index;
      EXPECT_EQ(in(row.port), row.index);
    }
  }
  set(0x3d4, 0x19, 0x77);  // beyond the last
  EXPECT_EQ(in(0x3d5), 0x00);
}

TEST_F(VgaTest, CrtcRegisters0To7AreProtected) {
  EXPECT_NE(get(0x3d4, 0x11) & 0x80, 0);
  set(0x3d4, 0x00, 0x11);
  EXPECT_EQ(get(0x3d4, 0x00), 0x5f);
  set(0x3d4, 0x07, 0x00);
  EXPECT_EQ(get(0x3d4, 0x07), 0x0f) << "but for bit 4 of register 7";
  set(0x3d4, 0x11, 0x0e);
  set(0x3d4, 0x00, 0x11);
  EXPECT_EQ(get(0x3d4, 0x00), 0x11);
}

TEST_F(VgaTest, AttributePortTakesIndexAndDataByTurns) {
  in(0x3da);
  out(0x3c0, 0x10);
  out(0x3c0, 0x0d);
  out(0x3c0, 0x12);
  in(0x3da);  // the index comes next again
  out(0x3c0, 0x30);
  EXPECT_EQ(in(0x3c1), 0x0d);
  EXPECT_EQ(in(0x3c0), 0x30);
  EXPECT_EQ(vga.read(offset_of(0x3c1), now), 0x0d);
}

TEST_F(VgaTest, AttributePaletteIsGuardedWhileShown) {
  in(0x3da);
  out(0x3c0, 0x21);
  out(0x3c0, 0x3f);
  EXPECT_EQ(in(0x3c1), 0x01);
  out(0x3c0, 0x01);
  out(0x3c0, 0x3f);
  EXPECT_EQ(in(0x3c1), 0x3f);
  out(0x3c0, 0x30);  // mode control is no palette entry
  out(0x3c0, 0x04);
  EXPECT_EQ(in(0x3c1), 0x04);
}

TEST_F(VgaTest, MonochromePlaceFollowsMiscellaneousOutput) {
  set(0x3d4, 0x0f, 0x42);
  EXPECT_EQ(in(0x3b5), 0xff);
  out(0x3b5, 0x13);
  EXPECT_EQ(in(0x3d5), 0x42);
  out(0x3c2, 0x66);
  EXPECT_EQ(in(0x3d5), 0xff);
  EXPECT_EQ(in(0x3b5), 0x42);
  EXPECT_NE(in(0x3ba), 0xff);
  EXPECT_EQ(in(0x3da), 0xff);
}

TEST_F(VgaTest, RetraceComesAndGoes) {
  unsigned blank = 0, retraces = 0;
  bool in_retrace = (in(0x3da) & 8) != 0;
  for (now = 0; now < 1'000'000'000; now += 10'000) {
    const std::uint8_t status = in(0x3da);
    blank += status & 1;
    const bool retrace = (status & 8) != 0;
    if (retrace) {
      EXPECT_NE(status & 1, 0);
      if (!in_retrace) ++retraces;
    }
    in_retrace = retrace;
  }
  EXPECT_EQ(retraces, 70u) << "Hz";
  EXPECT_GT(blank, 20'000u);
  EXPECT_LT(blank, 40'000u);
}

TEST_F(VgaTest, PaletteCountsThroughItsComponents) {
  out(0x3c8, 5);
  for (const unsigned value : {1u, 2u, 0xffu, 4u}) out(0x3c9, value);
  EXPECT_EQ(in(0x3c8), 6);
  out(0x3c7, 5);
  EXPECT_EQ(in(0x3c7), 0x03);
  EXPECT_EQ(in(0x3c9), 1);
  EXPECT_EQ(in(0x3c9), 2);
  EXPECT_EQ(in(0x3c9), 0x3f) << "six bits";
  EXPECT_EQ(in(0x3c9), 4);
  out(0x3c8, 255);
  for (int i = 0; i < 4; ++i) out(0x3c9, 9);  // wraps
  EXPECT_EQ(in(0x3c8), 0);
}

TEST_F(VgaTest, DefaultPaletteHasTheSixteenColours) {
  struct Row {
    unsigned index, red, green, blue;
  };
  for (const Row& row :
       {Row{0, 0, 0, 0}, Row{1, 0, 0, 0x2a}, Row{4, 0x2a, 0, 0}, Row{0x14, 0x2a, 0x15, 0},
        Row{7, 0x2a, 0x2a, 0x2a}, Row{0x3f, 0x3f, 0x3f, 0x3f}}) {
    out(0x3c7, row.index);
    EXPECT_EQ(in(0x3c9), row.red) << row.index;
    EXPECT_EQ(in(0x3c9), row.green) << row.index;
    EXPECT_EQ(in(0x3c9), row.blue) << row.index;
  }
}

TEST_F(VgaTest, TextMemoryIsPlainMemory) {
  vga.write_memory(0x100, 0x44332211, 4);
  EXPECT_EQ(vga.read_memory(0x100, 4), 0x44332211u);
  EXPECT_EQ(vga.read_memory(0x101, 2), 0x3322u);
  vga.write_memory(0x102, 0x1aa, 1);
  EXPECT_EQ(vga.read_memory(0x100, 4), 0x44aa2211u);
  EXPECT_EQ(vga.text()[0x102], 0xaa);
  vga.write_memory(0x7fff, 0x0201, 2);
  EXPECT_EQ(vga.read_memory(0x7fff, 2), 0x0201u) << "wraps";
  EXPECT_EQ(vga.text()[0], 0x02);
}

TEST_F(VgaTest, StartAndCursorAreToldToTheMonitor) {
  set(0x3d4, 0x0c, 0x07);
  set(0x3d4, 0x0d, 0xd0);
  set(0x3d4, 0x0e, 0x01);
  set(0x3d4, 0x0f, 0x23);
  EXPECT_EQ(vga.text_start(), 2000);
  EXPECT_EQ(vga.text_cursor(), 0x123);
  set(0x3d4, 0x0a, 0x20);
  EXPECT_EQ(vga.text_cursor(), Vga::cursor_off);
}

}  // namespace
}  // namespace undercroft
