// INT 15h: how much memory there is, the A20 line, waiting, block moves, the configuration table.
#include "rom.h"

enum { port_a = 0x92, port_a_a20 = 0x02, controller = 0x64 };
enum { power_timer = 0x608 };  // 24 bits, 3579545 a second
extern ROM u8 configuration[];
void move_block(u32 gdt, u32 words);

// Low only if both switches say so; so on by one of them.
static void set_a20(int on) {
  const u8 value = in8(port_a);
  out8(port_a, (u8)((on ? value | port_a_a20 : value & ~port_a_a20) & 0xfe));
  if (!on) out8(controller, 0xdd);
}

static void a20(struct Registers* r) {
  switch (r->al) {
    case 0x00:
    case 0x01:
      set_a20(r->al);
      r->ah = 0;
      return;
    case 0x02:
      r->al = (in8(port_a) & port_a_a20) != 0;
      r->ah = 0;
      return;
    case 0x03:
      r->ah = 0;
      r->bx = 0x0003;  // by the keyboard controller and by port 0x92
      return;
  }
  fail(r, not_supported);
}

// CX:DX microseconds.
static void wait(const struct Registers* r) {
  const u32 whole = ((u32)r->cx << 16 | r->dx);
  u32 seconds = whole / 1000000, rest = whole % 1000000;
  u32 before = in32(power_timer);
  for (;;) {
    u32 ticks = seconds > 0 ? 3579545 : rest * 3 + rest / 1000 * 579 + rest % 1000 * 579 / 1000;
    while (ticks > 0) {
      let_interrupts_in();
      const u32 now = in32(power_timer), passed = (now - before) & 0xffffff;
      before = now;
      ticks -= passed < ticks ? passed : ticks;
    }
    if (seconds == 0) return;
    --seconds;
  }
}

// The table at ES:SI has the source's descriptor at 0x10, the destination's at 0x18, and places of
// the BIOS' own from 0x20 on.
static void block_move(struct Registers* r) {
  if (r->cx > 0x8000) return fail(r, 0x02);
  const u8 before = in8(port_a);
  if (!(before & port_a_a20)) set_a20(1);
  far_write32(r->es, r->si + 0x20, 0x0000ffff);  // 64 KB at 0, writable
  far_write32(r->es, r->si + 0x24, 0x00009300);
  far_write16(r->es, r->si + 0x15, far_read8(r->es, r->si + 0x15) | 0x93);
  far_write16(r->es, r->si + 0x1d, far_read8(r->es, r->si + 0x1d) | 0x93);
  move_block(r->es * 16u + r->si, r->cx);
  if (!(before & port_a_a20)) out8(port_a, before & 0xfe);
  r->ah = 0;
}

static u32 memory_above_16m_in_64k(void) {
  return facts.extended_kb > 15 * 1024 ? (facts.extended_kb - 15 * 1024) / 64 : 0;
}
static u32 memory_below_16m(void) {
  return facts.extended_kb < 15 * 1024 ? facts.extended_kb : 15 * 1024;
}

static void memory_sizes(struct Registers* r, int wide) {
  const u32 low = memory_below_16m(), high = memory_above_16m_in_64k();
  if (wide) {
    r->eax = r->ecx = low;
    r->ebx = r->edx = high;
  } else {
    r->ax = r->cx = (u16)low;
    r->bx = r->dx = (u16)high;
  }
}

enum { entry_bytes = 20, smap = 0x534d4150 };

static void memory_map(struct Registers* r) {
  const u32 index = r->ebx;
  if (r->edx != smap || r->ecx < entry_bytes || index >= facts.memory_count) {
    return fail(r, not_supported);
  }
  ROM struct MemoryRange* const range = &facts.memory[index];
  const u32 words[5] = {range->base, 0, range->length, 0, range->type};
  for (u32 i = 0; i < 5; ++i) far_write32(r->es, (u16)(r->di + 4 * i), words[i]);
  r->eax = smap;
  r->ecx = entry_bytes;
  r->ebx = index + 1 < facts.memory_count ? index + 1 : 0;
}

void system_service(struct Registers* r) {
  succeed(r);
  switch (r->ah) {
    case 0x24:
      return a20(r);
    case 0x4f:  // a key, to be taken as it is
      r->flags |= flag_carry;
      return;
    case 0x86:
      wait(r);
      r->ah = 0;
      return;
    case 0x87:
      return block_move(r);
    case 0x88: {
      const u32 most = 63 * 1024;
      r->ax = (u16)(facts.extended_kb < most ? facts.extended_kb : most);
      return;
    }
    case 0x90:  // a device is waited for; it has finished
    case 0x91:
      r->ah = 0;
      return;
    case 0xc0:
      r->es = rom_segment;
      r->bx = (u16)(u32)configuration;
      r->ah = 0;
      return;
    case 0xc1:
      r->es = bda->extended_segment;
      return;
    case 0xe8:
      if (r->al == 0x20) return memory_map(r);
      if (r->al == 0x01 || r->al == 0x81) return memory_sizes(r, r->al & 0x80);
      break;
  }
  fail(r, not_supported);
}
