#include "boot/boot_information.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace undercroft::boot {
namespace {

// Physical memory of which only what a test has put there exists; the rest reads as 0xcc.
class Memory final : public PhysicalReader {
 public:
  std::uint8_t byte(std::uint32_t address) const override {
    const auto found = bytes_.find(address);
    return found == bytes_.end() ? 0xcc : found->second;
  }
  void put(std::uint32_t at, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i) bytes_[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
  }
  void text(std::uint32_t at, const std::string& text) {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      bytes_[at + static_cast<std::uint32_t>(i)] = static_cast<std::uint8_t>(text.c_str()[i]);
    }
  }

 private:
  std::map<std::uint32_t, std::uint8_t> bytes_;
};

struct Outcome {
  BootInformation information;
  std::string error;  // empty: none
};

Outcome read(const Memory& memory, std::uint32_t magic, std::uint32_t address) {
  Outcome outcome;
  const auto result = read_boot_information(memory, magic, address, outcome.information);
  if (!result.ok()) outcome.error = result.error();
  return outcome;
}

TEST(BootInformation, OtherLoaderIsRefused) {
  EXPECT_EQ(read(Memory(), 0x12345678, 0).error, "EAX: not started by a multiboot loader");
}

// Multiboot 1: information at 0x9000, texts and tables at places of their own.
class Multiboot1 : public testing::Test {
 protected:
  Multiboot1() {
    memory.put(info, 0x4c, 4);  // command line, modules, memory map
    memory.put(info + 16, 0x9100, 4);
    memory.text(0x9100, "mem=64M log=1");
    memory.put(info + 20, 2, 4);
    memory.put(info + 24, 0x9200, 4);
    module(0, 0x500000, 0x512345, 0x9300);
    memory.text(0x9300, "console=ttyS0 quiet");
    module(1, 0x600000, 0x600000, 0);
    memory.put(info + 44, 2 * 24, 4);
    memory.put(info + 48, 0x9400, 4);
    range(0, 0, 0x9fc00, 1);
    range(1, 0x100000, 0x123456789000, 2);
  }
  void module(unsigned index, std::uint32_t start, std::uint32_t end, std::uint32_t text) {
    const std::uint32_t at = 0x9200 + 16 * index;
    memory.put(at, start, 4);
    memory.put(at + 4, end, 4);
    memory.put(at + 8, text, 4);
  }
  void range(unsigned index, std::uint64_t base, std::uint64_t length, std::uint32_t type) {
    const std::uint32_t at = 0x9400 + 24 * index;
    memory.put(at, 20, 4);
    memory.put(at + 4, base, 8);
    memory.put(at + 12, length, 8);
    memory.put(at + 20, type, 4);
  }
  Outcome outcome() const { return read(memory, multiboot1_magic, info); }

  static constexpr std::uint32_t info = 0x9000;
  Memory memory;
};

TEST_F(Multiboot1, ReadsAll) {
  const Outcome result = outcome();
  ASSERT_EQ(result.error, "");
  const BootInformation& got = result.information;
  EXPECT_EQ(got.multiboot_version, 1u);
  EXPECT_EQ(got.text(got.command_line), "mem=64M log=1");
  ASSERT_EQ(got.module_count, 2u);
  EXPECT_EQ(got.modules[0].start, HostPhysical(0x500000));
  EXPECT_EQ(got.modules[0].end, HostPhysical(0x512345));
  EXPECT_EQ(got.text(got.modules[0].command_line), "console=ttyS0 quiet");
  EXPECT_EQ(got.text(got.modules[1].command_line), "");
  ASSERT_EQ(got.memory_count, 2u);
  EXPECT_EQ(got.memory[0].length, 0x9fc00u);
  EXPECT_EQ(got.memory[1].base, 0x100000u);
  EXPECT_EQ(got.memory[1].length, 0x123456789000u);
  EXPECT_EQ(got.memory[1].type, 2u);
}

TEST_F(Multiboot1, FileNamesAreDroppedForLoadersThatPutThem) {
  memory.put(info, 0x24c, 4);
  memory.put(info + 64, 0x9500, 4);
  for (const char* name : {"qemu", "GNU GRUB 0.97"}) {
    memory.text(0x9500, name);
    const Outcome result = outcome();
    const BootInformation& got = result.information;
    EXPECT_EQ(got.text(got.command_line), "log=1") << name;
    EXPECT_EQ(got.text(got.modules[0].command_line), "quiet") << name;
    EXPECT_EQ(got.text(got.modules[1].command_line), "") << name;
  }
  for (const char* name : {"GRUB 2.06-13+deb12u1", "qemu-like"}) {
    memory.text(0x9500, name);
    const BootInformation got = outcome().information;
    EXPECT_EQ(got.text(got.command_line), "mem=64M log=1") << name;
  }
}

