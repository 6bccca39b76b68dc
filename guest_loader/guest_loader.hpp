// Puts a guest into its memory the way GRUB would: picks the format of the kernel image, copies
// kernel, modules and boot information into guest RAM and yields the virtual CPU at its entry.
// It knows the formats; where the bytes of an image come from, where guest RAM really lies and what
// the guest's memory map says is its caller's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "../monitor/address.hpp"
#include "../monitor/display/framebuffer.hpp"
#include "../monitor/result.hpp"
#include "../monitor/vcpu.hpp"

namespace undercroft {

// A file to read from: a boot module, seen through the monitor's mapping slots.
class ByteSource {
 public:
  virtual std::uint64_t size() const = 0;  // bytes
  // Fills out from the byte at offset; false, and nothing may be relied on, if it is not all there.
  virtual bool read(std::uint64_t offset, std::span<std::byte> out) = 0;

 protected:
  ~ByteSource() = default;
};

// The guest's RAM. The loader writes only inside entries of the memory map that are available.
class GuestRam {
 public:
  virtual std::uint64_t size() const = 0;  // bytes from address 0 to the end of RAM
  // False, and nothing may be relied on, if part of the range is not RAM.
  virtual bool write(GuestPhysical address, std::span<const std::byte> bytes) = 0;
  virtual bool fill(GuestPhysical address, std::byte value, std::uint32_t bytes) = 0;

 protected:
  ~GuestRam() = default;
};

// Types of the BIOS call INT 15h, AX = E820h, which both boot protocols share.
enum class MemoryType : std::uint32_t {
  available = 1,
  reserved = 2,
  acpi = 3,
  acpi_nvs = 4,
  bad = 5
};

// Part of the guest's memory map. Entries are sorted by base and do not overlap.
struct MemoryMapEntry {
  std::uint64_t base = 0;
  std::uint64_t length = 0;  // bytes
  MemoryType type = MemoryType::available;
};

// The map of a PC with ram_bytes of RAM (at least 2 MB, below the devices at the end of 4 GB): an
// extended BIOS data area at 639 KB, adapters and ROM from 640 KB to 1 MB.
constexpr std::array<MemoryMapEntry, 4> standard_memory_map(std::uint64_t ram_bytes) {
  return {{{0, 0x9fc00, MemoryType::available},
           {0x9fc00, 0x400, MemoryType::reserved},
           {0xf0000, 0x10000, MemoryType::reserved},
           {0x100000, ram_bytes > 0x100000 ? ram_bytes - 0x100000 : 0, MemoryType::available}}};
}

struct GuestModule {
  ByteSource* source = nullptr;
  std::string_view command_line;  // without the file's name
};

// What the guest's firmware has left that boot information hands on.
struct FirmwareData {
  std::span<const std::byte> acpi_root;  // ACPI's RSDP, 20 or 36 bytes; empty: there is none
  // For guests that can be told of one; if none is present, all are told of the text screen.
  Framebuffer framebuffer{};
  bool has_bios = false;  // its services answer real-mode code
  bool boot_16 = false;   // a Linux image is started by its own setup code, whatever it offers
};

enum class GuestFormat : std::uint8_t {
  linux_kernel,
  linux_real_mode,
  multiboot1,
  multiboot2,
  elf32,
  boot_sector
};

std::string_view name_of(GuestFormat);

struct EntryState {
  Vcpu vcpu;
  GuestFormat format = GuestFormat::elf32;
  bool has_framebuffer = false;  // the guest was told of the linear one
};

// Why a guest was refused: which field of which module, as its specification names it, and what is
// wrong with it. Both texts are literals.
struct LoadError {
  std::string_view field;
  std::string_view text;
  std::uint64_t value = 0;  // what the field holds, if has_value
  bool has_value = false;
  std::uint8_t module = 0;  // 0: the kernel
};

// One line without its end, such as "module 0: setup_header.boot_flag: 0xaa55 expected, found 0x0".
// The result lies in buffer, cut if it is too short; 160 bytes hold every message.
std::string_view describe(const LoadError&, std::span<char> buffer);

// modules[0] is the kernel, the others are its initrd (Linux; several are joined) or its modules.
// On an error guest RAM may have been written in part.
Result<EntryState, LoadError> load_guest(std::span<const GuestModule> modules,
                                         std::span<const MemoryMapEntry> memory_map, GuestRam& ram,
                                         const FirmwareData& firmware = {});

// What follows a BIOS that finds no kernel: the boot sector of its first disk.
EntryState start_bios();

}  // namespace undercroft
