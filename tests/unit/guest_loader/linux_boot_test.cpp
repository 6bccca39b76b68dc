#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t payload_bytes = 5000;
constexpr std::uint32_t setup_sectors = 2;

// Repeats at no power of two.
constexpr std::uint8_t payload_byte(std::uint32_t i) {
  return static_cast<std::uint8_t>(i + i / 256);
}

// A bzImage of protocol 2.15 that runs at 2 MB and needs 1 MB there.
Bytes linux_image() {
  Bytes image((setup_sectors + 1) * 512, 0);
  put8(image, 0x1f1, setup_sectors);
  put32(image, 0x1f4, (payload_bytes + 15) / 16);
  put16(image, 0x1fe, 0xaa55);
  put16(image, 0x200, 0x6aeb);  // jmp 0x26c: the header's end
  put32(image, 0x202, 0x53726448);
  put16(image, 0x206, 0x20f);
  put8(image, 0x211, 0x01);
  put32(image, 0x214, 0x100000);
  put32(image, 0x22c, 0x7fffffff);
  put32(image, 0x230, 0x200000);
  put8(image, 0x234, 1);
  put32(image, 0x238, 64);
  put32(image, 0x258, 0x200000);
  put32(image, 0x260, 0x100000);
  put32(image, 0x26c, 0x11223344);  // behind the header: not to be copied
  for (std::uint32_t i = 0; i < payload_bytes; ++i) image.push_back(payload_byte(i));
  return image;
}

TEST(LinuxBoot, EntersTheKernelAtItsPreferredAddress) {
  LoaderRun run;
  run.add(linux_image(), "console=ttyS0");
  const EntryState state = run.entry();
  EXPECT_EQ(state.format, GuestFormat::linux_kernel);
  expect_flat(state, run.ram);
  EXPECT_EQ(state.vcpu.eip, 0x200000u);
  for (const Register zero : {Register::ebx, Register::edi, Register::ebp}) {
    EXPECT_EQ(state.vcpu[zero], 0u);
  }
  for (const std::uint32_t i : {0u, 1u, 255u, 2048u, 4999u}) {
    EXPECT_EQ(run.ram.u8(0x200000 + i), payload_byte(i));
  }
}

TEST(LinuxBoot, OldVersionsRunAtOneMegabyte) {
  Bytes image = linux_image();
  for (const std::uint32_t version : {0x200u, 0x203u, 0x209u}) {
    put16(image, 0x206, version);
    LoaderRun run;
    run.add(image);
    EXPECT_EQ(run.entry().vcpu.eip, 0x100000u);
    EXPECT_EQ(run.ram.u8(0x100000 + 77), 77u);
  }
}

TEST(LinuxBoot, VersionsSince210RunWhereTheyPrefer) {
  Bytes image = linux_image();
  put16(image, 0x206, 0x20a);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x200000u);
}

TEST(LinuxBoot, AKernelThatCannotMoveIsLoadedAtOneMegabyteAndMovesItself) {
  Bytes image = linux_image();
  put8(image, 0x234, 0);
  LoaderRun run;
  run.add(image).add(Bytes(1, 1));
  EXPECT_EQ(run.entry().vcpu.eip, 0x100000u);
  EXPECT_EQ(run.ram.u8(0x100000 + 77), 77u);
  // It needs what it moves to: 2 to 3 MB.
  EXPECT_TRUE(LoaderRun(3 << 20).add(image).load().ok());
  const auto result = LoaderRun((3 << 20) - 4096).add(image).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "setup_header.init_size");
}

// Where it prefers to be, there is no memory.
Bytes kernel_that_must_move(std::uint32_t alignment, std::uint32_t least_bit) {
  Bytes image = linux_image();
  put32(image, 0x258, 0x1000000);
  put32(image, 0x230, alignment);
  put8(image, 0x235, least_bit);
  return image;
}

TEST(LinuxBoot, ARelocatableKernelGoesWhereThereIsRoom) {
  LoaderRun run(8 << 20);
  run.add(kernel_that_must_move(0x400000, 0));
  EXPECT_EQ(run.entry().vcpu.eip, 0x400000u);
  EXPECT_EQ(run.ram.u8(0x400000 + 77), 77u);
  const std::uint32_t page = run.entry().vcpu[Register::esi];
  EXPECT_EQ(run.ram.u32(page + 0x214), 0x400000u);
}

TEST(LinuxBoot, ItIsAlignedAsItNeedsIfNotAsItWants) {
  LoaderRun run(4 << 20);
  run.add(kernel_that_must_move(0x1000000, 13));
  EXPECT_EQ(run.entry().vcpu.eip, 0x100000u);
}

