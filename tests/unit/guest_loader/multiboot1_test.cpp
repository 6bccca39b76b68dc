#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t magic = 0x1badb002;
constexpr std::size_t at = 64;  // of the header

void seal(Bytes& image, std::uint32_t flags) {
  put32(image, at, magic);
  put32(image, at + 4, flags);
  put32(image, at + 8, 0u - magic - flags);
}

// Address fields: 32 bytes before the header are loaded at 1 MB, with 1 KB in all and 4 KB of bss.
Bytes flat_image() {
  Bytes image(2048, 0);
  for (std::size_t i = 0; i < image.size(); ++i) put8(image, i, static_cast<std::uint32_t>(i * 3));
  seal(image, 0x10003);
  const std::uint32_t fields[] = {0x100020, 0x100000, 0x100400, 0x101400, 0x100100};
  for (std::size_t i = 0; i < 5; ++i) put32(image, at + 12 + 4 * i, fields[i]);
  return image;
}
constexpr std::size_t header_addr = at + 12, load_addr = at + 16, load_end = at + 20,
                      bss_end = at + 24, entry_addr = at + 28;

// ELF with one segment that holds the whole file.
Bytes elf_image(std::uint32_t flags) {
  Bytes image(128, 0);
  put32(image, 0, 0x464c457f);
  put16(image, 4, 0x0101);
  put16(image, 16, 2);
  put16(image, 18, 3);
  put32(image, 20, 1);
  put32(image, 24, 0x200070);
  put32(image, 28, 80);
  put16(image, 42, 32);
  put16(image, 44, 1);
  const std::uint32_t segment[6] = {1, 0, 0x200000, 0x200000, 128, 128};
  for (std::size_t i = 0; i < 6; ++i) put32(image, 80 + 4 * i, segment[i]);
  seal(image, flags);
  return image;
}

TEST(Multiboot1, LoadsByItsAddressFields) {
  LoaderRun run;
  run.add(flat_image());
  const EntryState state = run.entry();
  EXPECT_EQ(state.format, GuestFormat::multiboot1);
  expect_flat(state, run.ram);
  EXPECT_EQ(state.vcpu.eip, 0x100100u);
  EXPECT_EQ(state.vcpu[Register::eax], 0x2badb002u);
  EXPECT_EQ(run.ram.u8(0x100000), 96u);  // byte 32 of the file
  EXPECT_EQ(run.ram.u32(0x100020), magic);
  EXPECT_EQ(run.ram.u8(0x1003ff), (0x41f * 3) & 0xffu);
  EXPECT_EQ(run.ram.u8(0x100400), 0u);
  EXPECT_EQ(run.ram.u8(0x1013ff), 0u);
  EXPECT_EQ(run.ram.u8(0x101400), FakeRam::untouched);
}

TEST(Multiboot1, ZeroEndsMeanTheWholeFileAndNoBss) {
  Bytes image = flat_image();
  put32(image, load_end, 0);
  put32(image, bss_end, 0);
  LoaderRun run;
  run.add(image);
  run.entry();
  EXPECT_EQ(run.ram.u8(0x100000 + 2048 - 32 - 1), (2047 * 3) & 0xffu);
  EXPECT_EQ(run.ram.u8(0x100000 + 2048 - 32), FakeRam::untouched);
}

TEST(Multiboot1, TheBssMayBeEmpty) {
  Bytes image = flat_image();
  put32(image, bss_end, 0x100400);
  EXPECT_TRUE(LoaderRun().add(image).load().ok());
}

TEST(Multiboot1, LoadsElf) {
  LoaderRun run;
  run.add(elf_image(3));
  EXPECT_EQ(run.entry().vcpu.eip, 0x200070u);
  EXPECT_EQ(run.ram.u32(0x200040), magic);
}

TEST(Multiboot1, AddressFieldsTakePrecedenceOverElf) {
  Bytes image = elf_image(0x10003);
  image.resize(256);
  const std::uint32_t fields[] = {0x300040, 0x300000, 0, 0, 0x300010};
  // The fields follow the header at 64 and so overwrite the program header: it must not be read.
  for (std::size_t i = 0; i < 5; ++i) put32(image, at + 12 + 4 * i, fields[i]);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x300010u);
}

