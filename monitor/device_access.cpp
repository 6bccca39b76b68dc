// Device registers that kernel code reads and writes by MOV, again and again at the same places:
// done within the page fault, without the interpreter and without leaving the cache.
#include "general_registers.hpp"
#include "instruction/decoder.hpp"
#include "monitor.hpp"

namespace undercroft {
namespace {

constexpr unsigned longest_instruction = 15;

// A MOV of 32 bits between memory and a register, or of a constant to memory.
bool is_plain_move(const Instruction& i) {
  return i.operation == Operation::mov && i.has_memory && i.memory_width == 4 &&
         i.operand_size == 4 && i.address_size == 4 && i.prefix_count == 0;
}

bool writes_memory(const Instruction& i) {
  return i.operands[0].kind == OperandKind::rm || i.operands[0].kind == OperandKind::memory;
}

Register register_of(const Instruction& i, const Operand& operand) {
  return operand.kind == OperandKind::reg ? static_cast<Register>(i.reg()) : Register::eax;
}

}  // namespace

// What stands at a cache address at which a copied instruction has faulted; nothing if it is not
// such a MOV, or in the midst of a sequence.
const Monitor::DeviceMove* Monitor::device_move(std::uint32_t address) {
  DeviceMove& move = device_moves_[address % device_moves_.size()];
  if (move.address == address && move.generation == cache_.generation()) return &move;
  const auto point = cache_.point_at(address);
  if (!point || point->state != PointState::boundary) return nullptr;
  const auto decoded = decode(cache_.bytes_at(address, longest_instruction), true);
  if (!decoded || !is_plain_move(decoded.value())) return nullptr;
  move = {address, cache_.generation(), point->eip, decoded.value()};
  return &move;
}

// Where the guest stands then, if it is done; context_ is behind the instruction, and so is the
// guest. The page must be one that the interpreter has met: then the guest's tables allow the
// access, with A and D as it needs.
std::optional<std::uint32_t> Monitor::access_device_at_once() {
  if (stepping_ || vcpu_.cpl != 0) return std::nullopt;
  const GuestLinear address(context_.fault_address);
  const bool write = context_.error_code & page_fault_code::write;
  if (address.value() % 4 != 0 || shadow_.hides(address)) return std::nullopt;
  const auto device = linear_.known_device(address, write);
  if (!device) return std::nullopt;
  const DeviceMove* const move = device_move(context_.eip);
  if (!move) return std::nullopt;
  const Instruction& i = move->instruction;
  save_general_registers(context_, vcpu_);
  const std::uint32_t wanted = vcpu_[i.segment].base + i.memory.offset(vcpu_.general);
  if (wanted != address.value() || writes_memory(i) != write) return std::nullopt;
  if (!write) {
    vcpu_[register_of(i, i.operands[0])] = vm_.pc.memory_read(*device, 4);
    load_general_registers(context_, vcpu_);
  } else if (i.operands[1].kind == OperandKind::immediate) {
    vm_.pc.memory_write(*device, i.immediate, 4);
  } else {
    vm_.pc.memory_write(*device, vcpu_[register_of(i, i.operands[1])], 4);
  }
  ++statistics_.guest_faults;
  ++statistics_.page_faults[static_cast<unsigned>(PageFaultCause::device)];
  context_.eip += i.length;
  context_.eflags &= ~eflags::resume;
  return move->eip + i.length;
}

}  // namespace undercroft