TEST_F(Multiboot1, SizesStandInForAMissingMap) {
  memory.put(info, 0x1, 4);
  memory.put(info + 4, 639, 4);
  memory.put(info + 8, 31 * 1024, 4);
  const Outcome result = outcome();
  ASSERT_EQ(result.error, "");
  ASSERT_EQ(result.information.memory_count, 2u);
  EXPECT_EQ(result.information.memory[0].length, 639u * 1024);
  EXPECT_EQ(result.information.memory[1].base, 0x100000u);
  EXPECT_EQ(result.information.memory[1].length, 31u << 20);
  EXPECT_EQ(result.information.module_count, 0u);
}

// Flag bit 12: the fields from offset 88 on.
TEST_F(Multiboot1, FramebufferOfDirectColours) {
  const std::uint64_t words[] = {0xfd000000, 1024 * 3, 1024, 768};
  memory.put(info + 88, words[0], 8);
  for (unsigned i = 1; i < 4; ++i) memory.put(info + 92 + 4 * i, words[i], 4);
  memory.put(info + 108, 24, 1);
  memory.put(info + 109, 1, 1);
  memory.put(info + 110, 0x080008080810, 6);
  EXPECT_FALSE(outcome().information.framebuffer.present());
  memory.put(info, 0x104c, 4);
  EXPECT_EQ(outcome().information.framebuffer,
            (Framebuffer{0xfd000000, 3072, 1024, 768, 24, {16, 8}, {8, 8}, {0, 8}}));
  memory.put(info + 109, 2, 1);  // EGA text
  EXPECT_FALSE(outcome().information.framebuffer.present());
}

TEST_F(Multiboot1, MalformedIsRefused) {
  const auto refused = [this](auto change) {
    const Memory kept = memory;
    change();
    const std::string error = outcome().error;
    memory = kept;
    return error;
  };
  EXPECT_EQ(refused([&] { memory.put(info, 0, 4); }), "multiboot flags: no memory map");
  EXPECT_EQ(refused([&] { module(1, 0x600000, 0x5fffff, 0); }),
            "boot module: ends before it starts");
  EXPECT_EQ(refused([&] { memory.put(0x9400, 19, 4); }), "multiboot mmap: bad entry size");
  EXPECT_EQ(refused([&] { memory.put(0x9400, 0xfffffffc, 4); }), "multiboot mmap: bad entry size");
  EXPECT_EQ(refused([&] { memory.put(info + 44, 47, 4); }), "multiboot mmap: bad entry size");
  EXPECT_EQ(refused([&] { range(0, ~0ull, 2, 1); }), "memory map: a range wraps around");
  // No zero byte within reach: the rest of memory is 0xcc.
  EXPECT_EQ(refused([&] { memory.put(info + 16, 0x20000, 4); }),
            "boot command line: not terminated");
  EXPECT_EQ(refused([&] { memory.put(info + 16, 0xffffff00, 4); }),
            "boot command line: not terminated");
}

// 17 modules at places that all hold the same.
TEST_F(Multiboot1, TooManyModulesAreRefused) {
  memory.put(info + 20, 17, 4);
  for (unsigned i = 0; i < 17; ++i) module(i, 0x500000, 0x500000, 0);
  EXPECT_EQ(outcome().error, "boot modules: over 16");
}

// Multiboot 2: a run of tags.
class Multiboot2 : public testing::Test {
 protected:
  void tag(std::uint32_t type, const std::vector<std::uint8_t>& contents) {
    memory.put(end, type, 4);
    memory.put(end + 4, 8 + contents.size(), 4);
    for (std::size_t i = 0; i < contents.size(); ++i) {
      memory.put(end + 8 + static_cast<std::uint32_t>(i), contents[i], 1);
    }
    end = (end + 8 + static_cast<std::uint32_t>(contents.size()) + 7) & ~7u;
  }
  static void append(std::vector<std::uint8_t>& to, std::uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
      to.push_back(i < 8 ? static_cast<std::uint8_t>(value >> 8 * i) : 0);
  }
  void text_tag(std::uint32_t type, std::vector<std::uint8_t> contents, const std::string& text) {
    contents.insert(contents.end(), text.c_str(), text.c_str() + text.size() + 1);
    tag(type, contents);
  }
  void map_tag(unsigned entry_size) {
    std::vector<std::uint8_t> map;
    append(map, entry_size, 4);
    append(map, 0, 4);
    for (const std::uint64_t base : {0x0ull, 0x100000ull}) {
      append(map, base, 8);
      append(map, 0x1000, 8);
      append(map, 1, 4);
      append(map, 0, entry_size - 20);
    }
    tag(6, map);
  }
  void module_tag(std::uint32_t start, std::uint32_t module_end, const std::string& text) {
    std::vector<std::uint8_t> contents;
    append(contents, start, 4);
    append(contents, module_end, 4);
    text_tag(3, contents, text);
  }
  void finish() {
    tag(0, {});
    memory.put(info, end - info, 4);
  }
  Outcome outcome() const { return read(memory, multiboot2_magic, info); }

