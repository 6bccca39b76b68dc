// What the boot loader said, checked and copied into one value: command line, modules, memory map,
// framebuffer, ACPI root pointer.
// It reads multiboot 1 and multiboot 2 information (GNU multiboot specifications 0.6.96 and 2.0)
// through a byte reader, so that it runs before paging on the machine and on bytes in a test. It
// leaves what the words of the command line mean to options.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "monitor/address.hpp"
#include "monitor/display/framebuffer.hpp"
#include "monitor/result.hpp"

namespace undercroft::boot {

// A byte of physical memory, whoever owns it.
class PhysicalReader {
 public:
  virtual std::uint8_t byte(std::uint32_t address) const = 0;

 protected:
  ~PhysicalReader() = default;
};

// A text in BootInformation's own storage.
struct TextReference {
  std::uint16_t start = 0, length = 0;
};

struct BootModule {
  HostPhysical start{}, end{};  // end is one past the last byte; start <= end
  TextReference command_line{};
};

// type 1 is RAM that the monitor may use; all others are not.
struct MemoryRange {
  std::uint64_t base = 0, length = 0;
  std::uint32_t type = 0;
};
inline constexpr std::uint32_t usable_memory = 1;

struct BootInformation {
  static constexpr unsigned max_modules = 16;
  static constexpr unsigned max_ranges = 128;

  std::array<char, 8192> texts{};
  std::array<BootModule, max_modules> modules{};
  std::array<MemoryRange, max_ranges> memory{};
  unsigned text_used = 0, module_count = 0, memory_count = 0;
  // Command lines hold no file name; some multiboot 1 loaders put one first, which is left out
  // here.
  TextReference command_line{};
  unsigned multiboot_version = 0;
  // One of direct colours, if the loader has set one up and the monitor can draw to it.
  Framebuffer framebuffer{};
  // Physical address of a copy of the ACPI root pointer; 0 if the loader gives none.
  std::uint32_t acpi_root_pointer = 0;

  std::string_view text(TextReference reference) const {
    return {texts.data() + reference.start, reference.length};
  }
};

// The error is a line for people that names what is wrong. `out` is a place of the caller's, since
// the value is large; after an error it holds what was read up to then.
Result<Done, const char*> read_boot_information(const PhysicalReader&, std::uint32_t magic,
                                                std::uint32_t address, BootInformation& out);

inline constexpr std::uint32_t multiboot1_magic = 0x2badb002;
inline constexpr std::uint32_t multiboot2_magic = 0x36d76289;

}  // namespace undercroft::boot
