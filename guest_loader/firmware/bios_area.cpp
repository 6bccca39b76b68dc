#include "bios_area.hpp"

#include "acpi_tables.hpp"
#include "bios_code.hpp"

namespace undercroft {
namespace {

constexpr GuestPhysical bios_rom(0xf0000);
constexpr GuestPhysical video_rom(0xc0000);
constexpr std::uint16_t video_segment = 0xc000;
constexpr std::uint16_t video_entry = 0x40;  // of INT 10h
constexpr unsigned vectors_used = 0x78;

bool write_code(FirmwareRom& rom) {
  for (const bios_code::Routine& routine : bios_code::routines()) {
    if (!rom.write(bios_rom + routine.offset, std::as_bytes(routine.bytes))) return false;
  }
  return true;
}

// 0xffff0: where the processor starts; then the date, and the model byte of an AT.
bool write_end(FirmwareRom& rom) {
  constexpr std::string_view date = platform::firmware_date;
  TableWriter out(rom, bios_rom + 0xfff0);
  out.u8(0xea);  // jmp far
  out.u16(bios_code::power_on);
  out.u16(bios_code::segment);
  out.text(date.substr(0, 6), 6);  // MM/DD/YY
  out.text(date.substr(8, 2), 2);
  out.u8(0);
  out.u8(0xfc);
  out.u8(0);
  return out.ok();
}

// An adapter's ROM: marks, size in 512 bytes, an initialisation that returns, a sum of zero. INT
// 10h does nothing.
bool write_video_rom(FirmwareRom& rom) {
  constexpr unsigned bytes = 512;
  TableWriter out(rom, video_rom);
  out.u8(0x55);
  out.u8(0xaa);
  out.u8(bytes / 512);
  out.u8(0xcb);  // retf
  out.zeros(video_entry - out.written());
  out.u8(0xcf);  // iret
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
    } else if (number == video_parameters || number == upper_font || number == font ||
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
    {0x460, 2, 0x0d0e},  // the cursor's scan lines
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

bool write_bios_rom(FirmwareRom& rom) {
  return write_code(rom) && write_end(rom) && write_video_rom(rom);
}

bool write_bios_ram(GuestRam& ram, const FirmwarePlatform& pc) {
  if (!write_vectors(ram)) return false;
  for (const Field& field : fields) {
    if (!write_field(ram, field)) return false;
  }
  if (!write_field(ram, {0x46c, 4, pc.tick_of_day})) return false;
  constexpr std::byte kilobytes{1};
  return ram.fill(extended_bios_data, std::byte{0}, 0x400) &&
         ram.fill(extended_bios_data, kilobytes, 1) && ram.write(facs_place, make_facs());
}

}  // namespace undercroft
