// The VGA's registers and text memory.
#include "monitor/devices/vga.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fakes/device_fakes.hpp"

namespace undercroft {
namespace {

constexpr unsigned offset_of(unsigned port) { return port - 0x3b0; }

struct VgaTest : testing::Test {
  Vga vga;
  FakeVideoMemory memory;
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
  unsigned peek(std::uint32_t address) { return vga.read_memory(address, memory); }
  void poke(std::uint32_t address, unsigned value) {
    vga.write_memory(address, static_cast<std::uint8_t>(value), memory);
  }
  unsigned plane(unsigned number, std::uint32_t at) {
    return memory.bytes_[video_memory_offset(number, at)];
  }
  // The planes at 0xa0000, all of them written.
  void use_planes() {
    set(0x3c4, 2, 0x0f);
    set(0x3c4, 4, 0x06);
    set(0x3ce, 5, 0x00);
    set(0x3ce, 6, 0x05);
  }
};

TEST_F(VgaTest, StartsInMode3) {
  EXPECT_EQ(in(0x3cc), 0x67);
  EXPECT_EQ(get(0x3d4, 0x01), 0x4f) << "80 columns";
  EXPECT_EQ(get(0x3d4, 0x09) & 0x1f, 15) << "16 lines a character";
  EXPECT_EQ(get(0x3d4, 0x13), 0x28);
  EXPECT_EQ(get(0x3c4, 0x02), 0x03);
  EXPECT_EQ(get(0x3ce, 0x06) & 0x0c, 0x0c) << "memory at 0xb8000";
  EXPECT_EQ(vga.registers(), VgaRegisters{});
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
  for (const Row& row : {Row{0x3d4, 0x0a}, Row{0x3d4, 0x0e}, Row{0x3d4, 0x18}, Row{0x3ce, 0x08}}) {
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

// IBM, Video Subsystem: the bits that the registers have; others read as zero.
TEST_F(VgaTest, RegistersHaveTheBitsOfTheirKind) {
  const struct {
    unsigned port, index, bits;
  } rows[] = {{0x3c4, 0, 0x03}, {0x3c4, 1, 0x3d}, {0x3c4, 2, 0x0f}, {0x3c4, 3, 0x3f},
              {0x3c4, 4, 0x0e}, {0x3ce, 0, 0x0f}, {0x3ce, 1, 0x0f}, {0x3ce, 2, 0x0f},
              {0x3ce, 3, 0x1f}, {0x3ce, 4, 0x03}, {0x3ce, 5, 0x7b}, {0x3ce, 6, 0x0f},
              {0x3ce, 7, 0x0f}, {0x3ce, 8, 0xff}};
  for (const auto& row : rows) {
    for (const unsigned value : {0xffu, 0x00u, 0xa5u}) {
      set(row.port, row.index, value);
      EXPECT_EQ(get(row.port, row.index), value & row.bits) << std::hex << row.port << row.index;
    }
  }
}

TEST_F(VgaTest, TextIsPlanesZeroAndOneByTurns) {
  poke(0xb8000, 'A');
  poke(0xb8001, 0x1f);
  poke(0xbffff, 0x55);
  EXPECT_EQ(plane(0, 0), 'A');
  EXPECT_EQ(plane(1, 0), 0x1f);
  EXPECT_EQ(plane(1, 0x3fff), 0x55);
  EXPECT_EQ(memory.bytes_[0x7fff], 0x55) << "as the guest sees it";
  EXPECT_EQ(peek(0xb8000), 'A');
  EXPECT_EQ(peek(0xb0000), 0xff) << "not the window";
  EXPECT_EQ(peek(0xa0000), 0xff);
  poke(0xa0000, 0x77);
  EXPECT_EQ(peek(0xb8000), 'A');
}

TEST_F(VgaTest, WindowsAndMemoryEnable) {
  const struct {
    unsigned select;
    std::uint32_t base, size;
  } rows[] = {
      {0, 0xa0000, 0x20000}, {1, 0xa0000, 0x10000}, {2, 0xb0000, 0x8000}, {3, 0xb8000, 0x8000}};
  for (const auto& row : rows) {
    set(0x3ce, 6, row.select << 2);
    EXPECT_EQ(vga.registers().window(), (VgaRegisters::Window{row.base, row.size}));
    poke(row.base + 2, row.select);
    EXPECT_EQ(peek(row.base + 2), row.select);
  }
  out(0x3c2, 0x65);  // RAM off
  EXPECT_EQ(peek(0xb8002), 0xff);
  poke(0xb8002, 9);
  out(0x3c2, 0x67);
  EXPECT_EQ(peek(0xb8002), 3);
}

TEST_F(VgaTest, PlainTextIsToldApart) {
  const auto base = [this] { return vga.registers().plain_text_base(); };
  EXPECT_EQ(base(), 0xb8000u);
  set(0x3ce, 6, 0x0a);
  EXPECT_EQ(base(), 0xb0000u);
  set(0x3ce, 6, 0x0e);
  const struct {
    unsigned port, index, value, before;
  } rows[] = {{0x3c4, 2, 0x04, 0x03}, {0x3c4, 4, 0x0e, 0x02}, {0x3ce, 5, 0x00, 0x10},
              {0x3ce, 5, 0x11, 0x10}, {0x3ce, 5, 0x18, 0x10}, {0x3ce, 4, 0x02, 0x00},
              {0x3ce, 1, 0x01, 0x00}, {0x3ce, 3, 0x01, 0x00}, {0x3ce, 3, 0x18, 0x00},
              {0x3ce, 8, 0xfe, 0xff}, {0x3ce, 6, 0x06, 0x0e}};
  for (const auto& row : rows) {
    set(row.port, row.index, row.value);
    EXPECT_FALSE(base()) << std::hex << row.port << ' ' << row.index << ' ' << row.value;
    set(row.port, row.index, row.before);
    EXPECT_EQ(base(), 0xb8000u);
  }
}

TEST_F(VgaTest, FontsGoToPlaneTwoAndReadBack) {
  set(0x3c4, 2, 0x04);
  set(0x3c4, 4, 0x06);
  set(0x3ce, 4, 0x02);
  set(0x3ce, 5, 0x00);
  set(0x3ce, 6, 0x04);
  for (unsigned i = 0; i < 32; ++i) poke(0xa0000 + 'A' * 32 + i, 0x80 + i);
  EXPECT_EQ(plane(2, 'A' * 32 + 5), 0x85);
  EXPECT_EQ(plane(0, 'A' * 32 + 5), 0x00);
  EXPECT_EQ(peek(0xa0000 + 'A' * 32 + 31), 0x9f);
}

// Graphics controller: write modes 0 to 3 over latches loaded from 0x0f 0xf0 0x33 0x55.
TEST_F(VgaTest, WriteModes) {
  const struct {
    const char* name;
    unsigned mode, set_reset, enable, rotate, mask, value;
    unsigned planes[4];
  } rows[] = {
      {"mode 0", 0, 0, 0, 0, 0xff, 0xa6, {0xa6, 0xa6, 0xa6, 0xa6}},
      {"rotated", 0, 0, 0, 3, 0xff, 0x0f, {0xe1, 0xe1, 0xe1, 0xe1}},
      {"set/reset", 0, 0x5, 0xf, 0, 0xff, 0xa6, {0xff, 0x00, 0xff, 0x00}},
      {"set/reset of two", 0, 0x1, 0x3, 0, 0xff, 0xa6, {0xff, 0x00, 0xa6, 0xa6}},
      {"bit mask", 0, 0, 0, 0, 0xf0, 0xff, {0xff, 0xf0, 0xf3, 0xf5}},
      {"and", 0, 0, 0, 0x08, 0xff, 0x3c, {0x0c, 0x30, 0x30, 0x14}},
      {"or", 0, 0, 0, 0x10, 0xff, 0x3c, {0x3f, 0xfc, 0x3f, 0x7d}},
      {"xor", 0, 0, 0, 0x18, 0xff, 0x3c, {0x33, 0xcc, 0x0f, 0x69}},
      {"mode 1", 1, 0xf, 0xf, 0x18, 0x00, 0xff, {0x0f, 0xf0, 0x33, 0x55}},
      {"mode 2", 2, 0, 0, 0, 0xff, 0x6, {0x00, 0xff, 0xff, 0x00}},
      {"mode 2, masked", 2, 0, 0, 0, 0x3c, 0x6, {0x03, 0xfc, 0x3f, 0x41}},
      {"mode 3", 3, 0x9, 0, 0, 0x3f, 0xfc, {0x3f, 0xc0, 0x03, 0x7d}},
  };
  use_planes();
  for (const auto& row : rows) {
    const unsigned latched[4] = {0x0f, 0xf0, 0x33, 0x55};
    for (unsigned i = 0; i < 4; ++i) {
      memory.bytes_[video_memory_offset(i, 7)] = static_cast<std::uint8_t>(latched[i]);
      memory.bytes_[video_memory_offset(i, 8)] = 0;
    }
    set(0x3ce, 0, row.set_reset);
    set(0x3ce, 1, row.enable);
    set(0x3ce, 3, row.rotate);
    set(0x3ce, 5, row.mode);
    set(0x3ce, 8, row.mask);
    peek(0xa0007);
    poke(0xa0008, row.value);
    for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(plane(i, 8), row.planes[i]) << row.name << ' ' << i;
  }
}

TEST_F(VgaTest, MapMaskChoosesThePlanes) {
  use_planes();
  for (unsigned mask = 0; mask < 16; ++mask) {
    set(0x3c4, 2, 0x0f);
    poke(0xa0010, 0x00);
    set(0x3c4, 2, mask);
    poke(0xa0010, 0xff);
    for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(plane(i, 0x10), (mask >> i & 1) ? 0xff : 0) << mask;
  }
}

TEST_F(VgaTest, ReadModes) {
  use_planes();
  const unsigned values[4] = {0xf0, 0xcc, 0xaa, 0x00};
  for (unsigned i = 0; i < 4; ++i) {
    set(0x3c4, 2, 1u << i);
    poke(0xa0020, values[i]);
  }
  for (unsigned i = 0; i < 4; ++i) {
    set(0x3ce, 4, i);
    EXPECT_EQ(peek(0xa0020), values[i]);
  }
  set(0x3ce, 5, 0x08);
  set(0x3ce, 7, 0x0f);
  set(0x3ce, 2, 0x03);  // pixels of colour 3
  EXPECT_EQ(peek(0xa0020), 0xf0u & 0xcc & 0x55);
  set(0x3ce, 7, 0x01);  // plane 0 alone counts
  EXPECT_EQ(peek(0xa0020), 0xf0);
  set(0x3ce, 7, 0x00);
  EXPECT_EQ(peek(0xa0020), 0xff);
}

TEST_F(VgaTest, Chain4SpreadsPixelsOverThePlanes) {
  use_planes();
  set(0x3c4, 4, 0x0e);
  for (unsigned i = 0; i < 8; ++i) poke(0xa0000 + i, 0x10 + i);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(plane(i & 3, i / 4), 0x10 + i);
    EXPECT_EQ(peek(0xa0000 + i), 0x10 + i);
  }
}

TEST_F(VgaTest, ChangesAreToldOnce) {
  EXPECT_FALSE(vga.changes().any());
  set(0x3d4, 0x0e, 0x00);  // the value that it has
  out(0x3c4, 0x02);
  EXPECT_FALSE(vga.changes().any());
  set(0x3d4, 0x0e, 0x01);
  EXPECT_TRUE(vga.take_changes().registers);
  EXPECT_FALSE(vga.changes().any());
  peek(0xb8000);
  EXPECT_EQ(vga.changes().pages, 0u);
  EXPECT_TRUE(vga.take_changes().accessed);
  poke(0xb9000, 1);
  EXPECT_EQ(vga.take_changes().pages, 2u);
  use_planes();
  set(0x3c4, 2, 0x04);
  poke(0xa0000, 1);
  EXPECT_EQ(vga.take_changes().pages, std::uint64_t{1} << 32);
}

TEST_F(VgaTest, GeometryOfText) {
  EXPECT_EQ(vga.registers().columns(), 80u);
  EXPECT_EQ(vga.registers().rows(), 25u);
  EXPECT_EQ(vga.registers().pitch(), 80u);
  set(0x3d4, 0x09, 0x47);  // 8 lines a character
  EXPECT_EQ(vga.registers().rows(), 50u);
  set(0x3d4, 0x09, 0xc7);  // each line twice
  EXPECT_EQ(vga.registers().rows(), 25u);
  set(0x3d4, 0x0c, 0x07);
  set(0x3d4, 0x0d, 0xd0);
  set(0x3d4, 0x0e, 0x01);
  set(0x3d4, 0x0f, 0x23);
  EXPECT_EQ(vga.registers().start(), 2000);
  EXPECT_EQ(vga.registers().cursor(), 0x123);
}

}  // namespace
}  // namespace undercroft
