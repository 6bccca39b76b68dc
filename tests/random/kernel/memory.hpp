// The sandbox's frames and page entries: made for a sequence, looked at afterwards, and made as if
// nothing had happened.
#pragma once

#include "sequence.hpp"

namespace sandbox::memory {

// Once; paging is on afterwards.
void make();
void prepare(const Sequence& sequence);
// Keeps the page entries as the sequence left them. Comes before anything touches the sandbox.
void look(const Sequence& sequence);
// The word of an exception's frame at this linear address; memory is then as if the processor had
// not pushed it.
u32 take(u32 address);
// Entries by index: the sandbox's pages, then the directory's for the sandbox and for the free
// slot.
inline constexpr unsigned sandbox_entry = pages, free_entry = pages + 1, all_entries = pages + 2;
// Bits of an entry that the sequence changed.
u32 changed_bits(const Sequence& sequence, unsigned index);
// Whether a virtual-8086 task may write to this linear address, by the tables as they are now.
bool open_to_v86(u32 address);
// Calls visit(address, value) for each word that the sequence changed.
using Visit = void (*)(u32 address, u32 value);
void changed_words(const Sequence& sequence, Visit visit);
void restore(const Sequence& sequence);

}  // namespace sandbox::memory
