// The 16-bit boot protocol: where setup code, command line and kernel go, what setup is told, and
// how the processor is.
#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t base = 0x90000, payload_bytes = 5000;

// A bzImage of which the kernel is 5000 times 0x5a and the setup code ends in a mark.
Bytes image_of(std::uint32_t version, std::uint32_t entry = 0) {
  Bytes image(3 * 512, 0);
  put8(image, 0x1f1, 2);
  put32(image, 0x1f4, (payload_bytes + 15) / 16);
  put16(image, 0x1fe, 0xaa55);
  put16(image, 0x200, 0x6aeb);
  put32(image, 0x202, 0x53726448);
  put16(image, 0x206, version);
  put8(image, 0x211, 0x01);
  put32(image, 0x214, entry);
  put32(image, 0x22c, 0x7fffffff);
  put32(image, 0x230, 0x200000);
  put32(image, 0x238, 64);
  put32(image, 0x258, 0x100000);
  put32(image, 0x5fc, 0x11223344);
  image.resize(image.size() + payload_bytes, 0x5a);
  return image;
}

LoaderRun machine_with_bios() {
  LoaderRun run;
  run.firmware.has_bios = true;
  return run;
}

void expect_real_mode(const EntryState& state, std::uint32_t stack) {
  const Vcpu& vcpu = state.vcpu;
  EXPECT_EQ(state.format, GuestFormat::linux_real_mode);
  EXPECT_EQ(vcpu.cr0, cr0::extension_type);
  EXPECT_EQ(vcpu.eflags, eflags::always_one);
  EXPECT_EQ(vcpu.eip, 0u);
  EXPECT_EQ(vcpu[Register::esp], stack);
  EXPECT_EQ(vcpu.idtr.base.value(), 0u);
  EXPECT_EQ(vcpu.idtr.limit, 0x3ff);
  for (unsigned i = 0; i < 6; ++i) {
    const DescriptorCache& cache = vcpu.segments[i];
    const std::uint16_t expected = static_cast<Segment>(i) == Segment::cs ? 0x9020 : 0x9000;
    EXPECT_EQ(cache.selector, expected);
    EXPECT_EQ(cache.base, expected * 16u);
    EXPECT_EQ(cache.limit, 0xffffu);
    EXPECT_TRUE(cache.usable && cache.present() && cache.is_writable_data() && !cache.is_32_bit());
  }
}

TEST(LinuxRealMode, AnImageWithoutA32BitEntryStartsWithItsSetupCode) {
  LoaderRun run = machine_with_bios();
  run.add(image_of(0x203), "a word");
  expect_real_mode(run.entry(), 0xe000);
  EXPECT_EQ(run.ram.u32(base + 0x5fc), 0x11223344u);
  EXPECT_EQ(run.ram.u8(base + 0x600), 0u);  // the heap, not the kernel
  EXPECT_EQ(run.ram.u8(0x100000), 0x5au);
  EXPECT_EQ(run.ram.u8(0x100000 + payload_bytes - 1), 0x5au);
}

TEST(LinuxRealMode, SetupIsTold) {
  LoaderRun run = machine_with_bios();
  run.add(image_of(0x203), "a word").add(Bytes(10, 0xaa));
  run.entry();
  const FakeRam& ram = run.ram;
  EXPECT_EQ(ram.u16(base + 0x1fa), 0xffffu);
  EXPECT_EQ(ram.u8(base + 0x210), 0xffu);
  EXPECT_EQ(ram.u8(base + 0x211), 0x81u);
  EXPECT_EQ(ram.u16(base + 0x224), 0xde00u);
  EXPECT_EQ(ram.u32(base + 0x228), base + 0xe000u);
  EXPECT_EQ(ram.text(base + 0xe000), "a word");
  const std::uint32_t initrd = ram.u32(base + 0x218);
  EXPECT_EQ(ram.u32(base + 0x21c), 12u);
  EXPECT_EQ(ram.u32(initrd), 0xaaaaaaaau);
}

TEST(LinuxRealMode, OldVersionsFindTheCommandLineInTheirSegment) {
  LoaderRun run = machine_with_bios();
  run.add(image_of(0x201), "old");
  expect_real_mode(run.entry(), 0x9800);
  EXPECT_EQ(run.ram.u16(base + 0x20), 0xa33fu);
  EXPECT_EQ(run.ram.u16(base + 0x22), 0x9800u);
  EXPECT_EQ(run.ram.text(base + 0x9800), "old");
  EXPECT_EQ(run.ram.u16(base + 0x224), 0x9600u);
}

TEST(LinuxRealMode, AnyImageIfAsked) {
  LoaderRun run = machine_with_bios();
  run.add(image_of(0x20f, 0x100000));
  EXPECT_EQ(run.entry().format, GuestFormat::linux_kernel);
  run.firmware.boot_16 = true;
  EXPECT_EQ(run.entry().format, GuestFormat::linux_real_mode);
}

// Setup jumps to the kernel where it lies.
TEST(LinuxRealMode, AKernelElsewhereTakesItsEntryAlong) {
  Bytes image = image_of(0x20f, 0x100010);
  put8(image, 0x234, 1);
  put32(image, 0x258, 0x400000);
  put32(image, 0x260, 0x10000);
  LoaderRun run = machine_with_bios();
  run.firmware.boot_16 = true;
  run.add(image);
  expect_real_mode(run.entry(), 0xe000);
  EXPECT_EQ(run.ram.u32(base + 0x214), 0x400010u);
  EXPECT_EQ(run.ram.u8(0x400000), 0x5au);
}

void expect_refused_field(LoaderRun& run, std::string_view field) {
  const auto result = run.load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, field);
}

TEST(LinuxRealMode, Refused) {
  LoaderRun without_bios;
  without_bios.add(image_of(0x203));
  expect_refused_field(without_bios, "setup_header.code32_start");
  Bytes large = image_of(0x203);
  put8(large, 0x1f1, 64);
  large.resize(0x10000);
  LoaderRun large_setup = machine_with_bios();
  large_setup.add(large);
  expect_refused_field(large_setup, "setup_header.setup_sects");
  Bytes patient = image_of(0x206);
  put32(patient, 0x238, 0x10000);
  const std::string endless(0x1c00, 'x');  // one byte more than there is below the EBDA
  LoaderRun long_line = machine_with_bios();
  long_line.add(patient, endless);
  expect_refused_field(long_line, "setup_header.cmdline_size");
}

TEST(LinuxRealMode, TheBiosStartsADisk) {
  const EntryState state = start_bios();
  EXPECT_EQ(state.format, GuestFormat::boot_sector);
  EXPECT_EQ(state.vcpu[Segment::cs].base + state.vcpu.eip, 0xfe6f2u);
  EXPECT_EQ(state.vcpu[Segment::ss].base + state.vcpu[Register::esp], 0x7c00u);
}

}  // namespace
}  // namespace undercroft::test