TEST(LinuxBoot, TheInitrdStaysWithinTheMemoryOfTheCommandLine) {
  LoaderRun run;
  run.add(linux_image(), "a mem=8M b").add(Bytes(5000, 1));
  EXPECT_EQ(run.ram.u32(run.entry().vcpu[Register::esi] + 0x218), 0x7fe000u);
}

TEST(LinuxBoot, TheEntryMovesWithTheKernel) {
  Bytes image = linux_image();
  put32(image, 0x214, 0x100200);
  EXPECT_EQ(LoaderRun().add(image).entry().vcpu.eip, 0x200200u);
}

TEST(LinuxBoot, FillsTheZeroPage) {
  LoaderRun run;
  run.add(linux_image(), "console=ttyS0 panic=-1").add(Bytes(10, 0xaa)).add(Bytes(5, 0xbb));
  const std::uint32_t page = run.entry().vcpu[Register::esi];
  const FakeRam& ram = run.ram;
  EXPECT_EQ(page % 4096, 0u);
  EXPECT_EQ(ram.u32(page + 0x202), 0x53726448u);  // the kernel's header ...
  EXPECT_EQ(ram.u32(page + 0x268), 0u);
  EXPECT_EQ(ram.u32(page + 0x26c), 0u);     // ... up to its end
  EXPECT_EQ(ram.u32(page), 0x7c00u << 16);  // screen at 0, 0; ext_mem_k: 31 MB
  EXPECT_EQ(ram.u8(page + 6), 3u);
  EXPECT_EQ(ram.u8(page + 7), 80u);
  EXPECT_EQ(ram.u8(page + 0xe), 25u);
  EXPECT_EQ(ram.u8(page + 0xf), 1u);
  EXPECT_EQ(ram.u16(page + 0x10), 16u);
  EXPECT_EQ(ram.u32(page + 0x1e0), 31u * 1024);
  EXPECT_EQ(ram.u8(page + 0x1ef), 0u);  // sentinel
  EXPECT_EQ(ram.u16(page + 0x1fa), 0xffffu);
  EXPECT_EQ(ram.u8(page + 0x210), 0xffu);
  EXPECT_EQ(ram.u32(page + 0x214), 0x200000u);
  EXPECT_EQ(ram.text(ram.u32(page + 0x228)), "console=ttyS0 panic=-1");

  ASSERT_EQ(ram.u8(page + 0x1e8), ram.map().size());
  for (std::size_t i = 0; i < ram.map().size(); ++i) {
    const std::uint64_t at = page + 0x2d0 + 20 * i;
    EXPECT_EQ(ram.u32(at), ram.map()[i].base);
    EXPECT_EQ(ram.u32(at + 8), ram.map()[i].length);
    EXPECT_EQ(ram.u32(at + 16), static_cast<std::uint32_t>(ram.map()[i].type));
  }
  const std::uint32_t initrd = ram.u32(page + 0x218);
  EXPECT_EQ(initrd, (32u << 20) - 4096);
  EXPECT_EQ(ram.u32(page + 0x21c), 20u);
  EXPECT_EQ(ram.u32(initrd + 8), 0x0000aaaau);  // padded to 4 bytes
  EXPECT_EQ(ram.u32(initrd + 12), 0xbbbbbbbbu);
  EXPECT_EQ(ram.u32(initrd + 16), 0xbbu);
}

TEST(LinuxBoot, VersionsBefore202FindTheCommandLineByItsOffset) {
  Bytes image = linux_image();
  put16(image, 0x206, 0x201);
  LoaderRun run;
  run.add(image, "root=/dev/fd0");
  const std::uint32_t page = run.entry().vcpu[Register::esi];
  EXPECT_EQ(run.ram.u16(page + 0x20), 0xa33fu);
  EXPECT_EQ(run.ram.text(page + run.ram.u16(page + 0x22)), "root=/dev/fd0");
}

TEST(LinuxBoot, TheInitrdStaysBelowTheKernelsLimit) {
  Bytes image = linux_image();
  put32(image, 0x22c, 0x9fffff);  // the last byte that it may have
  const auto place = [&](std::uint32_t version, std::size_t bytes) {
    put16(image, 0x206, version);
    LoaderRun run;
    run.add(image).add(Bytes(bytes, 1));
    return run.ram.u32(run.entry().vcpu[Register::esi] + 0x218);
  };
  EXPECT_EQ(place(0x20f, 5000), 0x9fe000u);
  EXPECT_EQ(place(0x20f, 4096), 0x9ff000u);
  EXPECT_EQ(place(0x203, 4096), 0x9ff000u);
  EXPECT_EQ(place(0x202, 4096), 0x1fff000u);  // had no such field
}

