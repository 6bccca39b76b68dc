// x87, MMX and SSE. The interpreter does what is the guest's: who may run them (#UD, #NM), and the
// segment, alignment and pages of the memory operand. The processor does the rest, with a copy of
// the operand (Environment::run_native).
#include <cstring>
#include <span>

#include "execution.hpp"

namespace undercroft::execute {

namespace {

constexpr std::uint16_t masked_move = opcode_map::two_byte | 0xf7;  // MASKMOVQ, MASKMOVDQU

// Room for any memory operand; aligned, since SSE asks for it.
struct Buffer {
  alignas(16) std::array<std::uint8_t, NativeResult::most_bytes> bytes;
};

// SDM volume 3, tables 2-2, 12-1 and 13-1.
Guarded<Done> check_available(const Execution& x) {
  const std::uint32_t cr0 = x.vcpu.cr0;
  const bool emulated = cr0 & cr0::emulation;
  const bool switched = cr0 & cr0::task_switched;
  const Exception no_device = Exception::without_code(Vector::device_not_available);
  switch (x.instruction.operation) {
    case Operation::fwait:
      if (switched && (cr0 & cr0::monitor_coprocessor)) return Failure{no_device};
      return Done{};
    case Operation::mmx:
      if (emulated) return Failure{Exception::invalid_opcode()};
      break;
    case Operation::sse:
      if (emulated || !(x.vcpu.cr4 & cr4::os_fxsr)) return Failure{Exception::invalid_opcode()};
      break;
    default:  // x87, FXSAVE, FXRSTOR
      if (emulated) return Failure{no_device};
      break;
  }
  if (switched) return Failure{no_device};
  return Done{};
}

// Whether the instruction first raises #MF for an error that is pending (SDM volume 1, 8.6).
bool waits(const Instruction& instruction) {
  constexpr std::uint16_t store_control = 0xd9, store_status = 0xdd;  // with reg 7
  switch (instruction.operation) {
    case Operation::fpu:
      return instruction.reg() != 7 ||
             (instruction.opcode != store_control && instruction.opcode != store_status);
    case Operation::mmx:
      return true;
    default:
      return false;
  }
}

// What #AC asks of the operand (SDM volume 3, table 6-7).
unsigned alignment(unsigned bytes) {
  switch (bytes) {
    case 10:
      return 8;
    case 14:
    case 94:
      return 2;
    case 28:
    case 108:
      return 4;
    default:
      return bytes <= 16 ? bytes : 16;
  }
}

// The pieces in which an operand goes through guest memory.
constexpr unsigned piece(std::size_t left) { return left >= 4 ? 4 : left >= 2 ? 2 : 1; }

Guarded<Done> read_operand(const Execution& x, GuestLinear address, std::span<std::uint8_t> bytes) {
  for (std::uint32_t at = 0; at < bytes.size();) {
    const unsigned size = piece(bytes.size() - at);
    const std::uint32_t value = TRY(x.memory.read(address + at, size, x.privilege()));
    std::memcpy(&bytes[at], &value, size);
    at += size;
  }
  return Done{};
}

Guarded<Done> write_operand(Execution& x, GuestLinear address,
                            std::span<const std::uint8_t> bytes) {
  for (std::uint32_t at = 0; at < bytes.size();) {
    const unsigned size = piece(bytes.size() - at);
    std::uint32_t value = 0;
    std::memcpy(&value, &bytes[at], size);
    TRY(x.memory.write(address + at, value, size, x.privilege()));
    at += size;
  }
  return Done{};
}

// Where the operand is, with everything raised that stands between it and the processor, and the
// operand in the buffer if it is read.
Guarded<GuestLinear> open_operand(const Execution& x, std::span<std::uint8_t> bytes) {
  const Instruction& instruction = x.instruction;
  const bool modifies = instruction.operation == Operation::fxsave;
  const bool writes = instruction.stores_memory() || modifies;
  const auto size = static_cast<unsigned>(bytes.size());
  const bool aligned = instruction.needs_alignment();
  const GuestLinear address =
      TRY(x.linear(instruction.segment, x.memory_offset(), size,
                   writes ? Access::write : Access::read, aligned ? 1 : alignment(size)));
  if (aligned && (address.value() & 15)) return Failure{Exception::general_protection()};
  if (writes) TRY(x.memory.probe_write(address, size, x.privilege()));
  if (!instruction.stores_memory()) TRY(read_operand(x, address, bytes));
  return address;
}

// An x87 store whose result is an unmasked error is not made, but for one that is only inexact (SDM
// volume 1, 8.5). The error itself is raised by the next instruction.
bool stored(const Instruction& instruction, const NativeResult& result) {
  constexpr unsigned errors = 0x1f;  // without the one for an inexact result
  if (instruction.operation != Operation::fpu) return true;
  return !waits(instruction) || !(result.fpu_status & ~result.fpu_control & errors);
}

Guarded<Done> with_memory(Execution& x) {
  Buffer buffer;
  const auto bytes = std::span(buffer.bytes).first(x.instruction.memory_width);
  const auto address = open_operand(x, bytes);
  if (!address.ok()) {
    // An error that is pending comes before a fault of the operand.
    constexpr Instruction wait{.operation = Operation::fwait, .length = 1, .opcode = 0x9b};
    if (waits(x.instruction)) TRY(x.environment.run_native(x.vcpu, wait, {}));
    return Failure{address.error()};
  }
  const NativeResult result = TRY(x.environment.run_native(x.vcpu, x.instruction, bytes));
  if (x.instruction.operation == Operation::fxsave) {
    // The processor does not write the rest (SDM volume 2, FXSAVE).
    constexpr unsigned written_by_fxsave = 464;
    return write_operand(x, address.value(), bytes.first(written_by_fxsave));
  }
  if (!x.instruction.stores_memory() || !stored(x.instruction, result)) return Done{};
  return write_operand(x, address.value(), bytes);
}

// MASKMOVQ and MASKMOVDQU write some of the bytes at DS:EDI. Which, two runs tell: what they leave
// alone is what was there.
Guarded<Done> masked(Execution& x) {
  const unsigned size = x.instruction.operation == Operation::mmx ? 8 : 16;
  const std::uint32_t offset = x.vcpu[Register::edi] & x.address_mask();
  const GuestLinear address = TRY(x.linear(x.instruction.segment, offset, size, Access::write));
  TRY(x.memory.probe_write(address, size, x.privilege()));
  Buffer over_zeros, over_ones;
  over_zeros.bytes.fill(0);
  over_ones.bytes.fill(0xff);
  for (Buffer* buffer : {&over_zeros, &over_ones}) {
    TRY(x.environment.run_native(x.vcpu, x.instruction, std::span(buffer->bytes).first(size)));
  }
  for (unsigned at = 0; at < size; ++at) {
    const std::uint8_t value = over_zeros.bytes[at];
    if (value == over_ones.bytes[at]) TRY(x.memory.write(address + at, value, 1, x.privilege()));
  }
  return Done{};
}

}  // namespace

Guarded<Done> native(Execution& x) {
  TRY(check_available(x));
  if (x.instruction.opcode == masked_move) return masked(x);
  if (x.instruction.memory_width != 0) return with_memory(x);
  TRY(x.environment.run_native(x.vcpu, x.instruction, {}));
  return Done{};
}

}  // namespace undercroft::execute
