// Descriptors, gates, tasks and control registers of a sequence, and the exception that ends it.
#pragma once

#include "sequence.hpp"

namespace sandbox::processor {

// Once.
void make();
void prepare(const Sequence& sequence);
// After enter_sequence: the kernel's own tables and registers, so that the rest may run.
void regain();
// Enters the sequence, or goes on in virtual-8086 mode where a state is.
void enter(const Sequence& sequence);
void enter_again(const Sequence& sequence, const State& state);
// Completes the state from the exception's frame, or from the task that it interrupted.
void look(State& state);
// What the processor has saved in the main task's TSS from EIP on, if it has left it.
inline constexpr unsigned saved_task_words = 16;
u32 saved_task_word(unsigned index);
// How many words lie on the inner stack of ring 0 where the ending found the processor there, and
// those words, the first pushed first.
u32 trap_stack_words(const State& state);
u32 trap_stack_word(u32 index);
// A descriptor as the sequence wanted it and as it is now; index counts the random ones of the GDT,
// then those of the LDT.
inline constexpr unsigned descriptors = random_descriptors + ldt_descriptors;
u64 descriptor_before(const Sequence& sequence, unsigned index);
u64 descriptor_after(unsigned index);

}  // namespace sandbox::processor
