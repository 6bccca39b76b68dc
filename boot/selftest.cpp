#include "selftest.hpp"

#include <algorithm>
#include <array>

#include "arch/x86/descriptors.hpp"
#include "arch/x86/image_layout.hpp"
#include "arch/x86/instructions.hpp"
#include "arch/x86/machine_exit.hpp"
#include "arch/x86/panic.hpp"
#include "monitor/exception.hpp"
#include "monitor/inspect/format.hpp"
#include "monitor/memory/mapping_slots.hpp"
#include "monitor/vcpu.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::boot {
namespace {

using x86::Machine;

constexpr unsigned flat_code_index = 16;
constexpr unsigned flat_data_index = 17;
constexpr unsigned fresh_data_index = 18;  // its accessed bit is clear
constexpr unsigned ldt_data_index = 4;
constexpr std::uint32_t user_page = 0x00c00000;  // a page of the user view's own root
constexpr std::uint32_t unmapped = 0x00800000;
constexpr std::uint32_t patterns = 0x5eed0000;

constexpr std::uint32_t ring3(unsigned index) { return host_gdt::selector(index, 3); }
constexpr std::uint32_t number(Vector vector) { return static_cast<std::uint32_t>(vector); }

// The user view's root: the window and one page of user memory.
struct alignas(page_size) Page {
  std::uint32_t words[1024];
};
Page user_root, user_table, user_memory;

struct Expected {
  std::uint32_t vector, error_code, eip_advance;
};

class SelfTest {
 public:
  explicit SelfTest(Machine& machine)
      : machine_(machine),
        slots_(reinterpret_cast<std::byte*>(window::mapping_slots), machine.slot_port()) {}

  void run_all() {
    prepare_descriptors();
    machine_.load_root(machine_.monitor_root());
    test_exceptions();
    test_memory_rights();
    test_virtual_cpu_page();
    test_selectors();
    test_host_interrupts();
    test_device_not_available();
    prepare_user_view();
    test_user_view();
    test_virtual_8086();
    test_global_pages();
    machine_.load_root(machine_.monitor_root());
  }

  // Time stamp ticks for one way in and back.
  std::uint32_t round_trip() {
    constexpr unsigned rounds = 1000;
    const std::uint64_t start = machine_.time_stamp();
    for (unsigned i = 0; i < rounds; ++i) enter("round trip", {{0x0f, 0x0b}});
    return static_cast<std::uint32_t>((machine_.time_stamp() - start) / rounds);
  }

 private:
  using Code = std::array<std::uint8_t, 12>;

  void check(bool condition, const char* test, const char* what) {
    if (condition) return;
    print(machine_, "selftest: {}: {}\n", test, what);
    print(machine_, "vector {x} error {x} eip {x8} cs {x} eflags {x} esp {x8} cr2 {x8}\n",
          context_.vector, context_.error_code, context_.eip, context_.cs, context_.eflags,
          context_.esp, context_.fault_address);
    x86::panic("selftest failed");
  }

  std::uint64_t& gdt(View view, unsigned index) { return machine_.gdt_image(view)[index]; }

  void prepare_descriptors() {
    using namespace x86::descriptor_access;
    const auto flat = [](std::uint32_t access) {
      return x86::segment_descriptor(0, 0xffffffff, access | dpl_3, x86::flag_32_bit);
    };
    for (const View view : {View::kernel, View::user}) {
      gdt(view, flat_code_index) = flat(code_readable);
      gdt(view, flat_data_index) = flat(data_writable);
      gdt(view, fresh_data_index) = flat(data_writable & ~1u);
      machine_.ldt_image(view)[ldt_data_index] = flat(data_writable);
    }
  }

  // Writes code into the translation cache, through the mapping slots, and sets up a context there.
  void prepare(const Code& code) {
    const MappedFrame frame = slots_.map(x86::physical_of_offset(window::cache));
    std::copy(code.begin(), code.end(), frame.as<std::uint8_t>());
    context_ = {};
    context_.cs = ring3(host_gdt::cache_code);
    context_.eip = window::cache;
    context_.ss = context_.ds = context_.es = ring3(flat_data_index);
    context_.gs = ring3(host_gdt::cpu_page);
    context_.eflags = eflags::always_one;
    context_.esp = patterns | 0x57;
    context_.eax = patterns | 1, context_.ebx = patterns | 2, context_.ecx = patterns | 3;
    context_.edx = patterns | 4, context_.esi = patterns | 5, context_.edi = patterns | 6;
    context_.ebp = patterns | 7;
  }

