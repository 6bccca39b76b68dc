// One random sequence as the module holds it, and the sandbox that it runs in. The same layout is
// packed by tools/croft/randomtest/sequence.py.
#pragma once

#include "runtime/cpu.hpp"
#include "runtime/paging.hpp"

namespace sandbox {

using guest::u16;
using guest::u32;
using guest::u64;
using guest::u8;

// Linear addresses of the sandbox: pages 0 to 7 are frames of their own, the rest show some of them
// a second time.
inline constexpr u32 base = 0x800000, frames = 8, pages = 11;
inline constexpr u32 frame_of_page[pages] = {0, 1, 2, 3, 4, 5, 6, 7, 0, 2, 5};
inline constexpr u32 code_frame = 0, word_frame = 2;
// Where the kernel sees the frames, closed to all but ring 0; above them a sequence finds the
// sandbox's page table (a second time for any ring) and the page directory.
inline constexpr u32 back_door = 0xc00000, table_window = 0xd00000, user_table_window = 0xd01000,
                     directory_window = 0xd02000;
// 4 MB whose entry in the directory is empty at the start of each sequence: for sequences to fill.
inline constexpr u32 free_slot = 4;
// In virtual-8086 mode the pages are here.
inline constexpr u32 low_base = 0x20000;
// Where the guest's monitor sends INT 40h to 43h of a virtual-8086 task, 16 bytes for each.
inline constexpr u32 v86_handlers = 0x1c00, first_v86_vector = 0x40, v86_vectors = 4;

// GDT entries; below are those of the runtime (cpu.hpp).
inline constexpr unsigned ring1_code = 8, ring1_data = 9, ring2_code = 10, ring2_data = 11,
                          ldt_entry = 12, fault_tss_entry = 13, conforming_code = 14,
                          other_task_entry = 15, first_random = 16, random_descriptors = 16,
                          ldt_descriptors = 8;
inline constexpr unsigned other_task_vector = 0x5f, first_gate = 0x60, random_gates = 8, words = 16,
                          longest_code = 128;

struct [[gnu::packed]] Sequence {
  u32 number;
  u32 general[8];  // as in ModRM
  u32 eip, eflags, cr0, cr4;
  u16 es, cs, ss, ds, fs, gs;
  u16 ldtr, ss1, ss2, options;
  u32 esp1, esp2;
  u64 gdt[random_descriptors];
  u64 ldt[ldt_descriptors];
  u64 gates[random_gates];
  u16 rights[pages];  // low 12 bits of the page entries
  u16 directory_rights;
  u32 words[sandbox::words];  // at the start of page 2
  u32 code_offset, code_length;
  u32 task_limit, ports;  // of the TSS; the words of its I/O bitmap
  u8 code[longest_code];
};
static_assert(sizeof(Sequence) == 568);

// Sequence::options
inline constexpr u16 changes_tables = 1;  // any frame may have been written, whatever the D bits
inline constexpr u16 has_v86_monitor = 2;
inline constexpr u32 vm_flag = 0x20000;

// Where gates and the other task lead: INT3 in the second code page.
inline constexpr u32 trampoline = base + 0x1800;

// The processor after the exception that ended a sequence. entry.S knows the offsets.
struct State {
  u32 vector;
  u32 general[8];
  u32 es, cs, ss, ds, fs, gs;
  u32 cr0, cr2;
  u32 by_task;  // the double fault came by a task gate, and the TSS has the rest
  // Found out by the kernel from the exception's frame.
  u32 error, eip, eflags, dr6, tr;
};

// What the sequence starts with, for entry.S.
struct Entry {
  u32 general[8];
  u32 es, cs, ss, ds, fs, gs;
  u32 eip, eflags;    // VM: all of it by IRET
  u32 far_target[2];  // EIP, CS: for ring 0
  u32 far_stack[2];   // ESP, SS: for ring 0
};

extern "C" {
extern State sequence_state;
extern Entry sequence_entry;
extern char sequence_stubs[], double_fault_entry[];
void enter_sequence();  // returns when the sequence has ended
}

}  // namespace sandbox
