#include "bios_area.hpp"

#include <algorithm>

#include "../../monitor/display/font.hpp"
#include "acpi_tables.hpp"
#include "bios_code.hpp"

namespace undercroft {
namespace {

constexpr GuestPhysical bios_rom(0xf0000);
constexpr GuestPhysical video_rom(0xc0000);
constexpr std::uint16_t video_segment = 0xc000;
constexpr std::uint16_t video_entry = 0x40;  // of INT 10h
constexpr std::uint16_t video_font = 0x100;  // rom/video.c looks there
constexpr unsigned vectors_used = 0x78;

bool write_code(FirmwareRom& rom) {
  for (const bios_code::Routine& routine : bios_code::routines()) {
    if (!rom.write(bios_rom + routine.offset, std::as_bytes(routine.bytes))) return false;
  }
  return true;
}

// What the code has to know of the machine: rom/rom.h, struct Facts.
bool write_facts(FirmwareRom& rom, const FirmwarePlatform& pc) {
  constexpr std::size_t most_ranges = 8;
  constexpr std::uint64_t megabyte = 0x100000;
  const auto map = standard_memory_map(pc.ram_bytes);
  static_assert(map.size() <= most_ranges);
  TableWriter out(rom, bios_rom + bios_code::facts);
  for (const MemoryMapEntry& entry : map) {
    out.u32(static_cast<std::uint32_t>(entry.base));
    out.u32(static_cast<std::uint32_t>(entry.length));
    out.u32(static_cast<std::uint32_t>(entry.type));
  }
  out.zeros((most_ranges - map.size()) * 12);
  out.u32(map.size());
  out.u32(static_cast<std::uint32_t>((pc.ram_bytes - megabyte) / 1024));
  for (unsigned place = 0; place < pc.ide_disk_sectors.size(); ++place) {
    const std::uint32_t sectors = pc.ide_disk_sectors[place];
    out.u16(sectors == 0 ? 0 : platform::ide_ports[place / 2]);
    out.u16(place % 2);
    out.u32(sectors);
  }
  return out.ok();
}

// Behind the reset vector: the date, and the model byte of an AT.
bool write_end(FirmwareRom& rom) {
  constexpr std::string_view date = platform::firmware_date;
  TableWriter out(rom, bios_rom + 0xfff5);
  out.text(date.substr(0, 6), 6);  // MM/DD/YY
  out.text(date.substr(8, 2), 2);
  out.u8(0);
  out.u8(0xfc);
  out.u8(0);
  return out.ok();
}

// An adapter's ROM: marks, size in 512 bytes, an initialisation that returns, a sum of zero. INT
// 10h goes on to the BIOS; the font is here.
bool write_video_rom(FirmwareRom& rom) {
  constexpr unsigned bytes = 9 * 512;
  TableWriter out(rom, video_rom);
  out.u8(0x55);
  out.u8(0xaa);
  out.u8(bytes / 512);
  out.u8(0xcb);  // retf
  out.zeros(video_entry - out.written());
  out.u8(0xea);  // jmp far
  out.u16(bios_code::video);
  out.u16(bios_code::segment);
  out.zeros(video_font - out.written());
  out.bytes(built_in_font);
  out.zeros(bytes - out.written());
  out.set_checksum(bytes - 1);
  return out.ok();
}

void put(GuestWriter& out, std::uint16_t segment, std::uint16_t offset) {
  out.u16(offset);
  out.u16(segment);
}

bool write_vectors(GuestRam& ram) {
  constexpr unsigned first_free = 0x60, last_free = 0x67;  // for programs
  constexpr unsigned video = 0x10, video_parameters = 0x1d, upper_font = 0x1f, font = 0x43;
  GuestWriter out(&ram, GuestPhysical(0));
  for (unsigned number = 0; number < vectors_used; ++number) {
    std::uint16_t segment = bios_code::segment, offset = bios_code::nothing;
    for (const bios_code::Vector& vector : bios_code::vectors()) {
      if (vector.number == number) offset = vector.offset;
    }
    if (number == video) {
      segment = video_segment;
      offset = video_entry;
    } else if (number == font) {
      segment = video_segment;
      offset = video_font;
    } else if (number == video_parameters || number == upper_font ||
               (number >= first_free && number <= last_free)) {
      segment = offset = 0;  // tables that are not there
    }
    put(out, segment, offset);
  }
  return out.ok();
}

struct Field {
  std::uint16_t address;
  std::uint8_t bytes;
  std::uint32_t value;
};

// IBM PS/2 and PC BIOS Interface Technical Reference, data areas.
constexpr Field fields[] = {
    {0x41a, 2, 0x1e},    // keyboard buffer: next to take, next to put
    {0x41c, 2, 0x1e},    //
    {0x460, 2, 0x0607},  // the cursor's scan lines, as on a CGA
    {0x465, 1, 0x29},    // the CRT controller's mode register
    {0x466, 1, 0x30},    // palette
    {0x478, 4, 0x14},    // time limits: parallel and serial ports
    {0x47c, 4, 0x0a},    //
    {0x480, 2, 0x1e},    // keyboard buffer: its ends
    {0x482, 2, 0x3e},    //
    {0x487, 1, 0x60},    // video: 256 KB, the cursor emulated
    {0x488, 1, 0xf9},    // switches
    {0x489, 1, 0x11},    // VGA is active, 400 lines
    {0x48a, 1, 0x08},    // VGA with a colour screen
    {0x496, 1, 0x10},    // a keyboard with 101 or 102 keys
};

bool write_field(GuestRam& ram, const Field& field) {
  GuestWriter out(&ram, GuestPhysical(field.address));
  for (unsigned i = 0; i < field.bytes; ++i) {
    out.u8(static_cast<std::uint8_t>(field.value >> 8 * i));
  }
  return out.ok();
}

}  // namespace

bool write_bios_rom(FirmwareRom& rom, const FirmwarePlatform& pc) {
  return write_code(rom) && write_facts(rom, pc) && write_end(rom) && write_video_rom(rom);
}

bool write_bios_ram(GuestRam& ram, const FirmwarePlatform& pc) {
  if (!write_vectors(ram)) return false;
  for (const Field& field : fields) {
    if (!write_field(ram, field)) return false;
  }
  if (!write_field(ram, {0x46c, 4, pc.tick_of_day})) return false;
  const auto disks = pc.ide_disk_sectors.size() - std::ranges::count(pc.ide_disk_sectors, 0u);
  if (!write_field(ram, {0x475, 1, static_cast<std::uint32_t>(disks)})) return false;
  constexpr std::byte kilobytes{1};
  return ram.fill(extended_bios_data, std::byte{0}, 0x400) &&
         ram.fill(extended_bios_data, kilobytes, 1) && ram.write(facs_place, make_facs());
}

}  // namespace undercroft
