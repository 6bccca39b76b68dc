// The processor as the monitor drives it: enter the guest, address spaces, descriptor images, the
// window. arch/x86 implements it; tests fake it.
#pragma once

#include <cstdint>
#include <span>

#include "address.hpp"
#include "environment.hpp"

namespace undercroft {

// Which of a guest's two shadow address spaces is meant (design section 4).
enum class View : std::uint8_t { kernel, user };

// Hardware vectors of the monitor's own interrupts. Exceptions keep 0 to 31; host IRQ n is
// host_interrupt_base + n, and behind the 16 of those come what the processor's own APIC raises.
inline constexpr std::uint32_t host_interrupt_base = 0x20;
inline constexpr std::uint32_t host_interrupt_count = 32;
constexpr bool is_host_interrupt(std::uint32_t vector) {
  return vector - host_interrupt_base < host_interrupt_count;
}

// Everything that the nexus loads when it enters the guest and stores when the guest traps. The
// offsets are known to arch/x86/nexus.S and asserted there.
struct GuestContext {
  std::uint32_t nmi_frame[3];    // room for an NMI that comes while a trap is being stored below
  std::uint32_t gs, fs, es, ds;  // hardware selectors
  std::uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;  // PUSHA's order
  std::uint32_t vector, error_code;              // the trap; error_code 0 if it has none
  std::uint32_t eip, cs, eflags, esp, ss;        // IRET's order
  std::uint32_t v86_es, v86_ds, v86_fs, v86_gs;  // if eflags.VM is set
  std::uint32_t fault_address;                   // CR2, valid for #PF
};

// vector of a trap that stands for: loading one of the guest's selectors failed on the way in.
// error_code holds the selector error code; nothing of the guest has run. A page fault on the way
// in (the processor sets an accessed bit in a read-only table) is vector 14 with cs, eip and the
// rest as they were given, error_code bit 2 clear.
inline constexpr std::uint32_t trap_entry_failed = 0x100;

// GDT indices that the monitor uses in both images, DPL 0 unless said otherwise.
namespace host_gdt {
inline constexpr unsigned monitor_code = 8176;
inline constexpr unsigned monitor_data = 8177;
inline constexpr unsigned monitor_tss = 8178;
inline constexpr unsigned double_fault_tss = 8179;
// Kernel view only, DPL 3: the cache's code segment (base: the window's, 32-bit, readable, limit
// cache_end - 1), the virtual CPU page (base: its own, limit one page), and one descriptor for each
// guest segment register (indexed by Segment), made from the register's descriptor cache.
inline constexpr unsigned cache_code = 8180;
inline constexpr unsigned cpu_page = 8181;
inline constexpr unsigned guest_segments = 8182;  // to 8187
inline constexpr unsigned monitor_ldt = 8188;     // both views
inline constexpr unsigned monitor_flat = 8189;    // both views: base 0, 4 GB, data
constexpr std::uint32_t selector(unsigned index, unsigned rpl) { return index * 8 + rpl; }
}  // namespace host_gdt

class Processor {
 public:
  // Runs the guest until the next trap. The root and the images must be those of the view wanted.
  virtual void enter(GuestContext&) = 0;

  // Page directories. Every root that is ever loaded must map the window: map_window writes the
  // window's entry for the view into a page directory (a machine frame, edited in place).
  virtual void load_root(HostPhysical root) = 0;  // flushes what is not global
  virtual HostPhysical monitor_root() const = 0;  // maps the window only
  virtual void flush_page(HostLinear) = 0;
  virtual void flush_all() = 0;  // global entries too

  // The window: base is a multiple of 4 MB. window_entry is the page directory entry that maps it
  // in the given view. move_window: the current root must map the window at both bases.
  virtual HostLinear window_base() const = 0;
  virtual std::uint32_t window_entry(View) const = 0;
  virtual void move_window(HostLinear base) = 0;

  // Whether the user view shows the translation cache, the virtual CPU page and the kernel view's
  // descriptor images too, so that user code can run from the cache. It holds from the next
  // load_root on.
  virtual void show_cache_to_user(bool shown) = 0;

  // The descriptor tables that the processor uses in each view, 8192 entries each, writable here.
  // cache_code, cpu_page and the monitor's own entries are kept by the implementation, also when
  // the window moves; the rest belongs to segment/. The guest sees both read-only but for the GDT's
  // last page (indices 7680 up): the processor writes busy bits there.
  virtual std::span<std::uint64_t, 8192> gdt_image(View) = 0;
  virtual std::span<std::uint64_t, 8192> ldt_image(View) = 0;
  // The limit of the hardware LDT (image in use: the view's); 0 entries mean a null LDTR.
  virtual void set_ldt_entries(unsigned count) = 0;

  // CR0.TS/EM/MP/AM, CR4.OSFXSR/OSXMMEXCPT/TSD as the guest wants them; other bits are ignored.
  virtual void set_guest_controls(std::uint32_t guest_cr0, std::uint32_t guest_cr4) = 0;

  virtual std::uint64_t time_stamp() = 0;  // RDTSC
  // DR6, whose bits are then cleared: why the #DB came that has just trapped.
  virtual std::uint32_t take_debug_status() = 0;
  virtual CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) = 0;

  // Host interrupts are off in the monitor. acknowledge handles one that trapped from the guest
  // (vector - host_interrupt_base): reads the device, ends the interrupt. wait_for_interrupt halts
  // until one comes, and handles it. set_alarm asks for a timer interrupt `nanoseconds` from now
  // (clamped to what the timer can do: at least 1 us, at most about 50 ms).
  virtual void acknowledge_interrupt(unsigned line) = 0;
  virtual void wait_for_interrupt() = 0;
  // Lets the host interrupts in that wait, and handles them; whether there was one.
  virtual bool poll_interrupts() = 0;
  virtual void set_alarm(std::uint64_t nanoseconds) = 0;

 protected:
  ~Processor() = default;
};

}  // namespace undercroft
