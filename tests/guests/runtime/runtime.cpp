// Console, descriptor tables and trap dispatch of the test kernels.
#include "boot.hpp"
#include "console.hpp"

extern "C" {
extern char trap_stubs[], trap_stack_end[];
extern guest::u32 guard_stack;
[[noreturn]] void guarded_escape();
struct [[gnu::packed]] TableRegister {
  guest::u16 limit;
  const void* base;
};
void load_tables(const TableRegister* gdt, const TableRegister* idt);
[[noreturn]] void kernel_start(guest::u32 magic, const guest::BootInformation* information);
void trap_dispatch(guest::TrapFrame* frame);

void* memset(void* to, int value, std::size_t count) {
  void* start = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
  return start;
}
void* memcpy(void* to, const void* from, std::size_t count) {
  void* start = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  return start;
}
}

namespace guest {
namespace {

constexpr u16 com1 = 0x3f8;
const BootInformation* information;
u32 magic_number;
bool at_line_start = true;
u32 failures;
Trap remembered;
Handler handlers[256];
alignas(8) u64 gdt_entries[descriptor_count];
alignas(8) u64 idt_entries[256];
TaskState task;

void send(char character) {
  while (!(in8(com1 + 5) & 0x20)) {
  }
  out8(com1, static_cast<u8>(character));
}

void initialise_serial() {
  constexpr u8 settings[][2] = {{1, 0}, {3, 0x80}, {0, 1}, {1, 0}, {3, 3}, {2, 7}, {4, 3}};
  for (const auto& setting : settings) out8(com1 + setting[0], setting[1]);
}

void initialise_tables() {
  gdt_entries[kernel_code / 8] = make_segment(0, 0xfffff, 0x9b, 0xc);
  gdt_entries[kernel_data / 8] = make_segment(0, 0xfffff, 0x93, 0xc);
  gdt_entries[user_code / 8] = make_segment(0, 0xfffff, 0xfb, 0xc);
  gdt_entries[user_data / 8] = make_segment(0, 0xfffff, 0xf3, 0xc);
  task.esp0 = reinterpret_cast<u32>(trap_stack_end);
  task.ss0 = kernel_data;
  task.io_map = 104;
  memset(task.io_bitmap, 0xff, sizeof task.io_bitmap);
  // The limit leaves the bitmap out until a test widens it.
  gdt_entries[tss_selector / 8] = make_segment(reinterpret_cast<u32>(&task), 103, 0x89, 0);
  for (unsigned vector = 0; vector < 256; ++vector) {
    set_gate(vector, make_gate(kernel_code, reinterpret_cast<u32>(trap_stubs) + 16 * vector, 0x8e));
  }
  const TableRegister gdt_register = {sizeof gdt_entries - 1, gdt_entries};
  const TableRegister idt_register = {sizeof idt_entries - 1, idt_entries};
  load_tables(&gdt_register, &idt_register);
  asm volatile("ltr %0" : : "r"(tss_selector));
  asm volatile("lldt %0" : : "r"(u16{0}));  // reset leaves one at 0 with a limit of 64 KB
}

}  // namespace

void put(char character) {
  if (at_line_start) {
    send('|');
    send(' ');
  }
  at_line_start = character == '\n';
  if (at_line_start) send('\r');
  send(character);
}

void put(const char* text) {
  while (*text) put(*text++);
}

void put(Hex number) {
  for (unsigned digit = number.digits; digit-- > 0;) {
    put("0123456789abcdef"[number.value >> (4 * digit) & 15]);
  }
}

void put(u32 decimal) {
  if (decimal >= 10) put(decimal / 10);
  put(static_cast<char>('0' + decimal % 10));
}

void put(const Trap& trap) {
  if (!trap.happened()) return put("no trap");
  print("vector ", trap.frame.vector, " error ", hex(trap.frame.error));
  if (trap.frame.vector == 14) print(" cr2 ", hex(trap.cr2));
  print(" at ", hex(trap.frame.cs & 0xffff, 4), ':', hex(trap.frame.eip));
}

void check(bool condition, const char* what) {
  if (condition) return;
  ++failures;
  line("FAILED: ", what);
}

void finish() {
  if (failures) {
    line(test_name, ": ", failures, " failed");
  } else {
    line(test_name, ": passed");
  }
  while (!(in8(com1 + 5) & 0x40)) {  // the last byte has to leave the chip first
  }
  out8(0xf4, failures ? 0x21 : 0x20);
  for (const char* text = "Shutdown"; *text; ++text) out8(0x8900, static_cast<u8>(*text));
  for (;;) asm volatile("cli; hlt");
}

void set_handler(unsigned vector, Handler handler) { handlers[vector] = handler; }
Trap last_trap() { return remembered; }

u64* gdt() { return gdt_entries; }

u64 make_segment(u32 base, u32 limit, u8 access, u8 granularity) {
  const u32 low = base << 16 | (limit & 0xffff);
  const u32 high = (base & 0xff000000) | static_cast<u32>(granularity) << 20 | (limit & 0xf0000) |
                   static_cast<u32>(access) << 8 | (base >> 16 & 0xff);
  return static_cast<u64>(high) << 32 | low;
}

u64 make_gate(u16 selector, u32 offset, u8 access, u8 parameters) {
  const u32 low = static_cast<u32>(selector) << 16 | (offset & 0xffff);
  const u32 high = (offset & 0xffff0000) | static_cast<u32>(access) << 8 | parameters;
  return static_cast<u64>(high) << 32 | low;
}

void set_gate(unsigned vector, u64 gate) { idt_entries[vector] = gate; }
u64 get_gate(unsigned vector) { return idt_entries[vector]; }
TaskState& task_state() { return task; }
const BootInformation& boot_information() { return *information; }
u32 boot_magic() { return magic_number; }

bool option(const char* word) {
  if (!(information->flags & 4)) return false;
  const char* text = reinterpret_cast<const char*>(information->command_line);
  while (*text) {
    const char* expected = word;
    while (*expected && *text == *expected) ++text, ++expected;
    if (!*expected && (*text == ' ' || !*text)) return true;
    while (*text && *text != ' ') ++text;
    while (*text == ' ') ++text;
  }
  return false;
}

}  // namespace guest

void trap_dispatch(guest::TrapFrame* frame) {
  using namespace guest;
  if (frame->vector < 256 && handlers[frame->vector]) return handlers[frame->vector](*frame);
  remembered.frame = *frame;
  remembered.cr2 = cr2();
  if (guard_stack) guarded_escape();
  line("unexpected trap: ", remembered, " flags ", hex(frame->eflags));
  check(false, "no trap expected");
  finish();
}

void kernel_start(guest::u32 magic, const guest::BootInformation* boot) {
  guest::information = boot;
  guest::magic_number = magic;
  guest::initialise_serial();
  guest::initialise_tables();
  guest::out8(0x21, 0xff);  // no interrupts but those that a test asks for
  guest::out8(0xa1, 0xff);
  guest::line(test_name, ": begins");
  guest::check(magic == guest::multiboot1_magic || magic == guest::multiboot2_magic ||
                   magic == guest::linux_magic,
               "multiboot magic");
  test();
  guest::finish();
}
