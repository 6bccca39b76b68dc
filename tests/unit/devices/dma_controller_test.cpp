// The DMA controllers' registers read back as programmed.
#include "monitor/devices/dma_controller.hpp"

#include <gtest/gtest.h>

namespace undercroft {
namespace {

TEST(DmaController, WordsGoByLowAndHighByte) {
  DmaController dma;
  for (unsigned offset = 0; offset < 8; ++offset) {
    dma.write_first(12, 0);
    dma.write_first(offset, static_cast<std::uint8_t>(0x10 + offset));
    dma.write_first(offset, static_cast<std::uint8_t>(0x80 + offset));
  }
  for (unsigned offset = 0; offset < 8; ++offset) {
    EXPECT_EQ(dma.read_first(offset), 0x10 + offset);
    EXPECT_EQ(dma.read_first(offset), 0x80 + offset);
  }
}

TEST(DmaController, ClearFlipFlopStartsWithTheLowByte) {
  DmaController dma;
  dma.write_first(0, 0x11);
  dma.write_first(12, 0);
  dma.write_first(0, 0x22);
  dma.write_first(0, 0x33);
  EXPECT_EQ(dma.read_first(0), 0x22);
  dma.write_first(12, 0);
  EXPECT_EQ(dma.read_first(0), 0x22);
  EXPECT_EQ(dma.read_first(0), 0x33);
}

TEST(DmaController, SecondStandsAtEvenOffsetsAndIsSeparate) {
  DmaController dma;
  dma.write_second(4, 0x44);
  dma.write_second(4, 0x55);
  EXPECT_EQ(dma.read_second(4), 0x44);
  EXPECT_EQ(dma.read_second(4), 0x55);
  EXPECT_EQ(dma.read_first(2), 0x00);
}

TEST(DmaController, MasksAndRequests) {
  DmaController dma;
  EXPECT_EQ(dma.read_first(15), 0xff) << "all masked at first";
  dma.write_first(10, 0x02);
  EXPECT_EQ(dma.read_first(15), 0xfb);
  dma.write_first(10, 0x01);
  EXPECT_EQ(dma.read_first(15), 0xf9);
  dma.write_first(10, 0x05);
  dma.write_first(10, 0x06);
  EXPECT_EQ(dma.read_first(15), 0xff);
  dma.write_first(15, 0x05);
  EXPECT_EQ(dma.read_first(15), 0xf5);
  dma.write_first(14, 0);
  EXPECT_EQ(dma.read_first(15), 0xf0);
  dma.write_first(9, 0x05);
  EXPECT_EQ(dma.read_first(8), 0x20);
  dma.write_first(13, 0);
  EXPECT_EQ(dma.read_first(8), 0x00);
  EXPECT_EQ(dma.read_first(15), 0xff);
}

TEST(DmaController, PageRegistersAreLatches) {
  DmaController dma;
  for (unsigned offset = 0; offset < 16; ++offset) {
    dma.write_page(offset, static_cast<std::uint8_t>(0xa0 + offset));
  }
  for (unsigned offset = 0; offset < 16; ++offset) {
    EXPECT_EQ(dma.read_page(offset), 0xa0 + offset);
  }
}

}  // namespace
}  // namespace undercroft