  static constexpr std::uint32_t info = 0x10000;
  std::uint32_t end = info + 8;
  Memory memory;
};

TEST_F(Multiboot2, ReadsAll) {
  text_tag(1, {}, "window=hop:20");
  tag(21, {1, 2, 3, 4, 5});  // unknown, and not a multiple of 8
  module_tag(0x500000, 0x500001, "a b");
  map_tag(24);
  finish();
  const Outcome result = outcome();
  ASSERT_EQ(result.error, "");
  const BootInformation& got = result.information;
  EXPECT_EQ(got.multiboot_version, 2u);
  EXPECT_EQ(got.text(got.command_line), "window=hop:20");
  ASSERT_EQ(got.module_count, 1u);
  EXPECT_EQ(got.modules[0].end, HostPhysical(0x500001));
  EXPECT_EQ(got.text(got.modules[0].command_line), "a b");
  ASSERT_EQ(got.memory_count, 2u);
  EXPECT_EQ(got.memory[1].base, 0x100000u);
}

TEST_F(Multiboot2, EntrySizeIsHonoured) {
  map_tag(40);
  finish();
  const Outcome result = outcome();
  ASSERT_EQ(result.information.memory_count, 2u);
  EXPECT_EQ(result.information.memory[1].base, 0x100000u);
}

TEST_F(Multiboot2, FramebufferAndAcpiRootPointer) {
  const auto contents = [](std::uint64_t address, std::uint8_t type) {
    std::vector<std::uint8_t> bytes;
    append(bytes, address, 8);
    for (const std::uint32_t word : {3200u, 800u, 600u}) append(bytes, word, 4);
    append(bytes, 32, 1);
    append(bytes, type, 1);
    append(bytes, 0, 2);
    for (const unsigned byte : {16u, 8u, 8u, 8u, 0u, 8u}) append(bytes, byte, 1);
    return bytes;
  };
  const auto found = [&](std::uint64_t address, std::uint8_t type) {
    end = info + 8;
    tag(8, contents(address, type));
    map_tag(24);
    finish();
    const Outcome result = outcome();
    EXPECT_EQ(result.error, "");
    return result.information.framebuffer;
  };
  EXPECT_EQ(found(0x80000000, 1),
            (Framebuffer{0x80000000, 3200, 800, 600, 32, {16, 8}, {8, 8}, {0, 8}}));
  EXPECT_FALSE(found(0x80000000, 0).present()) << "a palette";
  EXPECT_FALSE(found(0x80000000, 2).present()) << "text";
  EXPECT_FALSE(found(0x4000000000, 1).present()) << "above 4 GB";
  for (const unsigned type : {14u, 15u}) {
    end = info + 8;
    map_tag(24);
    const std::uint32_t place = end + 8;
    tag(type, std::vector<std::uint8_t>(20, 1));
    finish();
    EXPECT_EQ(outcome().information.acpi_root_pointer, place);
  }
}

TEST_F(Multiboot2, MalformedIsRefused) {
  finish();
  EXPECT_EQ(outcome().error, "multiboot 2: no memory map");
  memory.put(info, 12, 4);
  EXPECT_EQ(outcome().error, "multiboot 2 total_size: out of range");
  memory.put(info, 0x7fffffff, 4);
  EXPECT_EQ(outcome().error, "multiboot 2 total_size: out of range");
}

TEST_F(Multiboot2, BadTagSizesAreRefused) {
  map_tag(24);
  const std::uint32_t map = info + 8;
  finish();
  const std::uint32_t size = end - info;
  for (const std::uint32_t bad : {0u, 7u, size, 0xffffffffu}) {
    memory.put(map + 4, bad, 4);
    EXPECT_EQ(outcome().error, "multiboot 2 tag: bad size") << bad;
  }
  memory.put(map + 4, 12, 4);
  EXPECT_EQ(outcome().error, "multiboot 2 memory map: tag too small");
}

TEST_F(Multiboot2, BadEntrySizeIsRefused) {
  map_tag(24);
  finish();
  for (const std::uint32_t bad : {0u, 19u, 1000u}) {
    memory.put(info + 16, bad, 4);
    EXPECT_EQ(outcome().error, "multiboot 2 memory map: bad entry_size") << bad;
  }
}

TEST_F(Multiboot2, MissingEndTagIsRefused) {
  map_tag(24);
  memory.put(info, end - info, 4);
  EXPECT_EQ(outcome().error, "multiboot 2 tags: no end tag");
}

TEST_F(Multiboot2, UnterminatedTextIsRefused) {
  tag(1, {'a', 'b'});
  finish();
  EXPECT_EQ(outcome().error, "boot command line: not terminated");
}

}  // namespace
}  // namespace undercroft::boot
