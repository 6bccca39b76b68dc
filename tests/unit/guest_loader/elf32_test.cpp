#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

// Two segments: 4 bytes at 1 MB with 12 bytes of bss, and 4 bytes at 2 MB linked at 0xc0200000.
Bytes elf_image() {
  Bytes image(52 + 2 * 32, 0);
  put32(image, 0, 0x464c457f);
  put8(image, 4, 1);    // EI_CLASS
  put8(image, 5, 1);    // EI_DATA
  put16(image, 16, 2);  // e_type
  put16(image, 18, 3);  // e_machine
  put32(image, 20, 1);  // e_version
  put32(image, 24, 0x100002);
  put32(image, 28, 52);  // e_phoff
  put16(image, 42, 32);
  put16(image, 44, 2);
  const std::uint32_t segments[2][6] = {{1, 116, 0x100000, 0x100000, 4, 16},
                                        {1, 120, 0xc0200000, 0x200000, 4, 4}};
  for (std::size_t s = 0; s < 2; ++s) {
    for (std::size_t i = 0; i < 6; ++i) put32(image, 52 + 32 * s + 4 * i, segments[s][i]);
  }
  put32(image, 116, 0x04030201);
  put32(image, 120, 0x0d0c0b0a);
  return image;
}
constexpr std::size_t first = 52, second = 84;  // program headers
constexpr std::size_t offset = 4, paddr = 12, filesz = 16, memsz = 20;

TEST(Elf32, LoadsSegmentsAndZeroesTheirEnds) {
  LoaderRun run;
  run.add(elf_image());
  const EntryState state = run.entry();
  EXPECT_EQ(state.format, GuestFormat::elf32);
  expect_flat(state, run.ram);
  EXPECT_EQ(state.vcpu.eip, 0x100002u);
  EXPECT_EQ(run.ram.u32(0x100000), 0x04030201u);
  for (const std::uint32_t i : {4u, 8u, 12u}) EXPECT_EQ(run.ram.u32(0x100000 + i), 0u);
  EXPECT_EQ(run.ram.u8(0x100010), FakeRam::untouched);
  EXPECT_EQ(run.ram.u32(0x200000), 0x0d0c0b0au);
}

TEST(Elf32, TranslatesAVirtualEntry) {
  Bytes image = elf_image();
  put32(image, 24, 0xc0200003);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x200003u);
}

TEST(Elf32, TakesSharedObjects) {
  Bytes image = elf_image();
  put16(image, 16, 3);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x100002u);
}

TEST(Elf32, SkipsSegmentsThatAreNotToBeLoaded) {
  Bytes image = elf_image();
  put32(image, second, 4);  // PT_NOTE
  LoaderRun run;
  run.add(image);
  run.entry();
  EXPECT_EQ(run.ram.u8(0x200000), FakeRam::untouched);
}

TEST(Elf32, ReadsWiderProgramHeaders) {
  Bytes image = elf_image();
  image.insert(image.begin() + second, 8, 0xee);
  put16(image, 42, 40);
  put32(image, first + offset, 124);
  put32(image, second + 8 + offset, 128);
  LoaderRun run;
  run.add(image);
  run.entry();
  EXPECT_EQ(run.ram.u32(0x200000), 0x0d0c0b0au);
}

TEST(Elf32, RefusesMalformedImages) {
  const Malformed cases[] = {
      {"cut in the header", [](Bytes& i) { i.resize(51); }, "e_ehsize"},
      {"64 bits", [](Bytes& i) { put8(i, 4, 2); }, "EI_CLASS"},
      {"big endian", [](Bytes& i) { put8(i, 5, 2); }, "EI_DATA"},
      {"relocatable", [](Bytes& i) { put16(i, 16, 1); }, "e_type"},
      {"x86-64", [](Bytes& i) { put16(i, 18, 62); }, "e_machine"},
      {"version", [](Bytes& i) { put32(i, 20, 0); }, "e_version"},
      {"no headers", [](Bytes& i) { put16(i, 44, 0); }, "e_phnum"},
      {"too many headers", [](Bytes& i) { put16(i, 44, 0xffff); }, "e_phnum"},
      {"short headers", [](Bytes& i) { put16(i, 42, 31); }, "e_phentsize"},
      {"headers outside", [](Bytes& i) { put32(i, 28, 0xfffffff0); }, "e_phoff"},
      {"headers cut", [](Bytes& i) { put32(i, 28, 61); }, "e_phoff"},
      {"nothing to load", [](Bytes& i) { put32(i, first, 0), put32(i, second, 0); }, "p_type"},
      {"file above memory", [](Bytes& i) { put32(i, first + filesz, 17); }, "p_filesz"},
      {"cut in a segment", [](Bytes& i) { i.resize(123); }, "p_offset"},
      {"segment outside the file", [](Bytes& i) { put32(i, first + offset, 0xffffffff); },
       "p_offset"},
      {"outside RAM", [](Bytes& i) { put32(i, first + paddr, 0xfffffff8); }, "p_paddr"},
      {"behind RAM", [](Bytes& i) { put32(i, first + memsz, 0x80000000); }, "p_paddr"},
      {"in the ROM", [](Bytes& i) { put32(i, first + paddr, 0xf0000); }, "p_paddr"},
      {"overlapping", [](Bytes& i) { put32(i, second + paddr, 0x10000f); }, "p_paddr"},
      {"entry outside", [](Bytes& i) { put32(i, 24, 0x100010); }, "e_entry"},
  };
  expect_refused(elf_image(), cases);
}

TEST(Elf32, NeighboursDoNotOverlap) {
  Bytes image = elf_image();
  put32(image, second + paddr, 0x100010);
  EXPECT_TRUE(LoaderRun().add(image).load().ok());
}

TEST(Elf32, SurvivesAnyDamage) { expect_robust(elf_image(), elf_image().size()); }

}  // namespace
}  // namespace undercroft::test
