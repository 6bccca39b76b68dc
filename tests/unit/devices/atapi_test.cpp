// A CD-ROM drive and its packets, by data requests and by DMA.
#include <gtest/gtest.h>

#include <array>

#include "tests/unit/fakes/ide_fakes.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t blocks = 100;
constexpr unsigned ready = 0x50, requests = 0x58, failed = 0x51;

struct AtapiTest : IdeTest {
  using Packet = std::array<std::uint8_t, 12>;
  AtapiTest() {
    attach(DiskKind::cdrom, blocks * 4);
    use_second_channel();
  }
  void send(const Packet& packet, unsigned limit = 0xfffe, bool by_dma = false) {
    set(6, 0xa0);
    set(1, by_dma);
    set(4, limit);
    set(5, limit >> 8);
    set(7, 0xa0);
    ASSERT_EQ(status(), requests);
    ASSERT_EQ(get(2), 1u) << "the packet is asked for";
    ASSERT_FALSE(line());
    for (unsigned i = 0; i < 12; i += 2) port_out(base, packet[i] | packet[i + 1] << 8, 2);
  }
  // The whole answer; checks the phases.
  std::vector<std::byte> answer(const Packet& packet, unsigned limit = 0xfffe) {
    send(packet, limit);
    std::vector<std::byte> out;
    while (true) {
      EXPECT_TRUE(line());
      const unsigned now = status();
      EXPECT_FALSE(line());
      if (now != requests) {
        EXPECT_EQ(get(2), 3u) << "the status phase";
        return out;
      }
      EXPECT_EQ(get(2), 2u) << "data for the host";
      const unsigned bytes = get(4) | get(5) << 8;
      EXPECT_LE(bytes, limit);
      if (bytes == 0) return out;
      const auto part = read_words(bytes);
      out.insert(out.end(), part.begin(), part.end());
    }
  }
  unsigned at(const std::vector<std::byte>& bytes, unsigned index) {
    return index < bytes.size() ? std::to_integer<unsigned>(bytes[index]) : 0x100u;
  }
  // The sense key and the additional code, after a command that was refused.
  std::pair<unsigned, unsigned> sense() {
    const auto bytes = answer({0x03, 0, 0, 0, 18});
    return {at(bytes, 2), at(bytes, 12)};
  }
  std::pair<unsigned, unsigned> refused(const Packet& packet) {
    answer(packet);
    EXPECT_EQ(status(), failed) << unsigned{packet[0]};
    return sense();
  }
  using Sense = std::pair<unsigned, unsigned>;
};

TEST_F(AtapiTest, SignatureAndRefusalOfADisksCommands) {
  EXPECT_EQ(status(), 0u) << "not ready before the first packet";
  EXPECT_EQ(get(4), 0x14u);
  EXPECT_EQ(get(5), 0xebu);
  for (const unsigned code : {0xecu, 0x20u}) {
    set(4, 0);
    set(7, code);
    EXPECT_EQ(status(), failed);
    EXPECT_EQ(get(1), 4u);
    EXPECT_EQ(get(4), 0x14u);
  }
  set(7, 0xc8);
  EXPECT_EQ(status(), failed);
  set(7, 0x08);
  EXPECT_EQ(status(), 0u) << "DEVICE RESET";
  EXPECT_EQ(get(5), 0xebu);
}

TEST_F(AtapiTest, IdentifyPacketDevice) {
  set(7, 0xa1);
  EXPECT_EQ(status(), requests);
  const auto words = read_words(512);
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(word_of(words, 0), 0x85c0u);
  EXPECT_EQ(word_of(words, 49) & 0x100, 0x100u);
}

TEST_F(AtapiTest, ReadsBlocksInRequestsOfTheLimit) {
  for (const unsigned limit : {2048u, 0xfffeu, 3000u, 512u}) {
    const auto bytes = answer({0x28, 0, 0, 0, 0, 7, 0, 0, 3}, limit);
    EXPECT_EQ(bytes, sectors_of(disks.disks[0], 28, 12)) << limit;
    EXPECT_EQ(status(), ready);
  }
  EXPECT_EQ(answer({0xa8, 0, 0, 0, 0, 99, 0, 0, 0, 1}), sectors_of(disks.disks[0], 396, 4));
  EXPECT_TRUE(answer({0x28, 0, 0, 0, 0, 7}).empty()) << "no blocks";
  EXPECT_EQ(status(), ready);
}

TEST_F(AtapiTest, ReadsBlocksByDma) {
  set_table({{0x10000, 4096, true}});
  set_master(0, 0x09);
  send({0x28, 0, 0, 0, 0, 50, 0, 0, 2}, 0, true);
  EXPECT_EQ(master(2), 4u);
  EXPECT_TRUE(line());
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(get(2), 3u);
  EXPECT_EQ(memory_at(0x10000, 4096), sectors_of(disks.disks[0], 200, 8));
}

