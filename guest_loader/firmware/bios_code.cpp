#include "bios_code.hpp"

#include <iterator>

namespace undercroft::bios_code {
namespace {

// Resets as port 0xcf9 does, and if that does not, as the keyboard controller does.
constexpr std::uint8_t power_on_code[] = {
    0xb0, 0x06,        // mov al, 6
    0xba, 0xf9, 0x0c,  // mov dx, 0xcf9
    0xee,              // out dx, al
    0xb0, 0xfe,        // mov al, 0xfe
    0xe6, 0x64,        // out 0x64, al
    0xf4,              // hlt
    0xeb, 0xfd,        // jmp to hlt
};

// IRQ 0: counts the ticks of the day at 0x46c, notes midnight, tells INT 1Ch.
constexpr std::uint8_t timer_code[] = {
    0x66, 0x50,                                            // push eax
    0x1e,                                                  // push ds
    0x66, 0x31, 0xc0,                                      // xor eax, eax
    0x8e, 0xd8,                                            // mov ds, ax
    0x66, 0xff, 0x06, 0x6c, 0x04,                          // inc dword [0x46c]
    0x66, 0x81, 0x3e, 0x6c, 0x04, 0xb0, 0x00, 0x18, 0x00,  // cmp dword [0x46c], 0x1800b0
    0x72, 0x09,                                            // jb over
    0x66, 0xa3, 0x6c, 0x04,                                // mov [0x46c], eax
    0xc6, 0x06, 0x70, 0x04, 0x01,                          // mov byte [0x470], 1
    0xcd, 0x1c,                                            // over: int 0x1c
    0xb0, 0x20,                                            // mov al, 0x20
    0xe6, 0x20,                                            // out 0x20, al
    0x1f,                                                  // pop ds
    0x66, 0x58,                                            // pop eax
    0xcf,                                                  // iret
};

// IRQ 1: takes the key and forgets it.
constexpr std::uint8_t keyboard_code[] = {
    0x50,        // push ax
    0xe4, 0x60,  // in al, 0x60
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0x20,  // out 0x20, al
    0x58,        // pop ax
    0xcf,        // iret
};

// IRQ 2 to 7: end of interrupt.
constexpr std::uint8_t master_code[] = {
    0x50,        // push ax
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0x20,  // out 0x20, al
    0x58,        // pop ax
    0xcf,        // iret
};

// IRQ 8 to 15: the same at both controllers. The clock's cause and the mouse's byte are read, since
// each would hold its line; so is the coprocessor's latch cleared.
constexpr std::uint8_t slave_code[] = {
    0x50,        // push ax
    0xb0, 0x20,  // mov al, 0x20
    0xe6, 0xa0,  // out 0xa0, al
    0xe6, 0x20,  // out 0x20, al
    0x58,        // pop ax
    0xcf,        // iret
};
constexpr std::uint8_t clock_code[] = {
    0x50,                    // push ax
    0xb0, 0x0c,              // mov al, 0x0c
    0xe6, 0x70,              // out 0x70, al
    0xe4, 0x71,              // in al, 0x71
    0xb0, 0x20,              // mov al, 0x20
    0xe6, 0xa0, 0xe6, 0x20,  // out 0xa0, al; out 0x20, al
    0x58, 0xcf,              // pop ax; iret
};
constexpr std::uint8_t mouse_code[] = {
    0x50,                    // push ax
    0xe4, 0x60,              // in al, 0x60
    0xb0, 0x20,              // mov al, 0x20
    0xe6, 0xa0, 0xe6, 0x20,  // out 0xa0, al; out 0x20, al
    0x58, 0xcf,              // pop ax; iret
};
constexpr std::uint8_t coprocessor_code[] = {
    0x50,                    // push ax
    0xe6, 0xf0,              // out 0xf0, al
    0xb0, 0x20,              // mov al, 0x20
    0xe6, 0xa0, 0xe6, 0x20,  // out 0xa0, al; out 0x20, al
    0x58, 0xcf,              // pop ax; iret
};

// INT 11h and 12h: the BIOS data area's equipment word and memory size in AX.
constexpr std::uint8_t equipment_code[] = {
    0x1e,              // push ds
    0x31, 0xc0,        // xor ax, ax
    0x8e, 0xd8,        // mov ds, ax
    0xa1, 0x10, 0x04,  // mov ax, [0x410]
    0x1f, 0xcf,        // pop ds; iret
};
constexpr std::uint8_t memory_size_code[] = {
    0x1e,              // push ds
    0x31, 0xc0,        // xor ax, ax
    0x8e, 0xd8,        // mov ds, ax
    0xa1, 0x13, 0x04,  // mov ax, [0x413]
    0x1f, 0xcf,        // pop ds; iret
};

// INT 13h, 15h: AH = 0x86 and the caller's carry flag set: not supported.
constexpr std::uint8_t unsupported_code[] = {
    0x55,                    // push bp
    0x89, 0xe5,              // mov bp, sp
    0x80, 0x4e, 0x06, 0x01,  // or byte [bp + 6], 1
    0x5d,                    // pop bp
    0xb4, 0x86,              // mov ah, 0x86
    0xcf,                    // iret
};

// INT 16h: no key is there: AX = 0 and the caller's zero flag set.
constexpr std::uint8_t no_key_code[] = {
    0x55,                    // push bp
    0x89, 0xe5,              // mov bp, sp
    0x80, 0x4e, 0x06, 0x40,  // or byte [bp + 6], 0x40
    0x5d,                    // pop bp
    0x31, 0xc0,              // xor ax, ax
    0xcf,                    // iret
};

// INT 1Ah, AH = 0: the ticks of the day in CX:DX, whether midnight has passed in AL. The rest is
// not supported.
constexpr std::uint8_t time_code[] = {
    0x08, 0xe4,                    // or ah, ah
    0x74, 0x0b,                    // jz ticks
    0x55,                          // push bp
    0x89, 0xe5,                    // mov bp, sp
    0x80, 0x4e, 0x06, 0x01,        // or byte [bp + 6], 1
    0x5d,                          // pop bp
    0xb4, 0x86,                    // mov ah, 0x86
    0xcf,                          // iret
    0x1e,                          // ticks: push ds
    0x31, 0xc9,                    // xor cx, cx
    0x8e, 0xd9,                    // mov ds, cx
    0x8b, 0x16, 0x6c, 0x04,        // mov dx, [0x46c]
    0x8b, 0x0e, 0x6e, 0x04,        // mov cx, [0x46e]
    0xa0, 0x70, 0x04,              // mov al, [0x470]
    0xc6, 0x06, 0x70, 0x04, 0x00,  // mov byte [0x470], 0
    0x1f, 0xcf,                    // pop ds; iret
};

// Interrupt 1Eh: 512 bytes a sector, 18 sectors a track, and the timing of a 1.44 MB drive.
constexpr std::uint8_t diskette_table[] = {0xaf, 0x02, 0x25, 0x02, 0x12, 0x1b,
                                           0xff, 0x6c, 0xf6, 0x0f, 0x08};
constexpr std::uint8_t return_code[] = {0xcf};

constexpr std::uint16_t timer_at = 0xfea5, keyboard_at = 0xe987, equipment_at = 0xf84d,
                        memory_size_at = 0xf841, no_key_at = 0xe82e, time_at = 0xfe6e,
                        disk_at = 0xec59, system_at = 0xf859, master_at = 0xe100, slave_at = 0xe110,
                        clock_at = 0xe120, mouse_at = 0xe130, coprocessor_at = 0xe140;

constexpr Routine all_routines[] = {
    {power_on, power_on_code},
    {master_at, master_code},
    {slave_at, slave_code},
    {clock_at, clock_code},
    {mouse_at, mouse_code},
    {coprocessor_at, coprocessor_code},
    {no_key_at, no_key_code},
    {keyboard_at, keyboard_code},
    {disk_at, unsupported_code},
    {diskette_parameters, diskette_table},
    {memory_size_at, memory_size_code},
    {equipment_at, equipment_code},
    {system_at, unsupported_code},
    {time_at, time_code},
    {timer_at, timer_code},
    {nothing, return_code},
};

constexpr Vector all_vectors[] = {
    {0x08, timer_at},
    {0x09, keyboard_at},
    {0x0a, master_at},
    {0x0b, master_at},
    {0x0c, master_at},
    {0x0d, master_at},
    {0x0e, master_at},
    {0x0f, master_at},
    {0x11, equipment_at},
    {0x12, memory_size_at},
    {0x13, disk_at},
    {0x15, system_at},
    {0x16, no_key_at},
    {0x18, power_on},
    {0x19, power_on},
    {0x1a, time_at},
    {0x1e, diskette_parameters},
    {0x70, clock_at},
    {0x71, slave_at},
    {0x72, slave_at},
    {0x73, slave_at},
    {0x74, mouse_at},
    {0x75, coprocessor_at},
    {0x76, slave_at},
    {0x77, slave_at},
};

// In the order of their places, none over the next.
constexpr bool routines_fit() {
  for (std::size_t i = 1; i < std::size(all_routines); ++i) {
    const Routine& before = all_routines[i - 1];
    if (before.offset + before.bytes.size() > all_routines[i].offset) return false;
  }
  return true;
}
static_assert(routines_fit());

}  // namespace

std::span<const Routine> routines() { return all_routines; }

std::span<const Vector> vectors() { return all_vectors; }

}  // namespace undercroft::bios_code
