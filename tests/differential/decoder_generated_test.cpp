// Decoder against Zydis over generated encodings: every opcode of every map with every ModRM, with
// SIB, behind every useful combination of prefixes, in 32-bit and 16-bit code. Each that is valid
// is also cut short and grown to 15 and 16 bytes.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <random>
#include <vector>

#include "decoder_differences.hpp"
#include "decoder_oracle.hpp"

namespace undercroft::differential {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Opcode maps by their escape bytes.
const std::array<Bytes, 4> maps{Bytes{}, Bytes{0x0f}, Bytes{0x0f, 0x38}, Bytes{0x0f, 0x3a}};

// None, each alone, and combinations in which order or multiplicity could matter.
const std::vector<Bytes> prefix_sets{
    {},
    {0x66},
    {0x67},
    {0xf2},
    {0xf3},
    {0xf0},
    {0x66, 0x67},
    {0x66, 0xf2},
    {0xf3, 0x66},
    {0x66, 0xf0},
    {0xf2, 0xf0},
    {0xf0, 0xf3},
    {0xf2, 0xf3},
    {0xf3, 0xf2},
    {0x26},
    {0x2e},
    {0x36},
    {0x3e},
    {0x64},
    {0x65},
    {0x2e, 0x64},
    {0x65, 0x36, 0x66},
    {0x67, 0xf3, 0x2e},
    {0x66, 0x66},
    {0x67, 0xf0, 0x66},
};

// Fixed length, so that a decoder that runs on is seen.
struct Encoding {
  std::array<std::uint8_t, 20> bytes{};
  std::size_t size = 0;
  void add(std::uint8_t byte) { bytes[size++] = byte; }
  void add(const Bytes& more) {
    for (std::uint8_t byte : more) add(byte);
  }
  // What follows: values whose signs alternate.
  std::span<const std::uint8_t> padded(std::uint8_t seed) {
    for (std::size_t i = size; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(seed + 0x6d * (i - size));
    return bytes;
  }
};

void all_opcodes(Oracle& oracle, const Bytes& prefixes) {
  for (const Bytes& map : maps)
    for (unsigned opcode = 0; opcode < 256; ++opcode)
      for (unsigned modrm = 0; modrm < 256; ++modrm) {
        Encoding encoding;
        encoding.add(prefixes);
        encoding.add(map);
        encoding.add(static_cast<std::uint8_t>(opcode));
        encoding.add(static_cast<std::uint8_t>(modrm));
        oracle.compare(encoding.padded(static_cast<std::uint8_t>(modrm * 7 + opcode)));
      }
}

void all_sib(Oracle& oracle, const Bytes& prefixes) {
  for (const Bytes& map : maps)
    for (unsigned opcode = 0; opcode < 256; ++opcode)
      for (unsigned modrm = 0x04; modrm < 0xc0; modrm += 8)
        for (unsigned sib = 0; sib < 256; ++sib) {
          Encoding encoding;
          encoding.add(prefixes);
          encoding.add(map);
          encoding.add(static_cast<std::uint8_t>(opcode));
          encoding.add(static_cast<std::uint8_t>(modrm));
          encoding.add(static_cast<std::uint8_t>(sib));
          oracle.compare(encoding.padded(static_cast<std::uint8_t>(sib)));
        }
}

class Generated : public testing::TestWithParam<bool> {};

TEST_P(Generated, AgreesWithZydis) {
  Oracle oracle(GetParam());
  for (const Bytes& prefixes : prefix_sets) all_opcodes(oracle, prefixes);
  for (const Bytes& prefixes : {Bytes{}, Bytes{0x67}}) all_sib(oracle, prefixes);
  EXPECT_EQ(oracle.report(), "");
  unsigned index = 0;
  for (const Difference& difference : differences()) {
    const auto met = oracle.justified().find(index++);
    const auto count = met == oracle.justified().end() ? 0 : met->second;
    EXPECT_NE(count, 0u) << "no encoding meets: " << difference.reason;
    std::printf("justified %9llu  %s\n", static_cast<unsigned long long>(count), difference.reason);
  }
  std::printf("compared %llu encodings, %llu valid in both\n",
              static_cast<unsigned long long>(oracle.compared()),
              static_cast<unsigned long long>(oracle.valid()));
  EXPECT_GT(oracle.valid(), oracle.compared() / 3);
}

// Up to four prefixes in any order before bytes of which none is chosen.
TEST_P(Generated, AgreesWithZydisOnRandomBytes) {
  constexpr std::array<std::uint8_t, 11> prefixes{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                                  0x66, 0x67, 0xf0, 0xf2, 0xf3};
  constexpr unsigned seed = 1;
  Oracle oracle(GetParam());
  std::mt19937 random(seed);
  for (unsigned i = 0; i < 2'000'000; ++i) {
    Encoding encoding;
    for (unsigned count = random() % 5; count != 0; --count)
      encoding.add(prefixes[random() % prefixes.size()]);
    if (random() % 3 == 0) encoding.add(0x0f);
    while (encoding.size < encoding.bytes.size()) encoding.add(static_cast<std::uint8_t>(random()));
    oracle.compare(encoding.bytes);
  }
  EXPECT_EQ(oracle.report(), "") << "seed " << seed;
}

INSTANTIATE_TEST_SUITE_P(Code, Generated, testing::Values(true, false),
                         [](const auto& info) { return info.param ? "Bits32" : "Bits16"; });

}  // namespace
}  // namespace undercroft::differential
