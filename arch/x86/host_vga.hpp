// The registers of the host's VGA, read and loaded through its ports (IBM PS/2 Hardware Interface
// Technical Reference, Video Subsystem).
#pragma once

#include "monitor/devices/vga_registers.hpp"

namespace undercroft::x86 {

// Takes some milliseconds under an emulator: 768 bytes of palette are among them.
VgaRegisters read_vga_registers();

// Writes those that differ from `loaded`, which the card has now.
void load_vga_registers(const VgaRegisters& loaded, const VgaRegisters& wanted);

// The same picture, with the memory reached as text: characters and attributes at 0xb8000.
VgaRegisters with_text_access(VgaRegisters);
// With plane 2 at 0xb8000, 32 KB of it, where the characters' shapes are.
VgaRegisters with_font_access(VgaRegisters);
// With 64 KB at 0xa0000 that are spread over the planes byte by byte (chain 4).
VgaRegisters with_chained_access(VgaRegisters);
// With one plane at 0xa0000, 64 KB. Of a graphics mode; a text mode loses its text meanwhile.
VgaRegisters with_plane_access(VgaRegisters, unsigned plane);

}  // namespace undercroft::x86
