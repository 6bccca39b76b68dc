#include "memory.hpp"

namespace sandbox::memory {
namespace {

using namespace guest;

constexpr u32 sandbox_slot = base >> 22, back_door_slot = back_door >> 22,
              low_page = low_base / page_bytes;

Page pristine[frames];  // what a frame holds between sequences
Page expected[frames];  // and what it holds if the sequence writes nothing
PageTable sandbox_table, back_door_table;
u32 entries[all_entries];  // after the sequence

// The code pages have two frames each, which take turns. Code that is written and executed by turns
// is not translated any more after a while (monitor/translate/churning_frames.hpp); it counts by
// frame, and forgets one when another that is this far away comes.
constexpr u32 far_away = 64;
bool second_code;  // whether the second ones are mapped

u32 frame_offset(u32 frame) {
  return (frame + (second_code && frame < word_frame ? far_away : 0)) * page_bytes;
}
u8* frame_bytes(u32 frame) { return reinterpret_cast<u8*>(back_door + frame_offset(frame)); }
u8* bytes_of(Page& page) { return reinterpret_cast<u8*>(page.address()); }

void copy_page(u8* to, const u8* from) {
  u32 count = pages_of_a_table;
  asm volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

// What is harmless if it is run: INT3, NOP, CLC, STC, CBW, CWD, and XCHG, INC, DEC of EAX, ECX,
// EDX.
constexpr u8 harmless[16] = {0xcc, 0xcc, 0xcc, 0x90, 0xf8, 0xf9, 0x98, 0x99,
                             0x91, 0x92, 0x40, 0x41, 0x42, 0x48, 0x49, 0x4a};

// What the guest's monitor makes of INT 40h to 43h: IRET; INC CX, IRET; PUSHF, POP BX, IRET; STI,
// INT 80h.
void make_v86_handlers() {
  constexpr u8 code[v86_vectors][4] = {
      {0xcf}, {0x41, 0xcf}, {0x9c, 0x5b, 0xcf}, {0xfb, 0xcd, 0x80}};
  for (u32 vector = 0; vector < v86_vectors; ++vector) {
    for (u32 i = 0; i < sizeof code[vector] && code[vector][i]; ++i) {
      const u32 offset = v86_handlers + 16 * vector + i;
      bytes_of(pristine[offset / page_bytes])[offset % page_bytes] = code[vector][i];
    }
  }
}

// Code pages are full of INT3, the others of anything harmless: wild jumps end soon.
void make_templates() {
  u32 noise = 12345;
  for (u32 frame = 0; frame < frames; ++frame) {
    for (u32 word = 0; word < pages_of_a_table; ++word) {
      u32 bytes = 0;
      for (unsigned byte = 0; byte < 4; ++byte) {
        noise = noise * 1664525 + 1013904223;
        bytes = bytes << 8 | (frame < word_frame ? 0xcc : harmless[noise >> 28]);
      }
      pristine[frame].words[word] = bytes;
    }
    if (frame == v86_handlers / page_bytes) make_v86_handlers();
    for (second_code = false;; second_code = true) {
      copy_page(frame_bytes(frame), bytes_of(pristine[frame]));
      if (second_code) break;
    }
    copy_page(bytes_of(expected[frame]), bytes_of(pristine[frame]));
  }
}

void map_kernel() {
  for (unsigned slot = 0; slot < 2; ++slot) {
    for (u32 page = 0; page < pages_of_a_table; ++page) {
      const u32 address = (slot * pages_of_a_table + page) * page_bytes;
      low[slot].entries[page] = address < 0x100000 ? 0 : address | present | writable;
    }
    directory.entries[slot] = low[slot].address() | present | writable;
  }
  for (u32 page = 0; page < far_away + word_frame; ++page)
    back_door_table.entries[page] = (base + page * page_bytes) | present | writable;
  const auto show = [](u32 window, const PageTable& table, u32 rights) {
    back_door_table.entries[window / page_bytes % pages_of_a_table] = table.address() | rights;
  };
  show(table_window, sandbox_table, present | writable);
  show(user_table_window, sandbox_table, all_rights);
  show(directory_window, directory, present | writable);
  directory.entries[back_door_slot] = back_door_table.address() | all_rights;
  directory.entries[0] = low[0].address() | all_rights;
}

// Both in the frame and in what is expected of it. offset counts from the first frame.
void put(u32 offset, const void* from, u32 count) {
  const u8* byte = static_cast<const u8*>(from);
  for (u32 i = 0; i < count; ++i, ++offset) {
    frame_bytes(offset / page_bytes)[offset % page_bytes] = byte[i];
    bytes_of(expected[offset / page_bytes])[offset % page_bytes] = byte[i];
  }
}

void put_back(u32 offset, u32 count) {
  for (u32 i = 0; i < count; ++i, ++offset)
    put(offset, bytes_of(pristine[offset / page_bytes]) + offset % page_bytes, 1);
}

bool written(const Sequence& sequence, u32 frame) {
  if (sequence.options & changes_tables) return true;
  for (u32 page = 0; page < pages; ++page)
    if (frame_of_page[page] == frame && entries[page] & dirty) return true;
  return false;
}

u32 wanted_entry(const Sequence& sequence, unsigned index) {
  if (index == free_entry) return 0;
  if (index == sandbox_entry) return sandbox_table.address() | sequence.directory_rights;
  return (base + frame_offset(frame_of_page[index])) | sequence.rights[index];
}

void set(volatile u32& entry, u32 wanted) {
  if (entry != wanted) entry = wanted;
}

constexpr u32 words_offset = word_frame * page_bytes;

}  // namespace

void make() {
  map_kernel();
  enable_paging();
  make_templates();
}

void prepare(const Sequence& sequence) {
  second_code = sequence.number & 1;
  put(sequence.code_offset, sequence.code, sequence.code_length);
  put(words_offset, sequence.words, sizeof sequence.words);
  for (unsigned page = 0; page < pages; ++page) {
    const u32 entry = wanted_entry(sequence, page);
    set(sandbox_table.entries[page], entry);
    set(low[0].entries[low_page + page], sequence.eflags & vm_flag ? entry : 0);
  }
  set(directory.entries[sandbox_slot], wanted_entry(sequence, sandbox_entry));
  set(directory.entries[free_slot], wanted_entry(sequence, free_entry));
  set_cr3(directory.address());
}

void look(const Sequence& sequence) {
  const volatile u32* table =
      sequence.eflags & vm_flag ? low[0].entries + low_page : sandbox_table.entries;
  for (unsigned page = 0; page < pages; ++page) entries[page] = table[page];
  entries[sandbox_entry] = directory.entries[sandbox_slot];
  entries[free_entry] = directory.entries[free_slot];
}

bool open_to_v86(u32 address) {
  const u32 page = (address - low_base) / page_bytes;
  return address >= low_base && page < pages &&
         (low[0].entries[low_page + page] & all_rights) == all_rights;
}

// Byte by byte: the word may lie on two pages.
u32 take(u32 address) {
  const u32 value = memory_at(address);
  for (u32 byte = address; byte != address + 4; ++byte) {
    const u32 page = (byte - base) / page_bytes;
    if (byte < base || page >= pages) continue;
    // The sequence may have given the page another frame.
    const u32 frame = (entries[page] - base) / page_bytes % far_away, offset = byte % page_bytes;
    frame_bytes(frame)[offset] = bytes_of(expected[frame])[offset];
  }
  return value;
}

u32 changed_bits(const Sequence& sequence, unsigned index) {
  return entries[index] ^ wanted_entry(sequence, index);
}

void changed_words(const Sequence& sequence, Visit visit) {
  for (u32 frame = 0; frame < frames; ++frame) {
    if (!written(sequence, frame)) continue;
    const u32* now = reinterpret_cast<const u32*>(frame_bytes(frame));
    const u32* before = reinterpret_cast<const u32*>(bytes_of(expected[frame]));
    const u32* from = now;
    u32 count = pages_of_a_table;
    while (count) {
      bool same;
      asm volatile("repe cmpsl" : "+S"(now), "+D"(before), "+c"(count), "=@cce"(same) : : "memory");
      if (same) break;
      visit(base + frame * page_bytes + static_cast<u32>(now - 1 - from) * 4, now[-1]);
    }
  }
}

void restore(const Sequence& sequence) {
  for (u32 frame = 0; frame < frames; ++frame)
    if (written(sequence, frame)) copy_page(frame_bytes(frame), bytes_of(pristine[frame]));
  put_back(sequence.code_offset, sequence.code_length);
  put_back(words_offset, sizeof sequence.words);
}

}  // namespace sandbox::memory
