// The PCI bus: configuration mechanism 1, the functions' configuration spaces, which function's
// I/O range a port belongs to, and the interrupt lines that the functions share. What a function
// does at its ports is its device's business; which functions there are is the PC's. Sources: PCI
// Local Bus Specification 2.1, sections 3.2.2.3.2 and 6; Intel 82371SB (PIIX3), PIRQRC registers.
// There is one bus, number 0, and no memory ranges.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace undercroft {

// A function's place on the bus: device number << 3 | function number.
using PciPlace = std::uint8_t;
constexpr PciPlace pci_place(unsigned device, unsigned function = 0) {
  return static_cast<PciPlace>(device << 3 | function);
}

// A byte of a configuration space beyond the standard header: its value at reset and the bits that
// the guest can change.
struct PciRegister {
  std::uint8_t offset = 0;
  std::uint8_t value = 0;
  std::uint8_t writable = 0;
};

// What a function is made of. The header's other registers follow from it.
struct PciFunctionLayout {
  PciPlace place = 0;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint32_t class_code = 0;  // base class, sub-class, programming interface: 24 bits
  std::uint8_t revision = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem = 0;
  bool multi_function = false;  // other functions of the same device may exist
  // The command register at reset, and the bits of it that the guest can change.
  std::uint16_t command = 0;
  std::uint16_t command_writable = 0x0547;
  // The one I/O range: base address register number, size (a power of two from 4 on; 0: none), and
  // the address that the firmware gave it. It is switched on then.
  std::uint8_t io_bar = 0;
  std::uint16_t io_size = 0;
  std::uint16_t io_address = 0;
  bool interrupt = false;  // uses INTA
  std::span<const PciRegister> registers{};
};

// A port within the I/O range of a function.
struct PciPort {
  PciPlace place = 0;
  std::uint16_t offset = 0;
  constexpr bool operator==(const PciPort&) const = default;
};

class PciBus {
 public:
  static constexpr unsigned max_functions = 12;

  // False: the place is taken, or there are max_functions already.
  bool add(const PciFunctionLayout&);

  // The address register at 0xcf8, as a double word, and the data window at 0xcfc to 0xcff: offset
  // 0 to 3, size 1, 2 or 4, within the double word. What no function answers reads as ones.
  std::uint32_t read_address() const { return address_; }
  void write_address(std::uint32_t value) { address_ = value & 0x80fffffc; }
  std::uint32_t read_data(unsigned offset, unsigned size) const;
  void write_data(unsigned offset, std::uint32_t value, unsigned size);

  // The function whose I/O range has all `size` ports from `port` on, as the guest has placed it
  // and if it has I/O switched on.
  std::optional<PciPort> find_port(std::uint16_t port, unsigned size) const;

  // A byte of a function's space, for the device behind it; 0xff if there is no such function.
  std::uint8_t configuration_byte(PciPlace, unsigned offset) const;
  // Whether the function may read and write memory by itself (bit 2 of its command register).
  bool may_master(PciPlace) const;

  // The function's interrupt request as it stands: its INTA, which it may share.
  void set_interrupt(PciPlace, bool requested);
  // The interrupt lines of the PC (bit n: IRQ n) that functions request through the PIRQ router.
  std::uint16_t interrupt_lines() const { return lines_; }

 private:
  struct Function {
    PciPlace place = 0;
    std::uint8_t io_register = 0;  // configuration offset of the base address register; 0: none
    std::uint16_t io_size = 0;
    bool requests = false;
    std::array<std::uint8_t, 256> space{};
    std::array<std::uint8_t, 256> writable{};
  };

  const Function* find(PciPlace) const;
  Function* find(PciPlace);
  const Function* addressed() const;
  void set_header(Function&, const PciFunctionLayout&);
  void update_lines();
  std::uint16_t routed(const Function&) const;

  std::uint32_t address_ = 0;
  std::uint16_t lines_ = 0;
  std::uint8_t count_ = 0;
  std::array<Function, max_functions> functions_{};
};

}  // namespace undercroft
