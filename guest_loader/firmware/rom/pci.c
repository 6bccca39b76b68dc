// INT 1Ah, AH = B1h: the PCI BIOS (PCI BIOS Specification 2.1) in its 16-bit form, by configuration
// mechanism 1. There is one bus.
#include "rom.h"

enum { address_port = 0xcf8, data_port = 0xcfc, functions = 256 };
enum { unknown_function = 0x81, bad_vendor = 0x83, not_found = 0x86, bad_register = 0x87 };
enum { identification = 0x00, class_code = 0x08, header = 0x0c, is_multifunction = 0x800000 };

static void address(u8 bus, u8 function, u16 offset) {
  out32(address_port, 0x80000000u | (u32)bus << 16 | (u32)function << 8 | (offset & 0xfc));
}

static u32 read(u8 function, u16 offset) {
  address(0, function, offset);
  return in32(data_port);
}

// The place, by number in SI, of a function whose register at `offset`, without its low bits, is
// `wanted`.
static void find(struct Registers* r, u16 offset, u32 wanted, u32 shift) {
  u16 left = r->si;
  for (u32 i = 0; i < functions; ++i) {
    const u8 function = (u8)i;
    if ((function & 7) && !(read(function & 0xf8, header) & is_multifunction)) {
      i |= 7;
      continue;
    }
    const u32 found = read(function, identification);
    if ((u16)found == 0xffff || read(function, offset) >> shift != wanted) continue;
    if (left-- == 0) {
      r->bx = function;
      r->ah = 0;
      return;
    }
  }
  fail(r, not_found);
}

static void read_register(struct Registers* r, u8 size) {
  if (r->di > 0xff || (r->di & (size - 1))) return fail(r, bad_register);
  address(r->bh, r->bl, r->di);
  const u16 port = (u16)(data_port + (r->di & 3));
  if (size == 1) r->cl = in8(port);
  if (size == 2) r->cx = in16(port);
  if (size == 4) r->ecx = in32(port);
  r->ah = 0;
}

static void write_register(struct Registers* r, u8 size) {
  if (r->di > 0xff || (r->di & (size - 1))) return fail(r, bad_register);
  address(r->bh, r->bl, r->di);
  const u16 port = (u16)(data_port + (r->di & 3));
  if (size == 1) out8(port, r->cl);
  if (size == 2) out16(port, r->cx);
  if (size == 4) out32(port, r->ecx);
  r->ah = 0;
}

void pci_bios(struct Registers* r) {
  switch (r->al) {
    case 0x01:
      r->ax = 0x0001;        // present, mechanism 1 without special cycles
      r->bx = 0x0210;        // version
      r->cl = 0;             // the last bus
      r->edx = 0x20494350u;  // "PCI "
      return;
    case 0x02:
      if (r->dx == 0xffff) return fail(r, bad_vendor);
      return find(r, identification, (u32)r->cx << 16 | r->dx, 0);
    case 0x03:
      return find(r, class_code, r->ecx & 0xffffff, 8);
    case 0x08:
    case 0x09:
    case 0x0a:
      return read_register(r, (u8)(1 << (r->al - 0x08)));
    case 0x0b:
    case 0x0c:
    case 0x0d:
      return write_register(r, (u8)(1 << (r->al - 0x0b)));
  }
  fail(r, unknown_function);
}
