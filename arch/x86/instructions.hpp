// Single processor instructions that C++ has no name for (SDM volume 2). instructions.S implements
// them; what they are good for is their callers' business.
#pragma once

#include <cstdint>

namespace undercroft::x86 {

extern "C" {
std::uint8_t port_in_8(std::uint16_t port);
std::uint16_t port_in_16(std::uint16_t port);
std::uint32_t port_in_32(std::uint16_t port);
void port_out_8(std::uint16_t port, std::uint8_t value);
void port_out_16(std::uint16_t port, std::uint16_t value);
void port_out_32(std::uint16_t port, std::uint32_t value);

std::uint64_t read_time_stamp();
std::uint32_t read_random();  // RDRAND, if CPUID has it; 0 if it has no number at the moment
// result: eax, ebx, ecx, edx.
void read_cpuid(std::uint32_t leaf, std::uint32_t subleaf, std::uint32_t* result);
std::uint64_t read_msr(std::uint32_t index);
std::uint64_t read_msr_or_zero(std::uint32_t index);  // 0 where there is no such register
void write_msr(std::uint32_t index, std::uint32_t low, std::uint32_t high);

std::uint32_t read_cr0();
std::uint32_t read_cr2();
std::uint32_t read_cr3();
std::uint32_t read_cr4();
void write_cr0(std::uint32_t value);
void write_cr3(std::uint32_t value);
void write_cr4(std::uint32_t value);

std::uint32_t take_dr6();  // reads DR6 and clears its bits

// Whether these bits of EFLAGS can be changed (SDM volume 1, 20.1): ID tells of CPUID.
bool can_toggle_flags(std::uint32_t bits);

// Drops the TLB entry of a window offset, and of any linear address.
void invalidate_offset(std::uint32_t offset);
void invalidate_linear(std::uint32_t address);

// limit and base as LGDT and LIDT take them; load_descriptor_table also reloads CS, DS, ES and SS.
void load_descriptor_table(std::uint16_t limit, std::uint32_t base);
void load_interrupt_table(std::uint16_t limit, std::uint32_t base);
void load_local_table(std::uint16_t selector);
void load_task_register(std::uint16_t selector);

// STI, HLT, CLI: returns after one interrupt has been handled.
void halt_until_interrupt();
void allow_interrupts();  // for one instruction
[[noreturn]] void halt_for_ever();
}

}  // namespace undercroft::x86
