// The processor's GDT, LDT, IDT and task state segments. It knows the monitor's own entries and
// keeps them right when the window moves; the guest's entries in the images belong to segment/.
#pragma once

#include <cstdint>
#include <span>

#include "monitor/processor.hpp"

namespace undercroft::x86 {

// The writable images, one GDT and one LDT for each view. The processor reads them at window::gdt
// and window::ldt.
std::span<std::uint64_t, 8192> gdt_storage(View);
std::span<std::uint64_t, 8192> ldt_storage(View);

class HostTables {
 public:
  // Fills in what does not depend on the window's base. monitor_root: what a double fault runs on.
  void build(HostPhysical monitor_root);
  // Makes the processor use the tables, with the window at base: GDTR, all segment registers of the
  // monitor, IDTR, TR and LDTR.
  void load(HostLinear base);
  void set_ldt_entries(HostLinear base, unsigned count);

 private:
  void write_monitor_entries(HostLinear base);

  unsigned ldt_entries_ = 0;
};

}  // namespace undercroft::x86
