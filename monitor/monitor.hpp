// The monitor of one guest processor: enter the guest, trap, classify, and then exactly one of
// fill, emulate, inject, deliver, migrate, restore, retry or stop (design section 6). It decides
// which engine runs what comes next and moves the registers between the Vcpu and the processor;
// what the engines do is theirs.
//
// monitor.cpp has the loop; kernel_view.cpp, user_view.cpp, native.cpp, page_fault_trap.cpp,
// device_access.cpp, window.cpp and monitor_environment.cpp the rest of the class, by topic.
#pragma once

#include <array>
#include <optional>

#include "breakpoints.hpp"
#include "cpu_model.hpp"
#include "environment.hpp"
#include "guest_screen.hpp"
#include "inspect/statistics.hpp"
#include "inspect/trace.hpp"
#include "instruction/interpreter.hpp"
#include "interrupts.hpp"
#include "memory/guest_linear_memory.hpp"
#include "memory/page_fault.hpp"
#include "memory/shadow.hpp"
#include "ports.hpp"
#include "processor.hpp"
#include "segment/descriptor_shadow.hpp"
#include "segment/table_snapshot.hpp"
#include "translate/cache.hpp"
#include "translate/churning_frames.hpp"
#include "translate/cpu_page.hpp"
#include "translate/native_code.hpp"
#include "vm.hpp"

