// MOVs of kernel code that fault again and again at the same places: of device registers, and to
// watched frames such as page tables. They are done within the page fault, without the interpreter
// and without leaving the cache.
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

// What cache_.point_at says, found sooner for a MOV that has faulted before.
std::optional<CachePoint> Monitor::faulting_point() const {
  const DeviceMove& move = device_moves_[context_.eip % device_moves_.size()];
  if (move.address == context_.eip && move.generation == cache_.generation()) {
    return CachePoint{move.eip, PointState::boundary};
  }
  return cache_.point_at(context_.eip);
}

// The MOV that has faulted, if it is one of those and its operand is where the fault was; the Vcpu
// has the general registers then.
const Monitor::DeviceMove* Monitor::move_at_once(bool write) {
  if (stepping_ || vcpu_.cpl != 0 || context_.fault_address % 4 != 0) return nullptr;
  const DeviceMove* const move = device_move(context_.eip);
  if (!move || writes_memory(move->instruction) != write) return nullptr;
  const Instruction& i = move->instruction;
  save_general_registers(context_, vcpu_);
  const std::uint32_t operand = vcpu_[i.segment].base + i.memory.offset(vcpu_.general);
  return operand == context_.fault_address ? move : nullptr;
}

std::uint32_t Monitor::stored_value(const Instruction& i) const {
  const bool constant = i.operands[1].kind == OperandKind::immediate;
  return constant ? i.immediate : vcpu_[register_of(i, i.operands[1])];
}

void Monitor::finish_move(const Instruction& i) {
  context_.eip += i.length;
  context_.eflags &= ~eflags::resume;
}

// Where the guest stands then, if it is done; context_ is behind the instruction, and so is the
// guest. The page must be one that the interpreter has met: then the guest's tables allow the
// access, with A and D as it needs.
std::optional<std::uint32_t> Monitor::access_device_at_once() {
  const GuestLinear address(context_.fault_address);
  const bool write = context_.error_code & page_fault_code::write;
  if (address.value() % 4 != 0 || shadow_.hides(address)) return std::nullopt;
  const auto device = linear_.known_device(address, write);
  if (!device) return std::nullopt;
  const DeviceMove* const move = move_at_once(write);
  if (!move) return std::nullopt;
  const Instruction& i = move->instruction;
  if (write) {
    vm_.pc.memory_write(*device, stored_value(i), 4);
  } else {
    vcpu_[register_of(i, i.operands[0])] = vm_.pc.memory_read(*device, 4);
    load_general_registers(context_, vcpu_);
  }
  ++statistics_.guest_faults;
  ++statistics_.page_faults[static_cast<unsigned>(PageFaultCause::device)];
  finish_move(i);
  return move->eip + i.length;
}

// A write that classify has found to be one of a watched frame, which the guest may make. False:
// nothing is done.
bool Monitor::write_watched_at_once(const Walk& walk) {
  const bool by_tables = walk.level != WalkLevel::no_tables;
  if (by_tables && !(walk.accessed && walk.dirty)) return false;
  if (shadow_.hides(GuestLinear(context_.fault_address))) return false;
  const DeviceMove* const move = move_at_once(true);
  if (!move) return false;
  const Instruction i = move->instruction;  // the watchers may drop the code
  vm_.memory.write(walk.address, stored_value(i), 4);
  finish_move(i);
  return true;
}

}  // namespace undercroft