TEST(Multiboot1, TellsOfMemoryModulesAndCommandLine) {
  LoaderRun run;
  run.add(flat_image(), "one two").add(Bytes(5000, 7), "first").add(Bytes(), "").add(Bytes(1, 9));
  const EntryState state = run.entry();
  const FakeRam& ram = run.ram;
  const std::uint32_t info = state.vcpu[Register::ebx];
  EXPECT_LT(info, 0xa0000u);
  EXPECT_EQ(ram.u32(info), 0x124du);  // memory, line, modules, map, loader's name, framebuffer
  EXPECT_EQ(ram.u32(info + 4), 639u);
  EXPECT_EQ(ram.u32(info + 8), 31u * 1024);
  EXPECT_EQ(ram.text(ram.u32(info + 16)), "one two");
  EXPECT_EQ(ram.text(ram.u32(info + 64)), "Undercroft");

  ASSERT_EQ(ram.u32(info + 20), 3u);
  const std::uint32_t modules = ram.u32(info + 24);
  const std::uint32_t first = ram.u32(modules);
  EXPECT_EQ(first, 0x102000u);  // on the page behind the kernel
  EXPECT_EQ(ram.u32(modules + 4), first + 5000);
  EXPECT_EQ(ram.text(ram.u32(modules + 8)), "first");
  EXPECT_EQ(ram.u32(modules + 12), 0u);
  EXPECT_EQ(ram.u8(first + 4999), 7u);
  EXPECT_EQ(ram.u32(modules + 16), ram.u32(modules + 20));
  const std::uint32_t third = ram.u32(modules + 32);
  EXPECT_EQ(third % 4096, 0u);
  EXPECT_GE(third, first + 5000);
  EXPECT_EQ(ram.u8(third), 9u);

  const std::uint32_t map = ram.u32(info + 48);
  ASSERT_EQ(ram.u32(info + 44), 24 * ram.map().size());
  for (std::size_t i = 0; i < ram.map().size(); ++i) {
    EXPECT_EQ(ram.u32(map + 24 * i), 20u);
    EXPECT_EQ(ram.u32(map + 24 * i + 4), ram.map()[i].base);
    EXPECT_EQ(ram.u32(map + 24 * i + 12), ram.map()[i].length);
    EXPECT_EQ(ram.u32(map + 24 * i + 20), static_cast<std::uint32_t>(ram.map()[i].type));
  }
}

TEST(Multiboot1, SaysThatThereAreNoModules) {
  LoaderRun run;
  run.add(flat_image());
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  EXPECT_EQ(run.ram.u32(info), 0x1245u);
  EXPECT_EQ(run.ram.u32(info + 20), 0u);
  EXPECT_EQ(run.ram.u32(info + 24), 0u);
}

TEST(Multiboot1, TellsOfTheTextScreen) {
  LoaderRun run;
  run.add(flat_image());
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  EXPECT_EQ(run.ram.u32(info) & 0x1000, 0x1000u);
  EXPECT_EQ(run.ram.u32(info + 88), 0xb8000u);
  EXPECT_EQ(run.ram.u32(info + 100), 80u);
  EXPECT_EQ(run.ram.u8(info + 109), 2u);
}

// mode_type 0: linear graphics.
Bytes image_that_asks_for_video(std::uint32_t mode_type) {
  Bytes image = flat_image();
  seal(image, 0x10007);
  const std::uint32_t fields[] = {mode_type, 1024, 768, 32};
  for (std::size_t i = 0; i < 4; ++i) put32(image, at + 32 + 4 * i, fields[i]);
  return image;
}

TEST(Multiboot1, TellsOfTheFramebufferIfAsked) {
  const auto type_of = [](Bytes image, const Framebuffer& framebuffer) {
    LoaderRun run;
    run.firmware.framebuffer = framebuffer;
    run.add(std::move(image));
    const EntryState state = run.entry();
    const std::uint32_t info = state.vcpu[Register::ebx];
    const std::uint32_t type = run.ram.u8(info + 109);
    EXPECT_EQ(state.has_framebuffer, type == 1);
    if (type == 1) {
      const std::uint32_t words[] = {0xfd000000, 0, 4096, 1024, 768};
      for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(run.ram.u32(info + 88 + 4 * i), words[i]);
      EXPECT_EQ(run.ram.u8(info + 108), 32u);
      const std::uint32_t colours[] = {16, 8, 8, 8, 0, 8};
      for (std::uint32_t i = 0; i < 6; ++i) EXPECT_EQ(run.ram.u8(info + 110 + i), colours[i]);
    }
    return type;
  };
  EXPECT_EQ(type_of(image_that_asks_for_video(0), some_framebuffer), 1u);
  EXPECT_EQ(type_of(image_that_asks_for_video(0), {}), 2u);
  EXPECT_EQ(type_of(image_that_asks_for_video(1), some_framebuffer), 2u) << "text";
  EXPECT_EQ(type_of(flat_image(), some_framebuffer), 2u) << "not asked for";
}