namespace undercroft {

struct MonitorOptions {
  bool interpret_kernel = false;  // engine=interpret
  std::uint32_t window_hop = 0;   // migrate at every so many guest page faults; 0: never
  AbsentMemory absent = AbsentMemory::floats;
  std::uint32_t withdraw_every =
      0;                        // rounds of the loop between two sweeps for cold frames; 0: none
  bool guard_exact = false;     // guard=exact
  std::uint32_t watchdog = 0;   // seconds without an interrupt of the guest's; 0: any number
  bool translate_user = false;  // user=translate
  std::uint32_t slowness = 1;   // of the guest's clock against the host's
};

// Why a guest's run ended.
struct RunEnd {
  enum class Kind : std::uint8_t { power_off, reset, exit, halted, triple_fault, stopped };
  Kind kind = Kind::stopped;
  std::uint32_t value = 0;  // exit: what the guest wrote
  const char* reason = "";  // stopped: why
  Event event{};            // triple_fault: what was to be delivered
  Delivery chain{};         // and the faults on the way
};

class Monitor final : private Environment,
                      private CodeMappings,
                      private CodeLocations,
                      private WriteWatcher {
 public:
  // What the monitor stands on; all of it outlives the monitor.
  struct Foundation {
    Processor& processor;
    Clock& clock;
    HostInput& input;
    Vm& vm;
    const std::byte* window;     // where window offsets are readable
    HostPhysical window_image;   // machine address of window offset 0
    Console* console = nullptr;  // where commands are answered
    GuestDisplay* display = nullptr;
  };

  Monitor(const Foundation&, const MonitorOptions&);

  // Runs the guest from the state to its end.
  RunEnd run(const Vcpu& start);

  const Vcpu& vcpu() const { return vcpu_; }
  ShadowPaging::Audit audit_shadow() { return shadow_.audit(); }
  GuestLinearMemory& linear_memory() { return linear_; }
  const GuestLinearMemory& linear_memory() const { return linear_; }
  // The last traps, newest last.
  void print_history(Console& out) const { trace_.print(out, cache_); }
  const Statistics& statistics() const { return statistics_; }
  const ShadowPaging::Counts& shadow_counts() const { return shadow_.counts(); }
  const TranslationCache::Counts& cache_counts() const { return cache_.counts(); }

 private:
  enum class Engine : std::uint8_t { direct, translate, interpret };
  enum class Next : std::uint8_t { resume, leave };  // after a trap: enter again, or the loop

  // The loop.
  Engine engine();
  void service();
  void tend_frames();
  bool interruptible() const {
    return vcpu_.interrupts_enabled() && vcpu_.interrupt_shadow == InterruptShadow::none;
  }
  void deliver_pending_interrupt();
  bool nmi_deliverable() const;
  void wait_while_halted();
  void wait_for_fpu_interrupt();
  void take_host_input();
  void obey(char command);
  void watch_the_guest(std::uint64_t now);
  void arm_alarm(std::uint64_t now);
  void host_interrupt(std::uint32_t vector);
  void end_run(RunEnd::Kind, const char* reason = "");
  void inject(const Event&);

  // Interpreting one instruction, on its own account or because of a trap. False: it has not just
  // retired, but an event was delivered, the run ended, or the guest waits.
  bool interpret_one();
  void run_interpreted();
  bool interprets_on() const;
  bool trapped(const StepOutcome&);
  void load_native_context(const Vcpu&, std::uint32_t address);
  void save_native_context(Vcpu&) const;
  bool breakpoint_may_strike() const;
  bool can_translate() const;
  View cache_view() const { return vcpu_.cpl == 3 ? View::user : View::kernel; }
  bool interprets_kernel() const { return options_.interpret_kernel; }
  void poll_interrupts(bool long_instruction);
  void enter_processor(View);

  // Kernel view.
  void run_translated();
  void show_cache_to_user(bool);
  void choose_guards();
  void run_in_cache(std::uint32_t address);
  std::optional<std::uint32_t> block_at(std::uint32_t eip);
  Guarded<unsigned> fetch_trace(GuestLinear, std::span<std::uint8_t> bytes, std::uint32_t in_page);
  std::optional<std::uint32_t> watch_code(GuestLinear);
  bool show_code_mapping(GuestLinear, const Walk&);
  bool in_crowded_slot(GuestLinear) const;
  void load_kernel_context(std::uint32_t address);
  void load_kernel_segments();
  void make_kernel_segment(Segment);
  std::uint32_t kernel_selector(Segment) const;
  bool load_segment_at_once(const CacheExit&);
  std::optional<std::uint32_t> popped_selector();
  void note_return_segment();
  void note_guard_base(unsigned segment);
  void save_kernel_context(const CachePoint&);
  Next kernel_trap();
  Next cache_exit(const CacheExit&);
  Next port_exit(const CacheExit&);
  bool read_port_at_once(PortAccess);
  void access_port(PortAccess);
  bool settle_access();
  Next interrupted_in_cache();
  Next kernel_page_fault();
  // A copied MOV at a cache address, of a register of a device.
  struct DeviceMove {
    std::uint32_t address = 0;
    std::uint32_t generation = 0;  // of the cache: it may hold something else since
    std::uint32_t eip = 0;
    Instruction instruction{};
  };
  const DeviceMove* device_move(std::uint32_t address);
  std::optional<CachePoint> faulting_point() const;
  std::optional<std::uint32_t> access_device_at_once();
  const DeviceMove* move_at_once(bool write);
  std::uint32_t stored_value(const Instruction&) const;
  void finish_move(const Instruction&);
  bool write_watched_at_once(const Walk&);
  void kernel_exception();

  // User view.
  bool flags_allow_direct_execution() const;
  bool direct_execution_is_exact();
  bool virtual_8086_is_exact() const;
  void run_directly();
  void allow_alignment_checks(bool);
  void load_user_context();
  void save_user_context();
  void reload_user_segments();
  void reload_virtual_8086_segments();
  std::uint32_t fixed_user_flags() const;
  Next user_trap();

  // Page faults.
  // written: the instruction is done, and the context behind it.
  enum class FaultResult : std::uint8_t { resumed, written, emulate, inject };
  FaultResult handle_page_fault(View, Exception& to_inject);
  bool descriptor_accessed(HostLinear);
  PageFaultFacts gather_facts(GuestLinear, View, const Walk&) const;

  // The window.
  bool migrate_window();
  bool migrate_window_below(unsigned slot);
  void hop_window();
  void move_window(HostLinear base);
  bool slot_is_unmapped(unsigned slot) const;
  bool slot_has_memory(unsigned slot) const;
  bool slot_has_device(unsigned slot) const;
  bool answers(const Walk&) const;
  void keep_window_clear();
  void note_window_tables();
  bool any_entry_present(GuestPhysical, unsigned bytes) const;

  // Address spaces and code.
  void enter_view(View);
  void use_address_space();
  void check_code_slots();
  void compare_code_slots();
  bool cache_is_current();
  void note_code_slot(GuestLinear);
  void flush_code(CodeFlush);
  bool drop_code(GuestPhysical, unsigned bytes);
  void a20_changed();
  void place_apic(std::uint32_t base);
  void refresh_descriptors();
  void forget_descriptors();
  bool take_snapshot();
  void compare_descriptors();
  void note_user_write(GuestPhysical page);
  void check_descriptor_pages();
  Exception hardware_exception() const;

  // Environment.
  std::uint32_t port_read(std::uint16_t port, unsigned size) override;
  void port_write(std::uint16_t port, std::uint32_t value, unsigned size) override;
  void port_read_string(std::uint16_t port, unsigned size, std::span<std::uint8_t>) override;
  void port_write_string(std::uint16_t port, unsigned size, std::span<const std::uint8_t>) override;
  CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t subleaf) override;
  std::uint64_t time_stamp() override { return processor_.time_stamp(); }
  Guarded<std::uint64_t> read_msr(const Vcpu&, std::uint32_t index) override;
  Guarded<Done> write_msr(Vcpu&, std::uint32_t index, std::uint64_t value) override;
  Guarded<NativeResult> run_native(Vcpu&, const Instruction&,
                                   std::span<std::uint8_t> memory) override;
  std::uint32_t cr4_allowed() const override { return guest_cr4_bits; }
  void paging_changed(const Vcpu&) override;
  void page_root_loaded(const Vcpu&) override;
  std::optional<PagePointers> page_pointers(std::uint32_t cr3) override;
  void page_invalidated(GuestLinear) override;
  void descriptor_tables_changed(const Vcpu&) override;
  void fpu_control_changed(const Vcpu&) override;
  void debug_registers_changed(const Vcpu&) override { shadow_.hide(breakpoint_pages(vcpu_)); }

