// Which device of the PC drives which interrupt line.
#pragma once

namespace undercroft::pc_lines {

inline constexpr unsigned irq_timer = 0;
inline constexpr unsigned irq_keyboard = 1;
inline constexpr unsigned irq_serial = 4;
inline constexpr unsigned irq_clock = 8;
inline constexpr unsigned irq_acpi = 9;
inline constexpr unsigned irq_mouse = 12;
inline constexpr unsigned irq_fpu = 13;

// Lines of the I/O APIC have the numbers of the ISA lines, but for the timer's, which is where the
// cascade would be, and pin 0, where the 8259 is.
inline constexpr unsigned external_pin = 0;
inline constexpr unsigned timer_pin = 2;

}  // namespace undercroft::pc_lines
