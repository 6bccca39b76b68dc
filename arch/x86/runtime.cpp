// What the compiler and the standard headers call when the program has a bug.
#include <cstddef>

#include "panic.hpp"

using undercroft::x86::panic;

extern "C" {
[[noreturn]] void __cxa_pure_virtual();
[[noreturn]] void abort();
void __cxa_pure_virtual() { panic("pure virtual function called"); }
void abort() { panic("abort called"); }
}

namespace std {
[[noreturn]] void __throw_out_of_range_fmt(const char*, ...);
void __throw_out_of_range_fmt(const char*, ...) { panic("position out of range"); }
}  // namespace std
