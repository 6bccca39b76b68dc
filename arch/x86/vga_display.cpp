#include "vga_display.hpp"

#include "host_vga.hpp"

namespace undercroft::x86 {
namespace {

constexpr HostPhysical text_memory{0xb8000}, plane_memory{0xa0000};
constexpr std::uint32_t plane_bytes = 0x10000;
constexpr unsigned font_plane = 2;

volatile std::uint8_t* bytes_of(const MappedFrame& mapped) {
  return reinterpret_cast<volatile std::uint8_t*>(mapped.bytes());
}

// A guest's bytes of chain 4 have to go the same way into the host's card: where in the planes they
// end up is the card's affair.
VgaRegisters with_access(const VgaRegisters& registers) {
  if (!registers.shows_graphics()) return with_text_access(registers);
  return registers.chain_4() ? with_chained_access(registers) : with_plane_access(registers, 0);
}

}  // namespace

void VgaDisplay::copy_font(VideoMemory& memory) {
  const VgaRegisters before = screen_.registers();
  screen_.load(with_plane_access(before, font_plane));
  for (std::uint32_t at = 0; at < plane_bytes; at += page_size) {
    const MappedFrame mapped = slots_.map(plane_memory + at);
    for (std::uint32_t i = 0; i < page_size; ++i) {
      memory.write(video_memory_offset(font_plane, at + i), bytes_of(mapped)[i]);
    }
  }
  screen_.load(before);
}

void VgaDisplay::set_registers(const VgaRegisters& registers) {
  screen_.give_to_guest();
  screen_.load(with_access(registers));
}

void VgaDisplay::put_cells(unsigned first, std::span<const std::uint16_t> cells) {
  constexpr unsigned cells_per_page = page_size / 2;
  while (!cells.empty()) {
    const MappedFrame mapped = slots_.map(text_memory + first * 2);
    auto* const places = reinterpret_cast<volatile std::uint16_t*>(mapped.bytes());
    unsigned at = first % cells_per_page;
    for (; !cells.empty() && at < cells_per_page; ++at, ++first, cells = cells.subspan(1)) {
      places[at] = cells.front();
    }
  }
}

// Half of the page is of one plane, half of the next, by turns.
void VgaDisplay::put_page(std::uint32_t offset, std::span<const std::byte, page_size> bytes) {
  constexpr std::uint32_t half = VideoMemory::bytes / 2;
  const VgaRegisters shown = screen_.registers();
  const unsigned plane = offset / half * 2;
  const std::uint32_t at = offset % half / 2;
  if (shown.shows_graphics() && shown.chain_4()) {
    return put_chained(plane, at, bytes);
  }
  if (!shown.shows_graphics()) {
    if (plane == font_plane) put_plane(font_plane, at, bytes);
  } else {
    put_plane(plane, at, bytes);
    put_plane(plane + 1, at, bytes);
  }
  screen_.load(shown);
}

void VgaDisplay::put_plane(unsigned plane, std::uint32_t at,
                           std::span<const std::byte, page_size> bytes) {
  screen_.load(with_plane_access(screen_.registers(), plane));
  const MappedFrame mapped = slots_.map(plane_memory + at);
  for (std::uint32_t i = 0; i < page_size / 2; ++i) {
    bytes_of(mapped)[at % page_size + i] =
        std::to_integer<std::uint8_t>(bytes[i * 2 + (plane & 1)]);
  }
}

// Four bytes of the window are the four planes' bytes at one place; here are two of them.
void VgaDisplay::put_chained(unsigned plane, std::uint32_t at,
                             std::span<const std::byte, page_size> bytes) {
  constexpr std::uint32_t places_per_page = page_size / 4;
  for (std::uint32_t i = 0; i < page_size / 2 && at < plane_bytes / 4; ++i, ++at) {
    const MappedFrame mapped = slots_.map(plane_memory + at * 4);
    for (unsigned half = 0; half < 2; ++half) {
      bytes_of(mapped)[at % places_per_page * 4 + plane + half] =
          std::to_integer<std::uint8_t>(bytes[i * 2 + half]);
    }
  }
}

}  // namespace undercroft::x86
