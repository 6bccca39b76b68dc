#include "pci_bus.hpp"

#include "pci_chipset.hpp"

namespace undercroft {
namespace {

// Offsets in a configuration space (PCI 2.1, figure 6-1).
constexpr unsigned vendor_id = 0x00, device_id = 0x02, command = 0x04, status = 0x06;
constexpr unsigned revision_id = 0x08, class_code = 0x09, header_type = 0x0e, first_bar = 0x10;
constexpr unsigned subsystem_vendor_id = 0x2c, subsystem_id = 0x2e;
constexpr unsigned interrupt_line = 0x3c, interrupt_pin = 0x3d;

constexpr std::uint16_t command_io = 0x0001, command_master = 0x0004, command_no_intx = 0x0400;
// The status register: what happened is cleared by writing ones; the DEVSEL timing is medium.
constexpr std::uint8_t status_high_clears = 0xf9, devsel_medium = 0x02;
constexpr std::uint8_t status_interrupt = 0x08;
constexpr std::uint8_t multi_function_bit = 0x80;
constexpr std::uint32_t bar_is_io = 1;

template <class Bytes>
void put(Bytes& bytes, unsigned offset, std::uint32_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) {
    bytes[offset + i] = static_cast<std::uint8_t>(value >> 8 * i);
  }
}

template <class Bytes>
std::uint32_t get(const Bytes& bytes, unsigned offset, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= std::uint32_t{bytes[offset + i]} << 8 * i;
  return value;
}

}  // namespace

bool PciBus::add(const PciFunctionLayout& layout) {
  if (count_ == max_functions || find(layout.place) != nullptr) return false;
  Function& function = functions_[count_++];
  function.place = layout.place;
  set_header(function, layout);
  for (const PciRegister& row : layout.registers) {
    function.space[row.offset] = row.value;
    function.writable[row.offset] = row.writable;
  }
  if (layout.interrupt) {
    function.space[interrupt_pin] = 1;
    // Where firmware notes the line for drivers; nothing follows from what is written there.
    function.writable[interrupt_line] = 0xff;
    function.space[interrupt_line] = pci_chipset::interrupt_of(layout.place);
  }
  return true;
}

void PciBus::set_header(Function& function, const PciFunctionLayout& layout) {
  auto& space = function.space;
  put(space, vendor_id, layout.vendor, 2);
  put(space, device_id, layout.device, 2);
  put(space, command, layout.command, 2);
  put(function.writable, command, layout.command_writable, 2);
  space[status + 1] = devsel_medium;
  space[revision_id] = layout.revision;
  put(space, class_code, layout.class_code, 3);
  if (layout.multi_function) space[header_type] = multi_function_bit;
  put(space, subsystem_vendor_id, layout.subsystem_vendor, 2);
  put(space, subsystem_id, layout.subsystem, 2);
  if (layout.io_size == 0) return;
  function.io_register = static_cast<std::uint8_t>(first_bar + 4 * layout.io_bar);
  function.io_size = layout.io_size;
  put(space, function.io_register, layout.io_address | bar_is_io, 4);
  put(function.writable, function.io_register, ~(layout.io_size - 1u), 4);
  put(space, command, layout.command | command_io, 2);
}

const PciBus::Function* PciBus::find(PciPlace place) const {
  for (unsigned i = 0; i < count_; ++i) {
    if (functions_[i].place == place) return &functions_[i];
  }
  return nullptr;
}

PciBus::Function* PciBus::find(PciPlace place) {
  return const_cast<Function*>(static_cast<const PciBus*>(this)->find(place));
}

// Bits 31: enable, 23 to 16: bus, 15 to 8: device and function, 7 to 2: register.
const PciBus::Function* PciBus::addressed() const {
  const bool enabled = address_ >> 31 != 0;
  const bool on_this_bus = (address_ >> 16 & 0xff) == 0;
  return enabled && on_this_bus ? find(static_cast<PciPlace>(address_ >> 8)) : nullptr;
}

std::uint32_t PciBus::read_data(unsigned offset, unsigned size) const {
  const Function* function = addressed();
  if (function == nullptr) return ~0u >> (32 - 8 * size);
  return get(function->space, (address_ & 0xfc) + offset, size);
}

void PciBus::write_data(unsigned offset, std::uint32_t value, unsigned size) {
  Function* function = const_cast<Function*>(addressed());
  if (function == nullptr) return;
  for (unsigned i = 0; i < size; ++i) {
    const unsigned index = (address_ & 0xfc) + offset + i;
    const auto byte = static_cast<std::uint8_t>(value >> 8 * i);
    const std::uint8_t writable = function->writable[index];
    std::uint8_t& kept = function->space[index];
    kept = static_cast<std::uint8_t>((kept & ~writable) | (byte & writable));
    if (index == status + 1) kept &= static_cast<std::uint8_t>(~(byte & status_high_clears));
  }
  update_lines();
}

std::optional<PciPort> PciBus::find_port(std::uint16_t port, unsigned size) const {
  for (unsigned i = 0; i < count_; ++i) {
    const Function& function = functions_[i];
    if (function.io_register == 0 || (function.space[command] & command_io) == 0) continue;
    const std::uint32_t base = get(function.space, function.io_register, 4) & ~3u;
    const std::uint32_t offset = port - base;
    if (base != 0 && offset < function.io_size && offset + size <= function.io_size) {
      return PciPort{function.place, static_cast<std::uint16_t>(offset)};
    }
  }
  return std::nullopt;
}

std::uint8_t PciBus::configuration_byte(PciPlace place, unsigned offset) const {
  const Function* function = find(place);
  return function != nullptr ? function->space[offset] : std::uint8_t{0xff};
}

bool PciBus::may_master(PciPlace place) const {
  const Function* function = find(place);
  return function != nullptr && (function->space[command] & command_master) != 0;
}

void PciBus::set_interrupt(PciPlace place, bool requested) {
  Function* function = find(place);
  if (function == nullptr || function->requests == requested) return;
  function->requests = requested;
  std::uint8_t& low_status = function->space[status];
  low_status = static_cast<std::uint8_t>(requested ? low_status | status_interrupt
                                                   : low_status & ~status_interrupt);
  update_lines();
}

void PciBus::update_lines() {
  lines_ = 0;
  for (unsigned i = 0; i < count_; ++i) {
    const Function& function = functions_[i];
    const bool held_back = (get(function.space, command, 2) & command_no_intx) != 0;
    if (function.requests && !held_back) lines_ |= routed(function);
  }
}

// PIRQRC, one byte for each of the four lines of the bus: bit 7 cuts it off, bits 3 to 0 say which
// IRQ it is; the numbers of IRQs that belong to the board itself are reserved.
std::uint16_t PciBus::routed(const Function& function) const {
  const unsigned line = pci_chipset::bus_line(function.place);
  const std::uint8_t route =
      configuration_byte(pci_chipset::isa_bridge, pci_chipset::pirq_route + line);
  if ((route & 0x80) != 0) return 0;
  return static_cast<std::uint16_t>(1u << (route & 0x0f)) & pci_chipset::routable_lines;
}

}  // namespace undercroft