TEST(Multiboot1, KernelsInLowMemoryPushTheInformationAside) {
  Bytes image = flat_image();
  const std::uint32_t fields[] = {0x8020, 0x8000, 0x8400, 0x90000, 0x8100};
  for (std::size_t i = 0; i < 5; ++i) put32(image, at + 12 + 4 * i, fields[i]);
  LoaderRun run;
  run.add(image);
  EXPECT_GE(run.entry().vcpu[Register::ebx], 0x90000u);
}

TEST(Multiboot1, TheHeaderMayEndTheFirst8Kilobytes) {
  Bytes image = flat_image();
  image.insert(image.begin() + 32, 8192 - 32 - at, 0);  // header at 8192 - 32
  EXPECT_TRUE(LoaderRun().add(image).load().ok());
  image.insert(image.begin(), 32, 0);
  const auto result = LoaderRun().add(image).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "magic");
}

TEST(Multiboot1, RefusesMalformedImages) {
  const Malformed cases[] = {
      {"magic", [](Bytes& i) { put32(i, at, 0); }, "magic"},
      {"unaligned", [](Bytes& i) { i.insert(i.begin(), 2, 0); }, "magic"},
      {"checksum", [](Bytes& i) { put32(i, at + 8, 1); }, "multiboot checksum"},
      {"unknown feature", [](Bytes& i) { seal(i, 0x10008); }, "multiboot flags"},
      {"no addresses, no ELF", [](Bytes& i) { seal(i, 3); }, "EI_MAG"},
      {"header ends the file", [](Bytes& i) { seal(i, 3), i.resize(at + 12); }, "EI_MAG"},
      {"cut in the header", [](Bytes& i) { i.resize(at + 11); }, "magic"},
      {"cut in the fields", [](Bytes& i) { i.resize(at + 31); }, "multiboot entry_addr"},
      {"cut in the kernel", [](Bytes& i) { i.resize(1000); }, "load_end_addr"},
      {"header below load", [](Bytes& i) { put32(i, load_addr, 0x100024); }, "load_addr"},
      {"load before the file", [](Bytes& i) { put32(i, header_addr, 0x100044); }, "header_addr"},
      {"end below load", [](Bytes& i) { put32(i, load_end, 0xfffff); }, "load_end_addr"},
      {"bss below end", [](Bytes& i) { put32(i, bss_end, 0x1003ff); }, "bss_end_addr"},
      {"bss behind RAM", [](Bytes& i) { put32(i, bss_end, 0xffffffff); }, "load_addr"},
      {"entry below", [](Bytes& i) { put32(i, entry_addr, 0xfffff); }, "entry_addr"},
      {"entry above", [](Bytes& i) { put32(i, entry_addr, 0x101400); }, "entry_addr"},
  };
  expect_refused(flat_image(), cases);
  const Malformed elf_cases[] = {
      {"64 bits", [](Bytes& i) { put8(i, 4, 2); }, "EI_CLASS"},
      {"entry outside", [](Bytes& i) { put32(i, 24, 0); }, "e_entry"},
  };
  expect_refused(elf_image(3), elf_cases);
}

TEST(Multiboot1, TheEntryMustBeVirtualOrPhysicalOfASegment) {
  Bytes image = elf_image(3);
  put32(image, 80 + 8, 0xc0200000);
  put32(image, 24, 0xc0200070);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x200070u);
}

TEST(Multiboot1, RefusesAModuleThatDoesNotFit) {
  const auto result = LoaderRun(4 << 20).add(flat_image()).add(Bytes(1)).add(Bytes(3 << 20)).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "mod_start");
  EXPECT_EQ(result.error().module, 2);
}

TEST(Multiboot1, RefusesTooManyModules) {
  LoaderRun run;
  run.add(flat_image());
  for (int i = 0; i < 32; ++i) run.add(Bytes(1));
  EXPECT_TRUE(run.load().ok());
  const auto result = run.add(Bytes(1)).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "mods_count");
}

TEST(Multiboot1, SurvivesAnyDamage) {
  expect_robust(flat_image(), at + 36);
  expect_robust(elf_image(3), 128);
}

}  // namespace
}  // namespace undercroft::test
