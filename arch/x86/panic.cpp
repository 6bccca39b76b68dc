#include "panic.hpp"

#include "image_layout.hpp"
#include "instructions.hpp"
#include "machine.hpp"
#include "machine_exit.hpp"
#include "monitor/inspect/format.hpp"
#include "symbols.hpp"

namespace undercroft::x86 {
namespace {

constinit Console* report_console = nullptr;
bool panicking = false;

void print_code_address(Console& out, std::uint32_t address) {
  const SymbolMatch symbol = find_symbol(address);
  if (symbol.name.empty()) {
    print(out, "  {x8}\n", address);
  } else {
    print(out, "  {x8} {}+{x}\n", address, symbol.name, symbol.offset);
  }
}

bool on_monitor_stack(std::uint32_t offset) {
  return offset >= offset_of(monitor_stack_guard) + page_size &&
         offset + 8 <= offset_of(monitor_stack_top) && offset % 4 == 0;
}

// Frames are {caller's EBP, return address}; they lie higher and higher.
void print_back_trace(Console& out, std::uint32_t frame) {
  for (unsigned depth = 0; depth < 32 && on_monitor_stack(frame); ++depth) {
    const auto* words = reinterpret_cast<const std::uint32_t*>(frame);
    if (words[1] == 0) return;
    print_code_address(out, words[1]);
    if (words[0] <= frame) return;
    frame = words[0];
  }
}

// A second panic while the first is being reported ends the run at once.
Console* begin(std::string_view message) {
  if (panicking || !report_console) exit_machine(ExitCode::panic);
  panicking = true;
  machine().take_screen_back();
  print(*report_console, "\nundercroft: panic: {}\n", message);
  return report_console;
}

}  // namespace

void set_panic_console(Console& console) { report_console = &console; }

void panic(std::string_view message) {
  Console* out = begin(message);
  print_back_trace(*out, offset_of(__builtin_frame_address(0)));
  exit_machine(ExitCode::panic);
}

void panic(std::string_view message, const MonitorFrame& frame, std::uint32_t fault_address) {
  Console* out = begin(message);
  print(*out, "vector {} error {x} cr2 {x8} cr3 {x8} cr0 {x8}\n", frame.vector, frame.error_code,
        fault_address, read_cr3(), read_cr0());
  print(*out, "eip {x8} eflags {x8} cs {x4} ds {x4} es {x4} fs {x4} gs {x4}\n", frame.eip,
        frame.eflags, frame.cs, frame.ds, frame.es, frame.fs, frame.gs);
  print(*out, "eax {x8} ebx {x8} ecx {x8} edx {x8}\n", frame.eax, frame.ebx, frame.ecx, frame.edx);
  print(*out, "esi {x8} edi {x8} ebp {x8} esp {x8}\n", frame.esi, frame.edi, frame.ebp, frame.esp);
  print_code_address(*out, frame.eip);
  print_back_trace(*out, frame.ebp);
  exit_machine(ExitCode::panic);
}

}  // namespace undercroft::x86