TEST_F(AtapiTest, BlocksThatAreNotThere) {
  EXPECT_EQ(refused({0x28, 0, 0, 0, 0, 99, 0, 0, 2}), (Sense{5, 0x21}));
  EXPECT_EQ(refused({0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), (Sense{5, 0x21}));
  EXPECT_EQ(refused({0x2b, 0, 0, 0, 0, 100}), (Sense{5, 0x21}));
  EXPECT_EQ(sense(), (Sense{0, 0})) << "told once";
}

TEST_F(AtapiTest, ErrorRegisterHasTheSenseKey) {
  send({0xff});
  EXPECT_EQ(status(), failed);
  EXPECT_EQ(get(1), 0x54u);
  EXPECT_EQ(sense(), (Sense{5, 0x20}));
}

TEST_F(AtapiTest, SaysWhatItIs) {
  const auto bytes = answer({0x12, 0, 0, 0, 36});
  ASSERT_EQ(bytes.size(), 36u);
  EXPECT_EQ(at(bytes, 0), 5u);
  EXPECT_EQ(at(bytes, 1), 0x80u);
  EXPECT_EQ(at(bytes, 4), 31u);
  EXPECT_EQ(answer({0x12, 0, 0, 0, 5}).size(), 5u) << "as many as asked for";
  EXPECT_EQ(refused({0x12, 1, 0, 0, 36}), (Sense{5, 0x24}));
}

TEST_F(AtapiTest, Capacity) {
  const auto bytes = answer({0x25});
  ASSERT_EQ(bytes.size(), 8u);
  EXPECT_EQ(at(bytes, 3), blocks - 1);
  EXPECT_EQ(at(bytes, 6), 8u);
}

TEST_F(AtapiTest, TableOfContents) {
  auto toc = answer({0x43, 0, 0, 0, 0, 0, 0, 0, 100});
  ASSERT_EQ(toc.size(), 20u);
  EXPECT_EQ(at(toc, 1), 18u);
  EXPECT_EQ(at(toc, 6), 1u);
  EXPECT_EQ(at(toc, 14), 0xaau);
  EXPECT_EQ(at(toc, 19), blocks);
  toc = answer({0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100});
  ASSERT_EQ(toc.size(), 12u);
  EXPECT_EQ(at(toc, 9), 0u);
  EXPECT_EQ(at(toc, 10), 3u) << "250 frames are 3 seconds and 25 frames";
  EXPECT_EQ(at(toc, 11), 25u);
  EXPECT_EQ(answer({0x43, 0, 1, 0, 0, 0, 0, 0, 100}).size(), 12u) << "sessions";
  EXPECT_EQ(refused({0x43, 0, 2, 0, 0, 0, 0, 0, 100}), (Sense{5, 0x24}));
}

TEST_F(AtapiTest, ModePagesAndFeatures) {
  auto page = answer({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 100});
  ASSERT_EQ(page.size(), 28u);
  EXPECT_EQ(at(page, 1), 26u);
  EXPECT_EQ(at(page, 8), 0x2au);
  EXPECT_EQ(answer({0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 100}).size(), 36u);
  EXPECT_EQ(refused({0x5a, 0, 0x05, 0, 0, 0, 0, 0, 100}), (Sense{5, 0x24}));
  EXPECT_EQ(refused({0x5a, 0, 0xea, 0, 0, 0, 0, 0, 100}), (Sense{5, 0x39}));
  const auto features = answer({0x46, 0, 0, 0, 0, 0, 0, 0, 100});
  EXPECT_EQ(at(features, 7), 8u) << "a CD-ROM";
  EXPECT_EQ(at(features, 3), features.size() - 4);
  EXPECT_EQ(answer({0x46, 2, 0, 3, 0, 0, 0, 0, 100}).size(), 16u) << "one feature";
}

TEST_F(AtapiTest, EjectAndLoad) {
  answer({0x1e, 0, 0, 0, 1});
  EXPECT_EQ(refused({0x1b, 0, 0, 0, 2}), (Sense{5, 0x53})) << "removal is prevented";
  answer({0x1e, 0, 0, 0, 0});
  answer({0x1b, 0, 0, 0, 2});
  EXPECT_EQ(status(), ready);
  EXPECT_EQ(refused({0x00}), (Sense{2, 0x3a}));
  auto event = answer({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8});
  EXPECT_EQ(at(event, 4), 3u);
  EXPECT_EQ(at(event, 5), 1u);
  answer({0x1b, 0, 0, 0, 3});
  EXPECT_EQ(refused({0x00}), (Sense{6, 0x28})) << "a medium has come";
  answer({0x00});
  EXPECT_EQ(status(), ready);
  event = answer({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8});
  EXPECT_EQ(at(event, 4), 2u);
  EXPECT_EQ(at(event, 5), 2u);
  event = answer({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8});
  EXPECT_EQ(at(event, 4), 0u) << "told once";
  EXPECT_EQ(refused({0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8}), (Sense{5, 0x24}));
}

}  // namespace
}  // namespace undercroft
