// Control and debug registers, GDTR and IDTR: SDM volume 2, the instructions; volume 3, 2.5 and
// 17.2. Whoever depends on a register hears of the change through the Environment.
#include "execution.hpp"

namespace undercroft::execute {

namespace {

constexpr std::uint32_t cr0_defined =
    cr0::protection_enable | cr0::monitor_coprocessor | cr0::emulation | cr0::task_switched |
    cr0::extension_type | cr0::numeric_error | cr0::write_protect | cr0::alignment_mask |
    cr0::not_write_through | cr0::cache_disable | cr0::paging;
constexpr std::uint32_t cr0_paging = cr0::protection_enable | cr0::write_protect | cr0::paging;
constexpr std::uint32_t cr0_controls =
    cr0::monitor_coprocessor | cr0::emulation | cr0::task_switched | cr0::alignment_mask;
constexpr std::uint32_t cr4_paging =
    cr4::page_size_extensions | cr4::physical_address_extension | cr4::page_global_enable;
// A change of these latches the PAE pointers anew.
constexpr std::uint32_t cr0_pointers = cr0::not_write_through | cr0::cache_disable | cr0::paging;
constexpr std::uint32_t cr4_controls = cr4::os_fxsr | cr4::os_simd_exceptions |
                                       cr4::time_stamp_disable |
                                       cr4::user_mode_instruction_prevention;

// With these values in the registers (SDM volume 3, 4.4.1). Whether the pointers are others now.
Guarded<bool> latch_pointers(Execution& x, std::uint32_t cr0, std::uint32_t cr4,
                             std::uint32_t cr3) {
  if (!(cr0 & cr0::paging) || !(cr4 & cr4::physical_address_extension)) return false;
  const auto pointers = x.environment.page_pointers(cr3);
  if (!pointers) return Failure{Exception::general_protection()};
  const bool changed = x.vcpu.pdptes != *pointers;
  x.vcpu.pdptes = *pointers;
  return changed;
}

// Reserved bits of CR0 are ignored; ET is 1 always.
Guarded<Done> load_cr0(Execution& x, std::uint32_t value) {
  value = (value & cr0_defined) | cr0::extension_type;
  const bool paging_unprotected = (value & cr0::paging) && !(value & cr0::protection_enable);
  const bool uncached_mismatch = (value & cr0::not_write_through) && !(value & cr0::cache_disable);
  if (paging_unprotected || uncached_mismatch) return Failure{Exception::general_protection()};
  const std::uint32_t changed = x.vcpu.cr0 ^ value;
  bool paging_changed = changed & cr0_paging;
  if (changed & cr0_pointers)
    paging_changed |= TRY(latch_pointers(x, value, x.vcpu.cr4, x.vcpu.cr3));
  x.vcpu.cr0 = value;
  if (paging_changed) x.environment.paging_changed(x.vcpu);
  if (changed & cr0_controls) x.environment.fpu_control_changed(x.vcpu);
  return Done{};
}

Guarded<Done> load_cr4(Execution& x, std::uint32_t value) {
  if (value & ~x.environment.cr4_allowed()) return Failure{Exception::general_protection()};
  const std::uint32_t changed = x.vcpu.cr4 ^ value;
  if (changed & cr4_paging) TRY(latch_pointers(x, x.vcpu.cr0, value, x.vcpu.cr3));
  x.vcpu.cr4 = value;
  if (changed & cr4_paging) x.environment.paging_changed(x.vcpu);
  if (changed & cr4_controls) x.environment.fpu_control_changed(x.vcpu);
  return Done{};
}

// The general register is 32 bits wide whatever the operand size.
Guarded<Done> move_control_register(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  const unsigned number = x.instruction.reg();
  if (number == 1 || number > 4) return Failure{Exception::invalid_opcode()};
  TRY(x.require_cpl0());
  std::uint32_t& general = vcpu.general[x.instruction.rm()];
  if (x.instruction.operation == Operation::mov_from_cr) {
    const std::uint32_t values[] = {vcpu.cr0, 0, vcpu.cr2, vcpu.cr3, vcpu.cr4};
    general = values[number];
    return Done{};
  }
  if (number == 0) return load_cr0(x, general);
  if (number == 4) return load_cr4(x, general);
  if (number == 2) {
    vcpu.cr2 = general;
  } else {
    TRY(latch_pointers(x, vcpu.cr0, vcpu.cr4, general));
    vcpu.cr3 = general;
    x.environment.page_root_loaded(vcpu);
  }
  return Done{};
}

// Bits that cannot be changed (SDM volume 3, 17.2.3 and 17.2.4).
constexpr std::uint32_t dr6_ones = 0xffff0ff0, dr6_writable = 0x0000e00f;
constexpr std::uint32_t dr7_ones = 0x00000400, dr7_writable = 0xffff23ff;
constexpr std::uint32_t dr6_access_detected = 1u << 13, dr7_general_detect = 1u << 13;

// DR4 and DR5 are DR6 and DR7 unless CR4.DE is set. DR7.GD turns every access into #DB, told by
// DR6.BD; delivery clears GD.
Guarded<Done> move_debug_register(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  unsigned number = x.instruction.reg();
  if (number == 4 || number == 5) {
    if (vcpu.cr4 & cr4::debugging_extensions) return Failure{Exception::invalid_opcode()};
    number += 2;
  }
  TRY(x.require_cpl0());
  if (vcpu.dr7 & dr7_general_detect) {
    vcpu.dr6 |= dr6_access_detected;
    return Failure{Exception::without_code(Vector::debug)};
  }
  std::uint32_t& general = vcpu.general[x.instruction.rm()];
  if (x.instruction.operation == Operation::mov_from_dr) {
    general = number < 4 ? vcpu.breakpoints[number] : number == 6 ? vcpu.dr6 : vcpu.dr7;
    return Done{};
  }
  if (number < 4) {
    vcpu.breakpoints[number] = general;
  } else if (number == 6) {
    vcpu.dr6 = (general & dr6_writable) | dr6_ones;
  } else {
    vcpu.dr7 = (general & dr7_writable) | dr7_ones;
  }
  x.environment.debug_registers_changed(vcpu);
  return Done{};
}

Guarded<Done> check_user_mode_prevention(const Execution& x) {
  if (x.vcpu.cpl != 0 && (x.vcpu.cr4 & cr4::user_mode_instruction_prevention)) {
    return Failure{Exception::general_protection()};
  }
  return Done{};
}

// The pseudo-descriptor: 16 bits of limit, 32 of base, stored whole for either operand size.
Guarded<Done> store_table(Execution& x, const TableRegister& table) {
  TRY(check_user_mode_prevention(x));
  const Segment segment = x.instruction.segment;
  const std::uint32_t offset = x.memory_offset();
  const GuestLinear address = TRY(x.linear(segment, offset, 6, Access::write, 2));
  TRY(x.linear(segment, x.memory_offset(2), 4, Access::write));
  TRY(x.memory.probe_write(address, 6, x.privilege()));
  TRY(x.store(segment, offset, table.limit, 2));
  return x.store(segment, x.memory_offset(2), table.base.value(), 4);
}

// With a 16-bit operand the base has 24 bits.
Guarded<TableRegister> load_table(Execution& x) {
  TRY(x.require_cpl0());
  const Segment segment = x.instruction.segment;
  const std::uint32_t limit = TRY(x.load(segment, x.memory_offset(), 2));
  const std::uint32_t base = TRY(x.load(segment, x.memory_offset(2), 4));
  const std::uint32_t mask = x.instruction.operand_size == 4 ? ~0u : 0xffffff;
  return TableRegister{GuestLinear(base & mask), static_cast<std::uint16_t>(limit)};
}

// SMSW: to a register in the operand size (CR0 whole), to memory 16 bits.
Guarded<Done> store_machine_status(Execution& x) {
  TRY(check_user_mode_prevention(x));
  if (x.instruction.has_memory) {
    return x.store(x.instruction.segment, x.memory_offset(), x.vcpu.cr0 & 0xffff, 2);
  }
  x.set_register(x.instruction.rm(), x.vcpu.cr0, x.instruction.operand_size);
  return Done{};
}

// LMSW loads PE, MP, EM and TS, and cannot clear PE.
Guarded<Done> load_machine_status(Execution& x) {
  TRY(x.require_cpl0());
  Operand operand = x.operand(0);
  operand.width = 2;
  const std::uint32_t source = TRY(x.read(operand)) & 0xf;
  const std::uint32_t kept = x.vcpu.cr0 & ~std::uint32_t{0xe};
  return load_cr0(x, kept | source);
}

}  // namespace

Guarded<Done> table(Execution& x) {
  Vcpu& vcpu = x.vcpu;
  switch (x.instruction.operation) {
    case Operation::mov_from_cr:
    case Operation::mov_to_cr:
      return move_control_register(x);
    case Operation::mov_from_dr:
    case Operation::mov_to_dr:
      return move_debug_register(x);
    case Operation::sgdt:
      return store_table(x, vcpu.gdtr);
    case Operation::sidt:
      return store_table(x, vcpu.idtr);
    case Operation::lidt:
      vcpu.idtr = TRY(load_table(x));
      return Done{};
    case Operation::lgdt:
      vcpu.gdtr = TRY(load_table(x));
      x.environment.descriptor_tables_changed(vcpu);
      return Done{};
    case Operation::smsw:
      return store_machine_status(x);
    case Operation::lmsw:
      return load_machine_status(x);
    case Operation::clts:
      TRY(x.require_cpl0());
      return load_cr0(x, vcpu.cr0 & ~cr0::task_switched);
    default:
      return x.unknown();
  }
}

}  // namespace undercroft::execute
