#include "report.hpp"

#include "memory.hpp"
#include "processor.hpp"

namespace sandbox {
namespace {

using namespace guest;

constexpr u16 com1 = 0x3f8;
constexpr u32 queue_bytes = 16;  // of the serial line's transmitter

// A line is collected and sent in pieces that the transmitter takes at once.
char line[4096];
u32 length;

void put(const char* text) {
  while (*text && length < sizeof line) line[length++] = *text++;
}

void put_hex(u32 value) {
  unsigned digits = 1;
  while (digits < 8 && value >> (4 * digits)) ++digits;
  while (digits-- > 0) {
    const char text[] = {"0123456789abcdef"[value >> (4 * digits) & 15], 0};
    put(text);
  }
}

void field(const char* name, u32 value) {
  put(" ");
  put(name);
  put("=");
  put_hex(value);
}

void field_if(bool condition, const char* name, u32 value) {
  if (condition) field(name, value);
}

void send() {
  put("\r\n");
  const char* from = line;
  while (length) {
    while (!(in8(com1 + 5) & 0x20)) {
    }
    u32 count = length < queue_bytes ? length : queue_bytes;
    length -= count;
    asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(com1) : "memory");
  }
}

void put_registers(const Sequence& sequence, const State& state) {
  constexpr const char* names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  for (unsigned r = 0; r < 8; ++r)
    field_if(state.general[r] != sequence.general[r], names[r], state.general[r]);
  field_if(state.es != sequence.es, "es", state.es);
  field_if(state.ss != sequence.ss, "ss", state.ss);
  field_if(state.ds != sequence.ds, "ds", state.ds);
  field_if(state.fs != sequence.fs, "fs", state.fs);
  field_if(state.gs != sequence.gs, "gs", state.gs);
  field_if(state.tr != tss_selector, "tr", state.tr);
  field_if(state.cr0 != sequence.cr0, "cr0", state.cr0);
}

void put_page_bits(const Sequence& sequence) {
  for (unsigned page = 0; page < memory::all_entries; ++page) {
    const u32 bits = memory::changed_bits(sequence, page);
    if (!bits) continue;
    put(" page");
    put_hex(page);
    put("=");
    put_hex(bits);
  }
}

constexpr u32 most_words = 24;
u32 word_count, word_sum;

void put_words(const Sequence& sequence) {
  word_count = word_sum = 0;
  memory::changed_words(sequence, [](u32 address, u32 value) {
    word_sum = (word_sum << 5 | word_sum >> 27) ^ address ^ value * 0x9e3779b1;
    if (++word_count > most_words) return;
    put(" m");
    put_hex(address);
    put("=");
    put_hex(value);
  });
  field_if(word_count > most_words, "words", word_count);
  field_if(word_count > most_words, "sum", word_sum);
}

void put_descriptors(const Sequence& sequence) {
  for (unsigned i = 0; i < processor::descriptors; ++i) {
    const u64 after = processor::descriptor_after(i);
    const u64 changed = after ^ processor::descriptor_before(sequence, i);
    if (!changed) continue;
    put(" d");
    put_hex(i);
    put("=");
    put_hex(static_cast<u32>(changed >> 32));
    field_if(static_cast<u32>(changed) != 0, "low", static_cast<u32>(changed));
  }
}

void put_left_task() {
  for (unsigned i = 0; i < processor::saved_task_words; ++i) {
    put(" t");
    put_hex(i);
    put("=");
    put_hex(processor::saved_task_word(i));
  }
}

// What a gate has pushed before the trampoline's INT3 came.
void put_trap_stack(const State& state) {
  const u32 count = processor::trap_stack_words(state);
  for (u32 i = 0; i < count; ++i) {
    put(" s");
    put_hex(i);
    put("=");
    put_hex(processor::trap_stack_word(i));
  }
}

}  // namespace

void report(const Sequence& sequence, const State& state) {
  length = 0;
  put("| ");
  put_hex(sequence.number);
  field("v", state.vector);
  field("e", state.error);
  field("cs", state.cs);
  field("eip", state.eip);
  field("flags", state.eflags);
  field_if(state.vector == 14 || state.by_task, "cr2", state.cr2);
  field_if(state.dr6 != 0xffff0ff0, "dr6", state.dr6);
  put_registers(sequence, state);
  if (state.tr / 8 == other_task_entry) put_left_task();
  put_trap_stack(state);
  put_page_bits(sequence);
  put_descriptors(sequence);
  put_words(sequence);
  send();
}

}  // namespace sandbox