TEST(LinuxBoot, TheInitrdMustNotOverlapTheKernel) {
  // 4 MB of RAM; the kernel takes 2 to 3 MB, so that at most 1 MB is left in one piece.
  EXPECT_TRUE(LoaderRun(4 << 20).add(linux_image()).add(Bytes(1 << 20, 1)).load().ok());
  const auto result = LoaderRun(4 << 20).add(linux_image()).add(Bytes((1 << 20) + 1, 1)).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "ramdisk_size");
  EXPECT_EQ(result.error().module, 1);
}

TEST(LinuxBoot, RefusesTooLittleMemory) {
  const auto result = LoaderRun((3 << 20) - 4096).add(linux_image()).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "setup_header.init_size");
  Bytes image = linux_image();
  put16(image, 0x206, 0x204);
  put32(image, 0x1f4, (2u << 20) / 16);
  image.resize(image.size() + (2u << 20));
  const auto smaller = LoaderRun(3 << 20).add(image).load();
  ASSERT_FALSE(smaller.ok());
  EXPECT_EQ(smaller.error().field, "setup_header.syssize");
}

TEST(LinuxBoot, CommandLinesMayFillTheLimit) {
  const std::string longest(64, 'x'), too_long(65, 'x');
  EXPECT_TRUE(LoaderRun().add(linux_image(), longest).load().ok());
  const auto result = LoaderRun().add(linux_image(), too_long).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "setup_header.cmdline_size");
}

TEST(LinuxBoot, RefusesMalformedImages) {
  const Malformed cases[] = {
      {"cut in the header", [](Bytes& i) { i.resize(0x220); }, "setup_header"},
      {"cut before the kernel", [](Bytes& i) { i.resize(1536); }, "setup_header.setup_sects"},
      {"cut in the kernel", [](Bytes& i) { i.resize(4000); }, "setup_header.syssize"},
      {"wrong boot mark", [](Bytes& i) { put16(i, 0x1fe, 0x1234); }, "setup_header.boot_flag"},
      {"wrong header mark", [](Bytes& i) { put32(i, 0x202, 0); }, "setup_header.header"},
      {"version 1.3", [](Bytes& i) { put16(i, 0x206, 0x103); }, "setup_header.version"},
      {"zImage", [](Bytes& i) { put8(i, 0x211, 0); }, "setup_header.loadflags"},
      {"above 4 GB", [](Bytes& i) { put32(i, 0x25c, 1); }, "setup_header.pref_address"},
      {"odd alignment", [](Bytes& i) { put32(i, 0x258, 0x40000000), put32(i, 0x230, 0x300000); },
       "setup_header.kernel_alignment"},
      {"no alignment", [](Bytes& i) { put32(i, 0x258, 0xfffff000), put32(i, 0x230, 0); },
       "setup_header.kernel_alignment"},
      {"needs 4 GB", [](Bytes& i) { put32(i, 0x260, 0xffffffff); }, "setup_header.init_size"},
      {"entry below", [](Bytes& i) { put32(i, 0x214, 0xfffff); }, "setup_header.code32_start"},
      {"entry above", [](Bytes& i) { put32(i, 0x214, 0x100000 + 5000); },
       "setup_header.code32_start"},
  };
  expect_refused(linux_image(), cases);
}

TEST(LinuxBoot, SurvivesAnyDamage) { expect_robust(linux_image(), 0x26c + 512); }

// Documentation/x86/zero-page.rst: struct screen_info.
TEST(LinuxBoot, TellsOfTheFramebufferAsAVesaMode) {
  LoaderRun run;
  run.firmware.framebuffer = some_framebuffer;
  run.add(linux_image());
  const EntryState state = run.entry();
  EXPECT_TRUE(state.has_framebuffer);
  const std::uint32_t page = state.vcpu[Register::esi];
  const FakeRam& ram = run.ram;
  EXPECT_EQ(ram.u8(page + 0x0f), 0x23u);
  EXPECT_EQ(ram.u16(page + 0x12), 1024u);
  EXPECT_EQ(ram.u16(page + 0x14), 768u);
  EXPECT_EQ(ram.u16(page + 0x16), 32u);
  EXPECT_EQ(ram.u32(page + 0x18), 0xfd000000u);
  EXPECT_EQ(ram.u32(page + 0x1c), 48u);  // 3 MB in 64 KB
  EXPECT_EQ(ram.u16(page + 0x24), 4096u);
  const std::uint32_t colours[] = {8, 16, 8, 8, 8, 0, 8, 24};  // the last: reserved
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_EQ(ram.u8(page + 0x26 + i), colours[i]);
  EXPECT_EQ(ram.u16(page + 0x32), 1u);

  LoaderRun without;
  without.add(linux_image());
  const EntryState text = without.entry();
  EXPECT_FALSE(text.has_framebuffer);
  EXPECT_EQ(without.ram.u8(text.vcpu[Register::esi] + 0x0f), 1u);
}

}  // namespace
}  // namespace undercroft::test
