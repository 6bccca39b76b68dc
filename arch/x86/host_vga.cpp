#include "host_vga.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t attribute_port = 0x3c0, attribute_data = 0x3c1;
constexpr std::uint16_t miscellaneous_write = 0x3c2, miscellaneous_read = 0x3cc;
constexpr std::uint16_t sequencer_port = 0x3c4, graphics_port = 0x3ce;
constexpr std::uint16_t palette_mask_port = 0x3c6, palette_read_index = 0x3c7;
constexpr std::uint16_t palette_write_index = 0x3c8, palette_data = 0x3c9;
constexpr std::uint8_t show_palette = 0x20;
constexpr std::uint8_t sequencer_reset = 0x01, sequencer_run = 0x03;
constexpr std::uint8_t crtc_protect = 0x80;  // of register 0x11: registers 0 to 7

constexpr std::uint16_t crtc_port(const VgaRegisters& registers) {
  return registers.colour() ? 0x3d4 : 0x3b4;
}
// Reading it makes the attribute controller expect an index.
void expect_attribute_index(const VgaRegisters& registers) {
  port_in_8(static_cast<std::uint16_t>(crtc_port(registers) + 6));
}

void write_indexed(std::uint16_t port, unsigned index, std::uint8_t value) {
  port_out_8(port, static_cast<std::uint8_t>(index));
  port_out_8(static_cast<std::uint16_t>(port + 1), value);
}

template <class Values>
void read_all(std::uint16_t port, Values& values) {
  for (unsigned i = 0; i < values.size(); ++i) {
    port_out_8(port, static_cast<std::uint8_t>(i));
    values[i] = port_in_8(static_cast<std::uint16_t>(port + 1));
  }
}

template <class Values>
void load_changed(std::uint16_t port, const Values& loaded, const Values& wanted) {
  for (unsigned i = 0; i < wanted.size(); ++i) {
    if (loaded[i] != wanted[i]) write_indexed(port, i, wanted[i]);
  }
}

// Clock and memory timing change while the sequencer stands still.
void load_sequencer(const VgaRegisters& loaded, const VgaRegisters& wanted) {
  const bool timing =
      loaded.miscellaneous != wanted.miscellaneous || loaded.sequencer[1] != wanted.sequencer[1];
  if (timing) write_indexed(sequencer_port, 0, sequencer_reset);
  if (loaded.miscellaneous != wanted.miscellaneous) {
    port_out_8(miscellaneous_write, wanted.miscellaneous);
  }
  for (unsigned i = 1; i < wanted.sequencer.size(); ++i) {
    if (loaded.sequencer[i] != wanted.sequencer[i]) {
      write_indexed(sequencer_port, i, wanted.sequencer[i]);
    }
  }
  if (timing) write_indexed(sequencer_port, 0, sequencer_run);
}

void load_crtc(const VgaRegisters& loaded, const VgaRegisters& wanted) {
  if (loaded.crtc == wanted.crtc) return;
  const std::uint16_t port = crtc_port(wanted);
  const auto open = static_cast<std::uint8_t>(wanted.crtc[0x11] & ~crtc_protect);
  write_indexed(port, 0x11, open);
  load_changed(port, loaded.crtc, wanted.crtc);
  if (open != wanted.crtc[0x11]) write_indexed(port, 0x11, wanted.crtc[0x11]);
}

void load_attributes(const VgaRegisters& loaded, const VgaRegisters& wanted) {
  if (loaded.attribute == wanted.attribute && loaded.palette_shown == wanted.palette_shown) return;
  expect_attribute_index(wanted);
  for (unsigned i = 0; i < wanted.attribute.size(); ++i) {
    if (loaded.attribute[i] == wanted.attribute[i]) continue;
    port_out_8(attribute_port, static_cast<std::uint8_t>(i));
    port_out_8(attribute_port, wanted.attribute[i]);
  }
  port_out_8(attribute_port, wanted.palette_shown ? show_palette : 0);
}

void load_palette(const VgaRegisters& loaded, const VgaRegisters& wanted) {
  if (loaded.palette_mask != wanted.palette_mask) {
    port_out_8(palette_mask_port, wanted.palette_mask);
  }
  if (loaded.palette == wanted.palette) return;
  port_out_8(palette_write_index, 0);
  for (const std::uint8_t component : wanted.palette) port_out_8(palette_data, component);
}

}  // namespace

VgaRegisters read_vga_registers() {
  VgaRegisters found;
  found.miscellaneous = port_in_8(miscellaneous_read);
  read_all(sequencer_port, found.sequencer);
  read_all(graphics_port, found.graphics);
  read_all(crtc_port(found), found.crtc);
  for (unsigned i = 0; i < found.attribute.size(); ++i) {
    expect_attribute_index(found);
    port_out_8(attribute_port, static_cast<std::uint8_t>(i | show_palette));
    found.attribute[i] = port_in_8(attribute_data);
  }
  expect_attribute_index(found);
  port_out_8(attribute_port, show_palette);
  found.palette_mask = port_in_8(palette_mask_port);
  port_out_8(palette_read_index, 0);
  for (std::uint8_t& component : found.palette) component = port_in_8(palette_data);
  return found;
}

void load_vga_registers(const VgaRegisters& loaded, const VgaRegisters& wanted) {
  load_sequencer(loaded, wanted);
  load_crtc(loaded, wanted);
  load_changed(graphics_port, loaded.graphics, wanted.graphics);
  load_attributes(loaded, wanted);
  load_palette(loaded, wanted);
}

VgaRegisters with_text_access(VgaRegisters registers) {
  registers.miscellaneous |= 0x02;
  registers.sequencer[2] = 0x03;
  registers.sequencer[4] = 0x02;
  registers.graphics = {0, 0, 0, 0, 0, 0x10, 0x0e, 0x0f, 0xff};
  return registers;
}

VgaRegisters with_font_access(VgaRegisters registers) {
  registers.sequencer[2] = 0x04;
  registers.sequencer[4] = 0x06;
  registers.graphics = {0, 0, 0, 0, 2, 0, 0x0c, 0x0f, 0xff};
  return registers;
}

VgaRegisters with_plane_access(VgaRegisters registers, unsigned plane) {
  const auto shape = static_cast<std::uint8_t>(registers.graphics[5] & 0x60);
  const auto kind = static_cast<std::uint8_t>(registers.graphics[6] & 0x01);
  registers.miscellaneous |= 0x02;
  registers.sequencer[2] = static_cast<std::uint8_t>(1u << plane);
  registers.sequencer[4] = 0x06;
  registers.graphics = {0,
                        0,
                        0,
                        0,
                        static_cast<std::uint8_t>(plane),
                        shape,
                        static_cast<std::uint8_t>(0x04 | kind),
                        0x0f,
                        0xff};
  return registers;
}

VgaRegisters with_chained_access(VgaRegisters registers) {
  registers = with_plane_access(registers, 0);
  registers.sequencer[2] = 0x0f;
  registers.sequencer[4] = 0x0e;
  return registers;
}

}  // namespace undercroft::x86
