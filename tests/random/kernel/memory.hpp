// The sandbox's frames and page entries: made for a sequence, looked at afterwards, and made as if
// nothing had happened.
#pragma once

#include "sequence.hpp"

namespace sandbox::memory {

// Once; paging is on afterwards.
void make();
void prepare(const Sequence& sequence);
// Keeps the page entries as the sequence left them. Comes before anything touches the sandbox.
void look();
// The word of an exception's frame at this linear address; memory is then as if the processor had
// not pushed it.
u32 take(u32 address);
// Bits of the page entry, of the directory's for index `pages`, that the sequence changed.
u32 changed_bits(const Sequence& sequence, unsigned page);
// Calls visit(address, value) for each word that the sequence changed.
using Visit = void (*)(u32 address, u32 value);
void changed_words(Visit visit);
void restore(const Sequence& sequence);

}  // namespace sandbox::memory
