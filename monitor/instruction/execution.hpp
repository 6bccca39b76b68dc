// One instruction under way: its operands, the stack, and what the instruction decides for the
// boundary behind it. Internal to the interpreter; each family of instructions is a function over
// an Execution. The rule that keeps faults precise: everything that can raise an exception comes
// before the first change of a register.
#pragma once

#include <cstdint>

#include "../environment.hpp"
#include "../exception.hpp"
#include "../interrupts.hpp"
#include "../memory/linear_memory.hpp"
#include "../segment/linear_address.hpp"
#include "../vcpu.hpp"
#include "arithmetic.hpp"
#include "instruction.hpp"

namespace undercroft {

struct Execution {
  Vcpu& vcpu;
  LinearMemory& memory;
  Environment& environment;
  const Instruction& instruction;

  // What the driver commits when the instruction has succeeded.
  std::uint32_t next_eip;
  InterruptShadow shadow = InterruptShadow::none;
  bool transferred = false;  // EIP is set already, by a far transfer
  bool keep_resume = false;  // RF is as the instruction left it (IRET, task switch)
  bool unfinished = false;   // a string instruction that goes on
  bool halts = false;
  bool unsupported = false;
  bool software_event = false;  // of event_kind and event_vector, to be delivered by the caller
  Event::Kind event_kind = Event::Kind::software_interrupt;
  std::uint8_t event_vector = 0;
  bool task_trap = false;

  // Registers by number and width; of width 1, 4 to 7 are AH CH DH BH.
  std::uint32_t register_value(unsigned number, unsigned width) const {
    if (width == 4) return vcpu.general[number];
    if (width == 2) return vcpu.general[number] & 0xffff;
    return vcpu.general[number & 3] >> (number & 4) * 2 & 0xff;
  }
  void set_register(unsigned number, std::uint32_t value, unsigned width) {
    if (width == 4) {
      vcpu.general[number] = value;
      return;
    }
    const unsigned shift = width == 1 ? (number & 4) * 2 : 0;
    const unsigned index = width == 1 ? number & 3 : number;
    const std::uint32_t mask = arithmetic::mask(width) << shift;
    vcpu.general[index] = (vcpu.general[index] & ~mask) | (value << shift & mask);
  }
  std::uint32_t accumulator(unsigned width) const { return register_value(0, width); }
  void set_accumulator(std::uint32_t value, unsigned width) { set_register(0, value, width); }

  bool flag(std::uint32_t bit) const { return vcpu.eflags & bit; }
  // Replaces the flags in `which` by those in `flags`.
  void set_flags(std::uint32_t flags, std::uint32_t which = eflags::arithmetic) {
    vcpu.eflags = (vcpu.eflags & ~which) | (flags & which);
  }

  const Operand& operand(unsigned index) const { return instruction.operands[index]; }
  Privilege privilege() const { return vcpu.cpl == 3 ? Privilege::user : Privilege::supervisor; }
  std::uint32_t address_mask() const { return instruction.address_size == 4 ? ~0u : 0xffffu; }

  // Segment checks, then #AC. `size` bytes are accessed; `alignment` is what #AC asks for.
  Guarded<GuestLinear> linear(Segment segment, std::uint32_t offset, unsigned size, Access access,
                              unsigned alignment) const {
    const GuestLinear address = TRY(linear_address(vcpu, segment, offset, size, access));
    if (address.value() & (alignment - 1)) [[unlikely]]
      TRY(alignment_fault());
    return address;
  }
  Guarded<GuestLinear> linear(Segment segment, std::uint32_t offset, unsigned size,
                              Access access) const {
    return linear(segment, offset, size, access, size);
  }
  // Of the instruction's memory operand, `displacement` bytes on.
  Guarded<GuestLinear> memory_operand(unsigned size, Access access,
                                      std::uint32_t displacement = 0) const {
    return linear(instruction.segment, memory_offset(displacement), size, access);
  }
  std::uint32_t memory_offset(std::uint32_t displacement = 0) const {
    return (instruction.memory.offset(vcpu.general) + displacement) & address_mask();
  }

  Guarded<std::uint32_t> load(Segment segment, std::uint32_t offset, unsigned size) const {
    const GuestLinear address = TRY(linear(segment, offset, size, Access::read));
    return memory.read(address, size, privilege());
  }
  Guarded<Done> store(Segment segment, std::uint32_t offset, std::uint32_t value, unsigned size) {
    const GuestLinear address = TRY(linear(segment, offset, size, Access::write));
    return memory.write(address, value, size, privilege());
  }

