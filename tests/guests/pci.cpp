// PCI configuration mechanism 1 and the functions that a PC with a 440FX has always; with the word
// `ide`, the IDE function's I/O range too: its size, switching it off, moving it. Sources: PCI 2.1,
// 3.2.2.3.2 and 6.2; Intel 82441FX, 82371SB.
#include "runtime/pci.hpp"

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "pci";

namespace {

constexpr PciFunction host_bridge{}, isa_bridge{0, 1, 0}, ide{0, 1, 1};

void address_register() {
  out32(pci_address, 0x80001234);
  line("address ", hex(in32(pci_address)));
  out8(pci_address + 3, 1);
  out8(pci_address, 0x55);
  out16(pci_address + 2, 0x1111);
  line("after bytes and words ", hex(in32(pci_address)));
  out32(pci_address, 0);
  line("off ", hex(in32(pci_address)));
}

void identity(const char* name, const PciFunction& f) {
  line(name, ": id ", hex(read_config(f, 0)), " class ", hex(read_config(f, 8) >> 16, 4),
       " header ", hex(read_config_8(f, 0x0e), 2));
  line(name, ": in parts ", hex(read_config_16(f, 0), 4), ' ', hex(read_config_16(f, 2), 4), ' ',
       hex(read_config_8(f, 1), 2), ' ', hex(read_config_8(f, 2), 2));
  write_config(f, 0, 0);
  write_config(f, 8, 0);
  line(name, ": after a write ", hex(read_config(f, 0)), ' ', hex(read_config(f, 8) >> 16, 4));
}

void nothing_there() {
  line("no such device ", hex(read_config({0, 31, 0}, 0)), ' ',
       hex(read_config_16({0, 31, 0}, 2), 4), ' ', hex(read_config_8({0, 31, 0}, 0x0e), 2));
  line("no such function ", hex(read_config({0, 1, 7}, 0)));
  line("no such bus ", hex(read_config({200, 0, 0}, 0)));
  write_config({0, 31, 0}, 4, 0xffffffff);
  select(host_bridge, 0, 0);
  line("not enabled ", hex(in32(pci_data)));
}

// The line register is a note for drivers: it keeps what is written.
void ide_range() {
  constexpr u32 bar = 0x20, command = 4;
  constexpr u16 io = 1, elsewhere = 0xd000;
  const u16 before = read_config_16(ide, command);
  line("I/O on at the start ", (before & io) != 0);
  const u32 base = read_config(ide, bar);
  line("an I/O range ", (base & 1) != 0, ", placed ", (base & ~0xfu) != 0);
  write_config_16(ide, command, before & ~io);
  write_config(ide, bar, 0xffffffff);
  line("size bits ", hex(read_config(ide, bar) & 0xffff, 4));
  for (u32 other = 0x10; other < 0x20; other += 4) {
    write_config(ide, other, 0xffffffff);
  }
  line("no other range ", hex(read_config(ide, 0x24)));
  write_config(ide, bar, elsewhere);
  line("switched off ", hex(in8(elsewhere + 2), 2));
  write_config_16(ide, command, before | io);
  out32(elsewhere + 4, 0x00345678);
  line("moved: table ", hex(in32(elsewhere + 4)), " second ", in32(elsewhere + 12) != 0x345678);
  write_config(ide, bar, base);
  const u16 back = static_cast<u16>(base & ~3u);
  line("moved back: table ", hex(in32(back + 4)), ", left ", hex(in8(elsewhere + 2), 2));
  out32(back + 4, 0);
}

}  // namespace

void test() {
  address_register();
  identity("host bridge", host_bridge);
  identity("ISA bridge", isa_bridge);
  nothing_there();
  if (!option("ide")) return;
  identity("IDE", ide);
  ide_range();
}
