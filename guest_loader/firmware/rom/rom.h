// What all services of the guest's BIOS share: the caller's registers, ports, the BIOS data area
// and memory by segment and offset. This is guest code: real mode, made by gcc -m16. A service runs
// on its caller's stack with DS = ES = SS, FS = 0 (the data area), GS = the ROM's segment
// (constants).
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define LOW volatile __seg_fs  // what is pointed to lies below 64 KB
#define ROM const __seg_gs     // a constant: it lies in the ROM

enum { rom_segment = 0xf000 };

// As entry.S pushes them; what a service writes here its caller gets.
struct Registers {
  u16 gs, fs, es, ds;
  union {
    u32 edi;
    u16 di;
  };
  union {
    u32 esi;
    u16 si;
  };
  union {
    u32 ebp;
    u16 bp;
  };
  u32 esp;
  union {
    u32 ebx;
    u16 bx;
    struct {
      u8 bl, bh;
    };
  };
  union {
    u32 edx;
    u16 dx;
    struct {
      u8 dl, dh;
    };
  };
  union {
    u32 ecx;
    u16 cx;
    struct {
      u8 cl, ch;
    };
  };
  union {
    u32 eax;
    u16 ax;
    struct {
      u8 al, ah;
    };
  };
  u32 service;
  u16 ip, cs, flags;
} __attribute__((packed));

enum { flag_carry = 0x01, flag_zero = 0x40 };

// The two answers of most services: AH = 0 and no carry, or a reason in AH and carry.
static inline void succeed(struct Registers* r) { r->flags &= (u16)~flag_carry; }
static inline void fail(struct Registers* r, u8 reason) {
  r->ah = reason;
  r->flags |= flag_carry;
}
enum { not_supported = 0x86 };  // of INT 15h

// The BIOS data area at 0x400 (IBM PS/2 and PC BIOS Interface Technical Reference).
struct BiosData {
  u16 com[4], lpt[3], extended_segment;                             // 00
  u16 equipment;                                                    // 10
  u8 post;                                                          // 12
  u16 memory_kb;                                                    // 13
  u16 reserved_15;                                                  // 15
  u8 shifts, shifts_more;                                           // 17
  u8 alt_number;                                                    // 19
  u16 key_next, key_end;                                            // 1a
  u16 keys[16];                                                     // 1e
  u8 diskette[11];                                                  // 3e
  u8 video_mode;                                                    // 49
  u16 columns, page_bytes, page_start;                              // 4a
  u16 cursor[8];                                                    // 50
  u16 cursor_shape;                                                 // 60
  u8 page;                                                          // 62
  u16 crtc;                                                         // 63
  u8 mode_register, palette;                                        // 65
  u8 reserved_67[5];                                                // 67
  u32 ticks;                                                        // 6c
  u8 midnight, ctrl_break;                                          // 70
  u16 reset_flag;                                                   // 72
  u8 disk_status, disks, reserved_76[2];                            // 74
  u8 timeouts[8];                                                   // 78
  u16 keys_first, keys_behind;                                      // 80
  u8 last_row;                                                      // 84
  u16 character_height;                                             // 85
  u8 video_control, video_switches, video_more, video_combination;  // 87
  u8 reserved_8b[11];                                               // 8b
  u8 keyboard_mode, keyboard_lights;                                // 96
} __attribute__((packed));
#define bda ((struct BiosData LOW*)0x400)

// What the loader has written into the ROM about the machine (../bios_area.cpp).
struct MemoryRange {
  u32 base, length, type;
};
struct Disk {
  u16 port;  // of the channel's first register; 0: no such disk
  u8 drive;  // of the channel: 0 or 1
  u8 reserved;
  u32 sectors;
};
struct Facts {
  struct MemoryRange memory[8];
  u32 memory_count;
  u32 extended_kb;  // RAM from 1 MB on
  struct Disk disks[4];
};
extern ROM struct Facts facts;

static inline void out8(u16 port, u8 value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline void out16(u16 port, u16 value) {
  asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}
static inline void out32(u16 port, u32 value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline u8 in8(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline u16 in16(u16 port) {
  u16 value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
static inline void out_indexed(u16 port, u8 index, u8 value) {
  out16(port, (u16)(index | value << 8));
}
static inline u8 read_cmos(u8 index) {
  out8(0x70, index);
  return in8(0x71);
}
static inline void write_cmos(u8 index, u8 value) {
  out8(0x70, index);
  out8(0x71, value);
}

// Memory anywhere below 1 MB. ES is lent for the one access.
#define FAR_ACCESS(bits, letter, constraint)                                          \
  static inline u##bits far_read##bits(u16 segment, u16 offset) {                     \
    u##bits value;                                                                    \
    asm volatile("movw %w1, %%es; mov" letter " %%es:(%2), %0; pushw %%ss; popw %%es" \
                 : "=&" constraint(value)                                             \
                 : "r"(segment), "r"((u32)offset)                                     \
                 : "memory");                                                         \
    return value;                                                                     \
  }                                                                                   \
  static inline void far_write##bits(u16 segment, u16 offset, u##bits value) {        \
    asm volatile("movw %w1, %%es; mov" letter " %0, %%es:(%2); pushw %%ss; popw %%es" \
                 :                                                                    \
                 : constraint(value), "r"(segment), "r"((u32)offset)                  \
                 : "memory");                                                         \
  }
FAR_ACCESS(8, "b", "q")
FAR_ACCESS(16, "w", "r")
FAR_ACCESS(32, "l", "r")

// Interrupts on until one has come, or for a moment, then off again.
static inline void wait_for_interrupt(void) { asm volatile("sti; hlt; cli; cld" : : : "memory"); }

static inline void let_interrupts_in(void) { asm volatile("sti; nop; cli; cld" : : : "memory"); }

void put_character(u8 character);
void put_text(ROM char* text);
void pci_bios(struct Registers*);
// One sector to or from segment:offset; 0, or INT 13h's error.
u8 read_disk_sector(ROM struct Disk*, u32 sector, u16 segment, u16 offset);