  // CodeMappings.
  void code_frame_remapped(GuestPhysical frame) override;
  void code_slot_remapped(unsigned slot) override;

  // CodeLocations.
  bool shows(std::uint32_t linear_page, std::uint32_t frame, CodeLevel) override;

  // WriteWatcher, of frames with descriptor tables, translated code and page tables.
  void written(GuestPhysical, unsigned bytes) override;

  // A page table has been written: the software TLB is stale, and the descriptor tables may be
  // elsewhere, or the window's slot in use.
  class TableWrites final : public WriteWatcher {
   public:
    explicit TableWrites(Monitor& monitor) : monitor_(monitor) {}
    void written(GuestPhysical, unsigned) override;

   private:
    Monitor& monitor_;
  };
  class CodeWrites final : public WriteWatcher {
   public:
    explicit CodeWrites(Monitor& monitor) : monitor_(monitor) {}
    void written(GuestPhysical, unsigned bytes) override;

   private:
    Monitor& monitor_;
  };

  Processor& processor_;
  Clock& clock_;
  HostInput& input_;
  Console* console_;
  Vm& vm_;
  MonitorOptions options_;

  Vcpu vcpu_{};
  GuestContext context_{};
  GuestLinearMemory linear_;
  WatchedMemory watched_memory_;
  Interpreter interpreter_;
  ShadowPaging shadow_;
  TranslationCache cache_;
  GuestScreen screen_;
  ChurningFrames churning_;
  NativeCode native_code_;
  DescriptorShadow descriptors_;
  TableWrites table_writes_;
  CodeWrites code_writes_;
  MappedFrame cpu_page_frame_;
  VirtualCpuPage& cpu_page_;
  Statistics statistics_{};
  Trace trace_{};