  // An operand's value, zero-extended from its width.
  Guarded<std::uint32_t> read(const Operand&) const;
  Guarded<Done> write(const Operand&, std::uint32_t value);

  // Read-modify-write: open reads the old value and raises what the write would raise, so that
  // close cannot fail on a page.
  struct Opened {
    std::uint32_t value = 0;
    GuestLinear address{};
  };
  Guarded<Opened> open(const Operand&) const;
  Guarded<Done> close(const Operand&, const Opened&, std::uint32_t value);

  // The stack as SS.B says. A frame of several items is probed whole, then written.
  std::uint32_t stack_mask() const { return vcpu[Segment::ss].is_32_bit() ? ~0u : 0xffffu; }
  std::uint32_t stack_pointer() const { return vcpu[Register::esp] & stack_mask(); }
  void set_stack_pointer(std::uint32_t value) {
    std::uint32_t& esp = vcpu[Register::esp];
    esp = (esp & ~stack_mask()) | (value & stack_mask());
  }
  Guarded<std::uint32_t> peek(std::uint32_t displacement, unsigned size) const {
    return load(Segment::ss, (stack_pointer() + displacement) & stack_mask(), size);
  }
  Guarded<Done> poke(std::uint32_t displacement, std::uint32_t value, unsigned size) {
    return store(Segment::ss, (stack_pointer() + displacement) & stack_mask(), value, size);
  }
  Guarded<Done> probe_stack(std::uint32_t displacement, unsigned size) const;
  Guarded<Done> push(std::uint32_t value, unsigned size) {
    TRY(poke(0 - size, value, size));
    set_stack_pointer(stack_pointer() - size);
    return Done{};
  }

  // A near branch: the target is checked against the limit of CS.
  Guarded<Done> branch(std::uint32_t target) {
    if (instruction.operand_size == 2) target &= 0xffff;
    if (target > vcpu[Segment::cs].limit) return Failure{Exception::general_protection()};
    next_eip = target;
    return Done{};
  }

  // For operations that a family does not know: the driver sent them wrongly.
  Guarded<Done> unknown() {
    unsupported = true;
    return Done{};
  }
  Guarded<Done> require_cpl0() const {
    if (vcpu.cpl != 0) return Failure{Exception::general_protection()};
    return Done{};
  }
  // Instructions that exist in protected mode only.
  Guarded<Done> require_protected_mode() const {
    if (!vcpu.protected_mode() || vcpu.virtual_8086()) return Failure{Exception::invalid_opcode()};
    return Done{};
  }

 private:
  Guarded<Done> alignment_fault() const;
};

// The families. Each takes an instruction of its own operations only.
namespace execute {
Guarded<Done> arithmetic(Execution&);  // binary and unary arithmetic and logic
Guarded<Done> shift(Execution&);       // shifts, rotates, double shifts
Guarded<Done> multiply(Execution&);    // MUL IMUL DIV IDIV
Guarded<Done> decimal(Execution&);
Guarded<Done> bits(Execution&);       // BT BTS BTR BTC BSF BSR BSWAP POPCNT CRC32
Guarded<Done> move(Execution&);       // MOV and its kin, exchanges, CMOVcc, SETcc
Guarded<Done> flags(Execution&);      // LAHF SAHF CLC ..., PUSHF POPF CLI STI
Guarded<Done> stack(Execution&);      // PUSH POP PUSHA POPA ENTER LEAVE
Guarded<Done> branch(Execution&);     // near branches, BOUND
Guarded<Done> string(Execution&);     // MOVS CMPS STOS LODS SCAS INS OUTS
Guarded<Done> port(Execution&);       // IN OUT
Guarded<Done> segment(Execution&);    // segment registers, far transfers, system segments
Guarded<Done> table(Execution&);      // SGDT SIDT LGDT LIDT SMSW LMSW CLTS, CR and DR moves
Guarded<Done> processor(Execution&);  // CPUID, MSRs, time stamp, HLT, caches
Guarded<Done> native(Execution&);     // x87, MMX, SSE

// #GP(0) unless the I/O privilege level or the I/O permission bitmap allows the port.
Guarded<Done> check_port(const Execution&, std::uint16_t port, unsigned size);
}  // namespace execute

}  // namespace undercroft
