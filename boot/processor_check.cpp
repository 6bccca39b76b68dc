// Whether the processor can run the monitor at all: looked at first of all, before anything that
// was compiled for such a processor. This file is compiled for a 486 (cmake/image.cmake), and calls
// nothing but single instructions. What the processor lacks is told on the serial line and the text
// screen.
#include "arch/x86/instructions.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::boot {
namespace {

using x86::port_in_8;
using x86::port_out_8;

constexpr std::uint32_t leaf_1 = 1, identification_flag = 1u << 21;

// Leaf 1, EDX (SDM volume 2, CPUID). CMOV is what the compiler uses; all that have it have the
// rest.
struct Feature {
  unsigned bit;
  const char* name;
};
constexpr Feature needed[] = {{4, "a time stamp counter (TSC)"},
                              {5, "model-specific registers (MSR)"},
                              {15, "conditional moves (CMOV)"}};

void put_serial(char c) {
  constexpr std::uint16_t base = 0x3f8;
  constexpr unsigned patience = 20000;
  for (unsigned i = 0; i < patience && !(port_in_8(base + 5) & 0x20); ++i) {
  }
  port_out_8(base, static_cast<std::uint8_t>(c));
}

void open_serial() {
  constexpr std::uint16_t base = 0x3f8;
  port_out_8(base + 1, 0);
  port_out_8(base + 3, 0x80);  // divisor latch
  port_out_8(base, 1);         // 115200 baud
  port_out_8(base + 1, 0);
  port_out_8(base + 3, 0x03);  // 8N1
}

// Text from a line of the screen on. Paging is off, and segments begin at image_physical.
struct Report {
  volatile std::uint16_t* cell =
      reinterpret_cast<volatile std::uint16_t*>(0xb8000 - window::image_physical);
  void operator()(const char* text) {
    for (; *text; ++text) {
      put_serial(*text);
      if (*text >= ' ') *cell++ = static_cast<std::uint16_t>(0x0f00 | *text);
    }
  }
};

[[noreturn]] void refuse(const char* what) {
  open_serial();
  Report report;
  report("undercroft: this processor is too old: it lacks ");
  report(what);
  report("\r\n");
  constexpr std::uint8_t boot_refused = 0x14;
  port_out_8(0xf4, boot_refused);
  x86::halt_for_ever();
}

}  // namespace

extern "C" void check_processor() {
  if (!x86::can_toggle_flags(identification_flag)) refuse("CPUID");
  std::uint32_t registers[4];
  x86::read_cpuid(0, 0, registers);
  const bool has_leaf = registers[0] >= leaf_1;
  if (has_leaf) x86::read_cpuid(leaf_1, 0, registers);
  for (const Feature& feature : needed) {
    if (!has_leaf || !(registers[3] >> feature.bit & 1)) refuse(feature.name);
  }
  x86::write_cr4(0);  // whatever the firmware has used; paging is off
}

}  // namespace undercroft::boot
