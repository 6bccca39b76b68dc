#include "bios_data.hpp"

namespace undercroft {
namespace {

struct BiosField {
  std::uint16_t address;
  std::uint8_t bytes;
  std::uint16_t value;
};

// IBM PC/AT technical reference, BIOS data area; what depends on the memory map is not here.
constexpr BiosField bios_fields[] = {
    {0x400, 2, 0x3f8},   // COM1
    {0x410, 2, 0x0226},  // equipment: FPU, 80 x 25 colour text, PS/2 pointer, one UART
    {0x449, 1, 3},       // video mode
    {0x44a, 2, 80},      // columns
    {0x44c, 2, 0x1000},  // bytes of a text page
    {0x463, 2, 0x3d4},   // CRT controller's port
    {0x484, 1, 24},      // rows - 1
    {0x485, 2, 16},      // scan lines of a character
};

void put(Loading& loading, const BiosField& field) {
  GuestWriter out(&loading.ram, GuestPhysical(field.address));
  for (unsigned i = 0; i < field.bytes; ++i)
    out.u8(static_cast<std::uint8_t>(field.value >> 8 * i));
}

}  // namespace

void write_bios_data(Loading& loading) {
  if (!loading.placement.is_ram(0, low_memory_first)) return;
  for (const BiosField& field : bios_fields) put(loading, field);
  // The extended BIOS data area begins where low RAM ends.
  const std::uint64_t end = loading.placement.end_of_ram_at(0);
  if (end > low_memory_end) return;
  put(loading, {0x40e, 2, static_cast<std::uint16_t>(end / 16)});
  put(loading, {0x413, 2, static_cast<std::uint16_t>(end / 1024)});
}

}  // namespace undercroft
