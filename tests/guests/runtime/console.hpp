// Text on COM1 and the end of a run. Every line begins with "| ", so that a transcript can be told
// from what else is said on the line.
#pragma once

#include "cpu.hpp"

namespace guest {

struct Hex {
  u32 value;
  unsigned digits;
};
constexpr Hex hex(u32 value, unsigned digits = 8) { return {value, digits}; }

void put(const char* text);
void put(char character);
void put(Hex number);
void put(u32 decimal);
inline void put(int decimal) { put(static_cast<u32>(decimal)); }
inline void put(u8 decimal) { put(static_cast<u32>(decimal)); }
inline void put(u16 decimal) { put(static_cast<u32>(decimal)); }
inline void put(bool value) { put(value ? "yes" : "no"); }
void put(const Trap& trap);  // vector, error code, CR2 of a page fault, saved EIP and CS

template <class... Parts>
void print(const Parts&... parts) {
  (put(parts), ...);
}
template <class... Parts>
void line(const Parts&... parts) {
  (put(parts), ...);
  put('\n');
}

// Prints and counts a failure unless the condition holds.
void check(bool condition, const char* what);

// Ends the machine: QEMU by isa-debug-exit, with status 65 if every check held, else 67; Bochs by
// its "Shutdown" port.
[[noreturn]] void finish();

}  // namespace guest