  void enter(const char* test, const Code& code) {
    prepare(code);
    machine_.enter(context_);
    check(context_.ecx == (patterns | 3) && context_.edx == (patterns | 4) &&
              context_.esi == (patterns | 5) && context_.edi == (patterns | 6) &&
              context_.ebp == (patterns | 7) && context_.esp == (patterns | 0x57),
          test, "registers changed");
  }

  void expect(const char* test, Expected expected) {
    check(context_.vector == expected.vector, test, "wrong vector");
    check(context_.error_code == expected.error_code, test, "wrong error code");
    check(context_.eip == window::cache + expected.eip_advance, test, "wrong EIP");
    check(context_.cs == ring3(host_gdt::cache_code), test, "wrong CS");
  }

  void test_exceptions() {
    struct Case {
      const char* name;
      Code code;
      Expected expected;
    };
    const std::uint32_t protection = number(Vector::general_protection);
    const Case cases[] = {
        {"ud2", {0x90, 0x0f, 0x0b}, {number(Vector::invalid_opcode), 0, 1}},
        {"hlt", {0xf4}, {protection, 0, 0}},
        {"int3", {0xcc}, {protection, 3 * 8 + 2, 0}},
        {"int 0x80", {0xcd, 0x80}, {protection, 0x80 * 8 + 2, 0}},
        {"int 8", {0xcd, 0x08}, {protection, 8 * 8 + 2, 0}},
        {"in", {0xe4, 0x80}, {protection, 0, 0}},
        {"out", {0xe6, 0x80}, {protection, 0, 0}},
        {"cli", {0xfa}, {protection, 0, 0}},
        {"mov cr0", {0x0f, 0x20, 0xc0}, {protection, 0, 0}},
        {"sysenter", {0x0f, 0x34}, {protection, 0, 0}},
        {"divide", {0x31, 0xdb, 0xf7, 0xf3}, {number(Vector::divide_error), 0, 2}},
    };
    for (const Case& test : cases) {
      enter(test.name, test.code);
      expect(test.name, test.expected);
    }
    prepare({0x90});
    context_.eflags |= eflags::trap;
    machine_.enter(context_);
    expect("single step", {number(Vector::debug), 0, 1});
  }

  void expect_page_fault(const char* test, std::uint32_t error_code, std::uint32_t address) {
    expect(test, {number(Vector::page_fault), error_code, 0});
    check(context_.fault_address == address, test, "wrong fault address");
  }

  // mov eax, [address] and mov [address], eax through the flat data segment.
  void access(const char* test, std::uint32_t address, bool write) {
    const auto byte = [&](unsigned i) { return static_cast<std::uint8_t>(address >> (8 * i)); };
    const std::uint8_t opcode = write ? 0xa3 : 0xa1;
    enter(test, {opcode, byte(0), byte(1), byte(2), byte(3), 0x0f, 0x0b});
  }

  void test_memory_rights() {
    constexpr std::uint32_t present = 1, write = 2, user = 4;
    const std::uint32_t base = machine_.window_base().value();
    const std::uint32_t cache_slot =
        x86::offset_of(slots_.map(x86::physical_of_offset(window::cache)).bytes());
    access("read unmapped", unmapped, false);
    expect_page_fault("read unmapped", user, unmapped);
    struct Case {
      const char* name;
      std::uint32_t offset;
    };
    for (const Case& page : {Case{"text", window::image_start}, Case{"gdt", window::gdt},
                             Case{"ldt", window::ldt}, Case{"data", x86::offset_of(&user_root)},
                             Case{"screen", window::screen}, Case{"slots", cache_slot}}) {
      access(page.name, base + page.offset, false);
      expect_page_fault(page.name, present | user, base + page.offset);
      access(page.name, base + page.offset, true);
      expect_page_fault(page.name, present | write | user, base + page.offset);
    }
    for (const Case& page : {Case{"jump table", window::jump_table}, Case{"cache", window::cache},
                             Case{"cache's end", window::cache_end - page_size}}) {
      access(page.name, base + page.offset, false);
      expect(page.name, {number(Vector::invalid_opcode), 0, 5});
      access(page.name, base + page.offset, true);
      expect_page_fault(page.name, present | write | user, base + page.offset);
    }
    access("page 0", base, false);
    expect_page_fault("page 0", user, base);
  }

