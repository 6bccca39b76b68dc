#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::size_t header = 64, program = 80, sections = 128, section_bytes = 40;
constexpr std::uint32_t symbols = 0x200, names = 0x240;  // offsets of contents, in the file

// A multiboot kernel of one segment at 2 MB; five sections: none, text, bss without an address,
// symbols aligned to 16, names.
Bytes kernel() {
  Bytes image(0x250, 0);
  put32(image, 0, 0x464c457f);
  put16(image, 4, 0x0101);
  put16(image, 16, 2);
  put16(image, 18, 3);
  put32(image, 20, 1);
  put32(image, 24, 0x200070);
  put32(image, 28, program);
  put32(image, 32, sections);
  put16(image, 42, 32);
  put16(image, 44, 1);
  put16(image, 46, section_bytes);
  put16(image, 48, 5);
  put16(image, 50, 4);
  const std::uint32_t magic = 0x1badb002;
  put32(image, header, magic);
  put32(image, header + 8, 0u - magic);
  const std::uint32_t segment[6] = {1, 0, 0x200000, 0x200000, 0x121, 0x121};
  for (std::size_t i = 0; i < 6; ++i) put32(image, program + 4 * i, segment[i]);
  const std::uint32_t table[5][10] = {{},
                                      {1, 1, 6, 0x200000, 0, 0x121, 0, 0, 4, 0},
                                      {2, 8, 3, 0, 0, 0x1000, 0, 0, 4, 0},
                                      {3, 2, 0, 0, symbols, 0x21, 4, 1, 16, 16},
                                      {4, 3, 0, 0, names, 0x10, 0, 0, 0, 0}};
  for (std::size_t s = 0; s < 5; ++s) {
    for (std::size_t i = 0; i < 10; ++i) put32(image, sections + 40 * s + 4 * i, table[s][i]);
  }
  for (std::uint32_t i = 0; i < 0x50; ++i) put8(image, symbols + i, i + 1);
  return image;
}
std::size_t field(std::size_t section, std::size_t word) {
  return sections + section * section_bytes + 4 * word;
}

TEST(ElfSections, AreLoadedBehindTheKernelAndHandedOn) {
  LoaderRun run;
  run.add(kernel()).add(Bytes(10, 7));
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  const FakeRam& ram = run.ram;
  EXPECT_EQ(ram.u32(info) & 0x20, 0x20u);
  EXPECT_EQ(ram.u32(info + 28), 5u);
  EXPECT_EQ(ram.u32(info + 32), 40u);
  EXPECT_EQ(ram.u32(info + 40), 4u);
  const std::uint32_t at = ram.u32(info + 36);
  const auto address = [&](std::uint32_t section) { return ram.u32(at + 40 * section + 12); };
  EXPECT_EQ(address(1), 0x200000u);
  EXPECT_EQ(address(2), 0u);
  EXPECT_EQ(address(3), 0x200130u);
  EXPECT_EQ(address(4), 0x200151u);
  EXPECT_EQ(ram.u8(address(3)), 1u);
  EXPECT_EQ(ram.u8(address(3) + 0x20), 0x21u);
  EXPECT_EQ(ram.u8(address(4)), 0x41u);
  EXPECT_EQ(ram.u32(at + 40 * 3 + 16), symbols);  // all else is as in the file
  EXPECT_EQ(ram.u32(at + 40 * 4 + 4), 3u);
  EXPECT_EQ(ram.u32(ram.u32(info + 24)), 0x201000u);  // modules come behind
}

TEST(ElfSections, AKernelMayHaveNone) {
  Bytes image = kernel();
  put16(image, 48, 0);
  put16(image, 46, 0);
  LoaderRun run;
  run.add(image);
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  EXPECT_EQ(run.ram.u32(info) & 0x20, 0u);
  for (const std::uint32_t word : {28u, 32u, 36u, 40u}) EXPECT_EQ(run.ram.u32(info + word), 0u);
}

TEST(ElfSections, LargerHeadersAreHandedOnWhole) {
  Bytes image = kernel();
  put16(image, 46, 44);
  put16(image, 48, 1);
  put32(image, sections + 40, 0x12345678);
  LoaderRun run;
  run.add(image);
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  EXPECT_EQ(run.ram.u32(info + 32), 44u);
  EXPECT_EQ(run.ram.u32(run.ram.u32(info + 36) + 40), 0x12345678u);
}

TEST(ElfSections, MalformedOnesAreRefused) {
  const Malformed cases[] = {
      {"small headers", [](Bytes& i) { put16(i, 46, 39); }, "e_shentsize"},
      {"table outside", [](Bytes& i) { put32(i, 32, 0xffffff00); }, "e_shoff"},
      {"too many", [](Bytes& i) { put16(i, 48, 0xffff); }, "e_shoff"},
      {"contents outside", [](Bytes& i) { put32(i, field(3, 4), 0x250); }, "sh_offset"},
      {"longer than the file", [](Bytes& i) { put32(i, field(3, 5), 0x1000); }, "sh_offset"},
      {"hardly to align", [](Bytes& i) { put32(i, field(3, 8), 0xffffffff); }, "sh_size"},
  };
  expect_refused(kernel(), cases);
}

TEST(ElfSections, SurviveAnyDamage) { expect_robust(kernel(), sections + 5 * section_bytes); }

}  // namespace
}  // namespace undercroft::test