  std::optional<RunEnd> end_{};
  PagingMode paging_mode_ = PagingMode::none;
  std::optional<View> view_{};    // whose root is loaded; none: load it before the next entry
  bool attention_ = true;         // devices or host input want to be looked at
  bool input_waits_ = false;      // for room in a device of the guest's, perhaps
  std::uint64_t alarm_ = 0;       // what the host's timer is armed for; 0: nothing known
  bool tables_written_ = false;   // or INVLPG, since check_descriptor_pages
  bool cache_shown_ = false;      // to user code: it is run from there
  bool stepping_ = false;         // TF is set to reach the next boundary
  bool alignment_checks_ = true;  // the processor has the guest's CR0.AM, else 0
  bool segments_exact_ = false;   // direct_execution_is_exact has said yes since they changed
  std::uint32_t hop_countdown_ = 0;
  std::uint32_t sweep_countdown_ = 0;
  std::uint8_t lights_ = 0;               // of the keyboard, as shown
  std::uint64_t last_interrupt_ = 0;      // when the guest took one, for the watchdog
  std::uint64_t interrupts_counted_ = 0;  // how many there had been by then
  unsigned hops_ = 0;
  unsigned poll_countdown_ =
      0;  // interpreted instructions until the host's interrupts get a chance

  // The guest's page directory entries of a slot of 4 MB: one, with PAE two.
  using SlotEntries = std::array<std::uint64_t, 2>;
  // The window's slot and the guest's tables for it.
  static constexpr std::uint32_t no_table = ShadowPaging::no_frame;
  bool window_suspect_ = true;   // they may have changed since keep_window_clear looked
  bool window_crowded_ = false;  // the guest uses every slot
  bool was_crowded_ = false;     // or has done so: code is guarded from then on
  // Page numbers: the directory, and the page table of each half; all of it without PAE. Then those
  // of clear_slot_.
  ShadowPaging::AlsoWatched window_tables_ = ShadowPaging::none_watched;
  // Where keep_window_clear found nothing that answers, by directory entries whose tables have not
  // been written since.
  struct ClearSlot {
    HostLinear base;
    PagingMode mode;
    bool large_pages;  // CR4.PSE
    SlotEntries entries;
    bool operator==(const ClearSlot&) const = default;
  };
  std::optional<ClearSlot> clear_slot_;

  // The segment caches that the kernel view's descriptors were made from.
  std::array<DescriptorCache, 6> kernel_segments_{};
  bool return_known_ = false;  // note_return_segment has seen them, and the tables' places
  struct CodeSlot {
    GuestLinear base{};
    SlotEntries entries{};
  };
  std::array<DeviceMove, 16> device_moves_{};
  SlotEntries slot_entries(GuestLinear base) const;
  // With translated code.
  std::array<CodeSlot, 32> code_slots_{};
  unsigned code_slot_count_ = 0;
  // Set by a load of CR3 that found other entries: instructions of the kernel that are interpreted
  // before the cache gives up what is not there.
  static constexpr unsigned most_patience = 64;
  unsigned code_patience_ = 0;
  bool code_suspect_ = false;  // one of them may have changed since check_code_slots looked
  // The pages of the guest's GDT and LDT, and where they were when the images were made.
  struct TablePage {
    GuestLinear linear{};
    std::optional<GuestPhysical> physical{};
  };
  std::array<TablePage, DescriptorShadow::max_pages> table_pages_{};
  unsigned table_page_count_ = 0;
  bool descriptors_current_ = false;  // the user view's images are the guest's tables
  bool tables_compared_ = false;      // by the snapshot; else their pages are watched
  bool tables_shared_ = false;        // user code has written to their pages
  bool tables_suspect_ = true;        // something but user code has run since they were compared
  TableSnapshot snapshot_;
  // Writes to the tables' pages between two entries of user code that are carried through one by
  // one.
  static constexpr unsigned most_descriptor_writes = 16;
  unsigned descriptor_writes_left_ = most_descriptor_writes;
};

}  // namespace undercroft