  // mov gs:[0x10], eax; hlt. Then mov ebx, gs:[0x10]; hlt.
  void test_virtual_cpu_page() {
    enter("cpu page", {0x65, 0xa3, 0x10, 0, 0, 0, 0xf4});
    expect("cpu page", {number(Vector::general_protection), 0, 6});
    const MappedFrame frame = slots_.map(x86::physical_of_offset(window::cpu_page));
    check(frame.words()[4] == (patterns | 1), "cpu page", "write did not arrive");
    frame.words()[4] = patterns | 0x99;
    enter("cpu page", {0x65, 0x8b, 0x1d, 0x10, 0, 0, 0, 0xf4});
    expect("cpu page", {number(Vector::general_protection), 0, 7});
    check(context_.ebx == (patterns | 0x99), "cpu page", "read did not see the write");
  }

  void test_selectors() {
    const Code ud2{0x0f, 0x0b};
    prepare(ud2);
    context_.ds = ring3(4000);  // not present
    machine_.enter(context_);
    expect("null descriptor", {trap_entry_failed, ring3(4000) & ~3u, 0});
    check(context_.eax == (patterns | 1) && context_.ds == ring3(4000), "null descriptor",
          "context changed");

    prepare(ud2);
    context_.fs = ring3(fresh_data_index);
    machine_.enter(context_);
    expect("accessed bit", {number(Vector::page_fault), 3, 0});
    const std::uint32_t entry =
        (machine_.window_base() + (window::gdt + fresh_data_index * 8)).value();
    check(context_.fault_address - entry < 8, "accessed bit", "wrong fault address");
    gdt(View::kernel, fresh_data_index) |= std::uint64_t{1} << 40;
    machine_.enter(context_);
    expect("accessed bit set", {number(Vector::invalid_opcode), 0, 0});
    check(context_.fs == ring3(fresh_data_index), "accessed bit set", "wrong FS");

    const std::uint32_t local = ring3(ldt_data_index) | 4;
    for (const bool with_ldt : {true, false}) {
      machine_.set_ldt_entries(with_ldt ? ldt_data_index + 1 : 0);
      prepare(ud2);
      context_.es = local;
      machine_.enter(context_);
      expect("ldt", with_ldt ? Expected{number(Vector::invalid_opcode), 0, 0}
                             : Expected{trap_entry_failed, local & ~3u, 0});
    }
    prepare(ud2);
    context_.cs = ring3(flat_data_index);
    machine_.enter(context_);
    check(context_.vector == trap_entry_failed, "data segment as CS", "entered");
  }

