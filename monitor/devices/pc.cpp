#include "pc.hpp"

#include <algorithm>

#include "pc_lines.hpp"
#include "pc_ports.hpp"

namespace undercroft {
namespace {

using pc_ports::Device;
using namespace pc_lines;

}  // namespace

Pc::Pc(const PcConfiguration& configuration, Clock& clock, CharacterSink& com1,
       CharacterSink& debug_console, DeviceLog& log)
    : state_(configuration, clock.now()),
      kind_(configuration.kind),
      time_(clock),
      com1_(com1),
      debug_console_(debug_console),
      bus_(pc_ports::port_map, *this, log),
      now_(clock.now()) {
  if (kind_ == MachineKind::pc) make_pci_bus();
  make_memory_ranges();
  update_deadlines();
}

std::uint32_t Pc::port_read(std::uint16_t port, unsigned size) {
  advance(time_.now());
  const std::uint32_t value = bus_.read(port, size);
  update_lines();
  return value;
}

std::optional<std::uint32_t> Pc::read_time_port(std::uint16_t port, unsigned size) const {
  for (const pc_ports::TimePort& known : pc_ports::time_ports) {
    if (known.port != port || known.size != size) continue;
    switch (known.device) {
      case pc_ports::TimeDevice::acpi_timer:
        return Power::timer(time_.now());
      case pc_ports::TimeDevice::port_b:
        return state_.timer.read_port_b(time_.now());
    }
  }
  return std::nullopt;
}

void Pc::port_write(std::uint16_t port, std::uint32_t value, unsigned size) {
  advance(time_.now());
  bus_.write(port, value, size);
  update_lines();
}

std::uint32_t Pc::device_read(std::uint8_t device, unsigned offset, unsigned size) {
  switch (static_cast<Device>(device)) {
    case Device::dma_first:
      return state_.dma.read_first(offset);
    case Device::dma_second:
      return state_.dma.read_second(offset);
    case Device::dma_pages:
      return state_.dma.read_page(offset);
    case Device::interrupts_master:
      return state_.interrupts.read_master(offset);
    case Device::interrupts_slave:
      return state_.interrupts.read_slave(offset);
    case Device::edge_level:
      return state_.interrupts.read_edge_level(offset);
    case Device::timer:
      return state_.timer.read(offset, now_);
    case Device::port_b:
      return state_.timer.read_port_b(now_);
    case Device::keyboard_data: {
      const std::uint8_t value = state_.keyboard.read(0);
      // Reading lowers the lines for a moment even if the next byte is there already.
      set_irq(irq_keyboard, false);
      set_irq(irq_mouse, false);
      return value;
    }
    case Device::keyboard_command:
      return state_.keyboard.read(1);
    case Device::clock: {
      const std::uint8_t value = state_.clock.read(offset, now_);
      update_deadlines();
      return value;
    }
    case Device::port_a:
      return state_.power.read_port_a();
    case Device::debug_console:
      return 0xe9;  // tells a guest that it is there
    case Device::fpu_error:
      return 0xff;  // write only
    case Device::debug_exit:
      return 0;
    case Device::vga:
      return state_.vga.read(offset, now_);
    case Device::serial:
      return state_.serial.read(offset, now_);
    case Device::acpi:
      return state_.power.read_acpi(offset, now_);
    case Device::pci_configuration:
      return pci_read(offset, size);
    case Device::bochs_shutdown:
      return 0xff;
  }
  return ~0u;
}

void Pc::device_write(std::uint8_t device, unsigned offset, std::uint32_t wide, unsigned size) {
  const auto value = static_cast<std::uint8_t>(wide);
  switch (static_cast<Device>(device)) {
    case Device::dma_first:
      return state_.dma.write_first(offset, value);
    case Device::dma_second:
      return state_.dma.write_second(offset, value);
    case Device::dma_pages:
      return state_.dma.write_page(offset, value);
    case Device::interrupts_master:
      return state_.interrupts.write_master(offset, value);
    case Device::interrupts_slave:
      return state_.interrupts.write_slave(offset, value);
    case Device::edge_level:
      return state_.interrupts.write_edge_level(offset, value);
    case Device::timer:
      return write_timer(offset, value);
    case Device::port_b:
      return state_.timer.write_port_b(value, now_);
    case Device::keyboard_data:
    case Device::keyboard_command:
      state_.keyboard.write(static_cast<Device>(device) == Device::keyboard_data ? 0 : 1, value);
      if (state_.keyboard.reset_requested()) state_.power.ask({PcRequest::Kind::reset, 0});
      return;
    case Device::clock:
      state_.clock.write(offset, value, now_);
      return update_deadlines();
    case Device::port_a:
      return state_.power.write_port_a(value);
    case Device::debug_console:
      return debug_console_.put(value);
    case Device::fpu_error:
      state_.fpu_error = false;
      return;
    case Device::debug_exit:
      return state_.power.write_debug_exit(wide);
    case Device::vga:
      return state_.vga.write(offset, value);
    case Device::serial:
      return state_.serial.write(offset, value, now_, com1_);
    case Device::acpi:
      state_.power.write_acpi(offset, value, now_);
      return update_deadlines();
    case Device::pci_configuration:
      return pci_write(offset, wide, size);
    case Device::bochs_shutdown:
      return state_.power.write_bochs_shutdown(value);
  }
}

bool Pc::can_take_serial_input() {
  return console_has_input() ? state_.virtio.can_receive(*dma_memory_)
                             : state_.serial.can_receive();
}

void Pc::serial_input(std::uint8_t byte) {
  advance(time_.now());
  if (console_has_input() && state_.virtio.can_receive(*dma_memory_)) {
    state_.virtio.receive(state_.pci, byte, *dma_memory_);
  } else {
    state_.serial.receive(byte, now_);
  }
  update_lines();
}

bool Pc::can_take_keyboard_input() const { return state_.keyboard.can_receive(); }

void Pc::keyboard_input(std::uint8_t scan_code) {
  state_.keyboard.receive(scan_code);
  update_lines();
}

void Pc::mouse_input(const MouseMovement& movement) {
  state_.keyboard.receive(movement);
  update_lines();
}

void Pc::raise_fpu_error() {
  state_.fpu_error = true;
  update_lines();
}

PcRequest Pc::request() const { return state_.power.request(); }

bool Pc::a20_enabled() const { return state_.keyboard.a20() || state_.power.a20(); }

bool Pc::nmi_enabled() const { return state_.clock.nmi_enabled(); }

void Pc::restore(const PcState& state) {
  state_ = state;
  make_memory_ranges();
  update_deadlines();
}

}  // namespace undercroft
