// The devices of the guest's PC, composed and wired (design section 7). It knows which device
// answers at which port and which interrupt line it drives; what the devices do is in their own
// files. The monitor hands it port and device-memory accesses, host input and the time.
#pragma once

#include <cstdint>
#include <optional>

#include "../address.hpp"
#include "../ports.hpp"
#include "bus.hpp"
#include "device_ports.hpp"
#include "dma_controller.hpp"
#include "hpet.hpp"
#include "ide_controller.hpp"
#include "interrupt_controller.hpp"
#include "io_apic.hpp"
#include "keyboard_controller.hpp"
#include "late_ticks.hpp"
#include "local_apic.hpp"
#include "machine_kind.hpp"
#include "memory_range.hpp"
#include "pci_bus.hpp"
#include "power.hpp"
#include "real_time_clock.hpp"
#include "serial.hpp"
#include "timer.hpp"
#include "vga.hpp"
#include "virtio_functions.hpp"

namespace undercroft {

struct PcConfiguration {
  std::uint64_t ram_bytes = 0;     // the CMOS tells it to guests that ask there
  std::uint64_t unix_seconds = 0;  // the real-time clock at the start, UTC
  MachineKind kind = MachineKind::pc;
};

// All state of the devices: a value that can be kept and put back.
struct PcState {
  PcState(const PcConfiguration& configuration, std::uint64_t now)
      : local_apic(configuration.kind == MachineKind::pc),
        timer(now),
        clock(configuration.unix_seconds, configuration.ram_bytes, now),
        power(configuration.kind == MachineKind::pc) {}

  InterruptController interrupts{};
  LocalApic local_apic;
  IoApic io_apic{};
  Hpet hpet{};
  static constexpr std::uint8_t no_pin = 0xff;
  std::array<std::uint8_t, Hpet::timer_count> hpet_pins{no_pin, no_pin, no_pin};  // held high
  Timer timer;
  RealTimeClock clock;
  Serial serial{};
  KeyboardController keyboard{};
  Vga vga{};
  DmaController dma{};
  Power power;
  PciBus pci{};
  IdeController ide{};
  VirtioFunctions virtio{};
  std::uint16_t pci_lines = 0;  // the PCI functions' interrupt lines as they were shown last
  LateTicks late_ticks{};       // of what drives IRQ 0
  bool fpu_error = false;       // drives IRQ 13
};

class Pc final : private PortTarget {
 public:
  Pc(const PcConfiguration&, Clock&, CharacterSink& com1, CharacterSink& debug_console, DeviceLog&);
  Pc(const Pc&) = delete;
  Pc& operator=(const Pc&) = delete;

  // The guest's memory, for devices that reach it by themselves. Until then nothing answers them.
  void connect(DmaMemory& memory) { dma_memory_ = &memory; }
  // The disks, each put at a controller of its kind. False: one has no place left.
  bool connect(DiskPort&);
  // What the entropy device gives comes from there. Without it, it gives nothing.
  void connect(EntropySource& source) { entropy_ = &source; }

  // Ports. size is 1, 2 or 4; what nothing answers reads as all ones.
  std::uint32_t port_read(std::uint16_t port, unsigned size);
  void port_write(std::uint16_t port, std::uint32_t value, unsigned size);
  // The moment of the last access or advance.
  std::uint64_t present() const { return now_; }
  // A read that changes nothing and that the time alone decides, which guests do in tight loops: it
  // needs no device brought up to date, and leaves none with anything to say. Empty: not such a
  // one.
  std::optional<std::uint32_t> read_time_port(std::uint16_t port, unsigned size) const;
  // As many accesses one after another as there is room for; a disk's data goes in one piece.
  void port_read_string(std::uint16_t port, unsigned size, std::span<std::byte>);
  void port_write_string(std::uint16_t port, unsigned size, std::span<const std::byte>);

  // Memory-mapped devices; only the local APIC's place changes, with its base register. Reads and
  // writes are for addresses in one of the ranges.
  std::span<const MemoryRange> memory_ranges() const;
  std::uint32_t memory_read(GuestPhysical, unsigned size);
  void memory_write(GuestPhysical, std::uint32_t value, unsigned size);

  // The interrupt controllers' output line, and the processor's acknowledge cycle, which yields
  // the vector. Call acknowledge only to deliver the interrupt at once.
  bool interrupt_pending() const;
  std::uint8_t acknowledge_interrupt();

  // A nonmaskable interrupt waits; taking it; whether one can come to a processor that halts for
  // ever otherwise.
  bool nmi_pending() const;
  void take_nmi();
  bool nmi_may_come() const;

  // IA32_APIC_BASE, of a machine that has a local APIC. The pages of devices may be others
  // afterwards.
  bool has_apic() const { return kind_ == MachineKind::pc; }
  bool apic_enabled() const { return state_.local_apic.enabled(); }
  GuestPhysical apic_page() const { return state_.local_apic.page(); }
  std::uint32_t apic_base() const;
  void write_apic_base(std::uint32_t value);