  // Setting an alarm while one is pending may leave a spurious interrupt 7 (8259 data sheet).
  void test_host_interrupts() {
    const bool by_apic = machine_.timer().alarm_source() == x86::AlarmSource::apic;
    const unsigned line = by_apic ? x86::LocalApic::timer_line : x86::HostTimer::irq;
    prepare({0xeb, 0xfe});  // jmp .
    context_.eflags |= eflags::interrupt;
    machine_.set_alarm(20'000);
    for (unsigned i = 0; i < 2; ++i) {
      machine_.enter(context_);
      check(is_host_interrupt(context_.vector), "alarm", "other trap");
      machine_.acknowledge_interrupt(context_.vector - host_interrupt_base);
      if (context_.vector == host_interrupt_base + line) break;
    }
    expect("alarm", {host_interrupt_base + line, 0, 0});

    // An earlier alarm may still be pending, so one interrupt too many is allowed for.
    const std::uint64_t before = machine_.timer().now();
    machine_.set_alarm(2'000'000);
    std::uint64_t waited = 0;
    for (unsigned i = 0; i < 3 && waited < 1'500'000; ++i) {
      machine_.wait_for_interrupt();
      waited = machine_.timer().now() - before;
    }
    check(waited >= 1'500'000, "wait for interrupt", "came too early");
  }

  void test_device_not_available() {
    machine_.set_guest_controls(cr0::task_switched, 0);
    enter("fnop with TS", {0xd9, 0xd0, 0x0f, 0x0b});
    expect("fnop with TS", {number(Vector::device_not_available), 0, 0});
    machine_.set_guest_controls(0, 0);
    enter("fnop", {0xd9, 0xd0, 0x0f, 0x0b});
    expect("fnop", {number(Vector::invalid_opcode), 0, 2});
  }

  // They would not be missed otherwise: without them all is right, and slower.
  void test_global_pages() {
    machine_.set_guest_controls(0, 0);
    const bool offered = machine_.cpuid(1, 0).edx & 1u << 13;
    const bool on = x86::read_cr4() & cr4::page_global_enable;
    check(on == offered, "global pages", "CR4.PGE is not what CPUID offers");
  }

  void prepare_user_view() {
    user_root = {};
    user_table.words[0] = x86::physical_of(&user_memory).value() | 7;
    user_root.words[0] = x86::physical_of(&user_table).value() | 7;
    user_root.words[user_page >> 22] = x86::physical_of(&user_table).value() | 7;
    user_root.words[machine_.window_base().value() >> 22] = machine_.window_entry(View::user);
    machine_.load_root(x86::physical_of(&user_root));
  }

  // The cache and the virtual CPU page are out of reach there, and have no descriptors.
  void test_user_view() {
    prepare({0x0f, 0x0b});
    machine_.enter(context_);
    check(context_.vector == trap_entry_failed, "user view", "has the cache's segment");

    prepare({});
    user_memory.words[0] = 0x0b0f;
    context_.cs = ring3(flat_code_index);
    context_.eip = user_page;
    context_.gs = 0;
    machine_.enter(context_);
    check(context_.vector == number(Vector::invalid_opcode) && context_.eip == user_page,
          "user view", "code did not run");

    context_.eip = (machine_.window_base() + window::cache).value();
    machine_.enter(context_);
    check(context_.vector == number(Vector::page_fault) && (context_.error_code & 4) &&
              context_.fault_address == context_.eip,
          "user view", "the cache can be read");
  }

  // mov ax, 0x1234; cli at 0000:0010, with the page mapped at linear 0 unless the window is there.
  void test_virtual_8086() {
    if (machine_.window_base().value() == 0) return;
    user_memory.words[4] = 0xfa1234b8;
    prepare({});
    context_.eflags |= eflags::virtual_8086;
    context_.cs = 0;
    context_.eip = 0x10;
    context_.ss = 0x10;
    context_.v86_ds = 0x1111, context_.v86_es = 0x2222;
    context_.v86_fs = 0x3333, context_.v86_gs = 0x4444;
    machine_.enter(context_);
    check(context_.vector == number(Vector::general_protection) && context_.error_code == 0 &&
              context_.eip == 0x13,
          "virtual 8086", "wrong trap");
    check(context_.eax == (patterns | 0x1234) && (context_.eflags & eflags::virtual_8086) &&
              context_.ss == 0x10 && context_.v86_ds == 0x1111 && context_.v86_es == 0x2222 &&
              context_.v86_fs == 0x3333 && context_.v86_gs == 0x4444,
          "virtual 8086", "wrong registers");
  }

  Machine& machine_;
  MappingSlots slots_;
  GuestContext context_{};
};

// Writes to page 0 of the window, where nothing is mapped. The address passes through a volatile so
// that the compiler does not know it.
[[gnu::noinline]] void panic_by_page_fault() {
  volatile std::uint32_t address = 0x10;
  *reinterpret_cast<volatile std::uint32_t*>(address) = 1;
}

// The stack's end is a guard page, where the processor cannot push the fault's frame either. It
// ends long before the count does.
[[gnu::noinline]] std::uint32_t overflow_stack(std::uint32_t depth) {
  volatile std::uint32_t here[64];
  here[0] = depth;
  return depth == 0 ? 0 : overflow_stack(depth - 1) + here[0];
}

}  // namespace

void run_selftest(Machine& machine, SelfTestKind kind) {
  if (kind == SelfTestKind::panic) panic_by_page_fault();
  if (kind == SelfTestKind::overflow) overflow_stack(1000000);
  SelfTest test(machine);
  constexpr std::uint32_t bases[] = {0xff000000, 0x40000000, 0xffc00000, 0x00000000, 0x80000000};
  for (const std::uint32_t base : bases) {
    machine.move_window(HostLinear(base));
    test.run_all();
    print(machine, "selftest: window at {}: round trip {} ticks\n", machine.window_base(),
          test.round_trip());
  }
  print(machine, "selftest: ok\n");
  x86::exit_machine(x86::ExitCode::powered_off);
}

}  // namespace undercroft::boot