  // An access to device memory has changed deadlines or asked for something: advance soon.
  bool needs_service() const { return needs_service_; }

  // Time, in the Clock's nanoseconds: the next moment at which a device does something by itself
  // (no_deadline if none), and doing all that is due by `now`. Port accesses advance by themselves.
  // Call advance at each deadline while the guest runs. Timer ticks that are found together were
  // due while the guest was not run: it gets them later (late_ticks.hpp). A tick that comes alone
  // and finds the last one still waiting is lost, as on a PC.
  std::uint64_t next_deadline() const;
  void advance(std::uint64_t now);

  // Host input. A byte is to be given only if the device can take it, else it is lost as on a PC.
  // What comes from the serial line is for COM1, or for the virtio console once that has offered a
  // buffer for it and while COM1's receive interrupt has been disabled for a second.
  bool can_take_serial_input();
  void serial_input(std::uint8_t byte);
  bool can_take_keyboard_input() const;
  // Scan code set 1, as a host's controller translates: what the host reads from its port 0x60.
  void keyboard_input(std::uint8_t scan_code);
  void mouse_input(const MouseMovement&);
  std::uint8_t keyboard_lights() const { return state_.keyboard.lights(); }

  // An unmasked x87 error while CR0.NE = 0: drives IRQ 13 until the guest writes port 0xf0.
  void raise_fpu_error();

  MachineKind kind() const { return kind_; }
  PcRequest request() const;  // the first that was made
  bool a20_enabled() const;
  bool nmi_enabled() const;  // bit 7 of port 0x70 masks NMI

  // The VGA's memory outlives the PC; without it none answers.
  void set_video_memory(VideoMemory& memory) { video_memory_ = &memory; }
  const Vga& vga() const { return state_.vga; }
  Vga::Changes take_screen_changes() { return state_.vga.take_changes(); }

  const PcState& state() const { return state_; }
  void restore(const PcState&);

 private:
  std::uint32_t device_read(std::uint8_t device, unsigned offset, unsigned size) override;
  void device_write(std::uint8_t device, unsigned offset, std::uint32_t value,
                    unsigned size) override;
  bool placed_read(std::uint16_t port, unsigned size, std::uint32_t& value) override;
  bool placed_write(std::uint16_t port, std::uint32_t value, unsigned size) override;
  void make_pci_bus();
  std::uint32_t pci_read(unsigned offset, unsigned size);
  void pci_write(unsigned offset, std::uint32_t value, unsigned size);
  std::uint32_t function_read(const PciPort&, unsigned size);
  void function_write(const PciPort&, std::uint32_t value, unsigned size);
  void update_pci_lines();
  const MemoryRange* memory_range(GuestPhysical) const;
  std::uint32_t read_video_memory(std::uint32_t address, unsigned size);
  void write_video_memory(std::uint32_t address, std::uint32_t value, unsigned size);
  std::optional<IdeController::ChannelPort> find_ide_port(std::uint16_t port, unsigned size) const;
  IdeController::Reach ide_reach();
  void update_ide_line(unsigned channel);
  bool console_has_input();
  VirtioSurroundings surroundings() const { return {dma_memory_, disks_, entropy_, &com1_, now_}; }
  void make_memory_ranges();
  void advance_in_access();
  void note_interrupts();
  void write_local_apic(unsigned offset, std::uint32_t value);
  void set_irq(unsigned line, bool high);
  void give_ticks(std::uint32_t ticks);
  void give_late_tick();
  void pulse_timer();
  void update_hpet();
  void give_hpet_edges(unsigned timer, std::uint32_t edges);
  std::uint8_t hpet_pin(unsigned timer) const;
  std::uint32_t read_hpet(unsigned offset, unsigned size);
  void write_hpet(unsigned offset, std::uint32_t value);
  bool takes_a_tick() const;
  void update_external();
  bool external_is_heard() const;
  void write_timer(unsigned offset, std::uint8_t value);
  void timer_ticked();
  void update_lines();
  void update_deadlines();

  PcState state_;
  MachineKind kind_;
  Clock& time_;
  CharacterSink& com1_;
  CharacterSink& debug_console_;
  DmaMemory* dma_memory_ = nullptr;
  DiskPort* disks_ = nullptr;
  EntropySource* entropy_ = nullptr;
  VideoMemory* video_memory_ = nullptr;
  Bus bus_;
  std::array<MemoryRange, 4> memory_ranges_{};  // the local APIC's first
  bool needs_service_ = false;
  std::uint64_t now_ = 0;             // of the access or advance under way
  std::uint64_t timer_deadline_ = 0;  // kept, since they cost divisions
  std::uint64_t clock_deadline_ = 0;
  std::uint64_t acpi_deadline_ = 0;
};

}  // namespace undercroft
