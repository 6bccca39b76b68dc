// Host interrupts in translated code: the monitor runs a guest kernel on a processor made of the
// interpreter, which executes the cache at CPL 3. A host interrupt before any one of its
// instructions must change nothing that the guest can see.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <vector>

#include "monitor/instruction/interpreter.hpp"
#include "monitor/monitor.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/device_fakes.hpp"
#include "tests/unit/fakes/fake_processor.hpp"
#include "tests/unit/fakes/machine_memory.hpp"
#include "tests/unit/instruction/interpreter_machine.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t ram_bytes = 2u << 20;
constexpr std::uint32_t gdt = 0x1000, code = 0x2000, data = 0x4000, stack = 0x8000;
constexpr unsigned debug = 1, timer = host_interrupt_base;

struct NoInput final : HostInput {
  bool read_serial(std::uint8_t&) override { return false; }
  bool read_keyboard(std::uint8_t&) override { return false; }
};

// The linear memory of a guest without paging, and the window's user pages in it.
class WindowedMemory final : public LinearMemory {
 public:
  WindowedMemory(GuestMemory& guest, std::byte* window, HostLinear base)
      : guest_(guest), window_(window), base_(base.value()) {}

  Guarded<std::uint32_t> read(GuestLinear address, unsigned size, Privilege) override {
    const std::uint32_t offset = address.value() - base_;
    if (is_device(address)) return fault(address, 4);
    if (offset >= window::size) return guest_.read(GuestPhysical(address.value()), size);
    const bool in_page = offset >= window::cpu_page && offset < window::cpu_page + page_size;
    const bool in_cache = offset >= window::jump_table && offset < window::cache_end;
    if (!in_page && !in_cache) return fault(address, 4);
    std::uint32_t value = 0;
    std::memcpy(&value, window_ + offset, size);
    return value;
  }
  Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned size, Privilege) override {
    const std::uint32_t offset = address.value() - base_;
    if (is_device(address) || is_watched(address)) return fault(address, 6);
    if (offset >= window::size) {
      guest_.write(GuestPhysical(address.value()), value, size);
      return Done{};
    }
    if (offset < window::cpu_page || offset >= window::cpu_page + page_size)
      return fault(address, 6);
    std::memcpy(window_ + offset, &value, size);
    return Done{};
  }
  Guarded<std::uint32_t> read_to_modify(GuestLinear address, unsigned size,
                                        Privilege privilege) override {
    return read(address, size, privilege);
  }
  Guarded<Done> probe_write(GuestLinear, unsigned, Privilege) override { return Done{}; }
  Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out, Privilege) override {
    const std::uint32_t offset = address.value() - base_;
    if (offset >= window::cache_end) return fault(address, 4);
    std::memcpy(out.data(), window_ + offset, out.size());
    return static_cast<unsigned>(out.size());
  }

 private:
  bool is_device(GuestLinear address) {
    return guest_.table().entry(GuestPhysical(address.value())).kind == FrameKind::device;
  }
  bool is_watched(GuestLinear address) {
    return guest_.table().entry(GuestPhysical(address.value())).watchers.any();
  }
  static Failure<Exception> fault(GuestLinear address, std::uint32_t code) {
    return Failure{Exception::page_fault(address, code)};
  }
  GuestMemory& guest_;
  std::byte* window_;
  std::uint32_t base_;
};

// A machine with one guest, from its start to its end.
class GuestRun {
 public:
  explicit GuestRun(const std::vector<std::uint8_t>& program) {
    pool.add_range(HostPhysical(0x800000), 40u << 20);
    EXPECT_TRUE(vm.lay_out(ram_bytes, true));
    // A guest that goes astray meets INT3, has no IDT, and ends.
    vm.memory.fill(GuestPhysical(0), std::byte{0xcc}, ram_bytes);
    vm.memory.fill(GuestPhysical(data), std::byte{0}, stack - data);
    for (std::uint32_t i = 0; i < program.size(); ++i) {
      vm.memory.write(GuestPhysical(code + i), program[i], 1);
    }
    const std::uint64_t descriptors[] = {0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    vm.memory.write(GuestPhysical(gdt), std::as_bytes(std::span(descriptors)));
    Vcpu& start = vcpu;
    start.cr0 |= cr0::protection_enable;
    start.eip = code;
    start.gdtr = {GuestLinear(gdt), 31};
    start.general = {1, 2, 3, 4, stack, 6, 7, 8};
    for (unsigned i = 0; i < 6; ++i) {
      const bool is_code = i == static_cast<unsigned>(Segment::cs);
      start.segments[i] = {static_cast<std::uint16_t>(is_code ? 0x10 : 0x18),
                           static_cast<std::uint16_t>(is_code ? 0xc09b : 0xc093), 0, 0xffffffff,
                           true};
    }
    processor.guest = [this](GuestContext& context) { enter(context); };
  }

  // interrupt_at: before how many instructions of the cache a host interrupt comes. time_passes:
  // nanoseconds that the guest's devices then see gone.
  void run(unsigned interrupt_at, std::uint64_t time_passes = 0) {
    interrupt_at_ = interrupt_at;
    time_passes_ = time_passes;
    const Monitor::Foundation foundation{processor, clock, input, vm, window, image};
    const auto monitor = std::make_unique<Monitor>(foundation, MonitorOptions{});
    end = monitor->run(vcpu);
    vcpu = monitor->vcpu();
    const auto& operations = monitor->statistics().interpreted_operations;
    interpreted_moves = operations[static_cast<unsigned>(Operation::mov)];
    interpreted_ports = operations[static_cast<unsigned>(Operation::in)] +
                        operations[static_cast<unsigned>(Operation::out)];
    interpreted = monitor->statistics().interpreted;
  }
  GuestMemory& guest() { return vm.memory; }
  std::span<const std::uint64_t> alarms() const { return processor.alarms; }
  std::vector<std::uint32_t> memory() {
    std::vector<std::uint32_t> words;
    for (std::uint32_t at = data; at < stack; at += 4) {
      words.push_back(vm.memory.read(GuestPhysical(at), 4));
    }
    return words;
  }

  RunEnd end;
  Vcpu vcpu;
  unsigned executed = 0;  // instructions of the cache
  std::uint64_t interpreted_moves = 0, interpreted_ports = 0;
  std::uint64_t interpreted = 0;

 private:
  void enter(GuestContext& context) {
    Vcpu cpu = load(context);
    context.error_code = 0;
    for (;;) {
      if (executed++ == interrupt_at_) {
        clock.time += time_passes_;
        return store(context, cpu, timer);
      }
      EXPECT_LT(executed, 100000u);
      if (executed >= 100000) std::abort();
      const StepOutcome outcome = interpreter.step(cpu);
      if (outcome.kind == StepOutcome::Kind::exception) {
        context.error_code = outcome.exception.error_code;
        context.fault_address = outcome.exception.fault_address.value();
        return store(context, cpu, static_cast<unsigned>(outcome.exception.vector));
      }
      if (outcome.single_step) return store(context, cpu, debug);
    }
  }
  Vcpu load(const GuestContext& context) {
    Vcpu cpu;
    cpu.general = {context.eax, context.ecx, context.edx, context.ebx,
                   context.esp, context.ebp, context.esi, context.edi};
    cpu.eip = context.eip;
    cpu.eflags = context.eflags;
    cpu.cr0 |= cr0::protection_enable;
    cpu.cpl = 3;
    for (unsigned i = 0; i < 6; ++i) {
      cpu.segments[i] = {0x1b, 0xc0f3, 0, 0xffffffff, true};
    }
    cpu[Segment::cs] = {0x13, 0xc0fb, processor.window.value(), window::cache_end - 1, true};
    cpu[Segment::gs] = {0x23, 0x40f3, processor.window.value() + window::cpu_page, page_mask, true};
    return cpu;
  }
  static void store(GuestContext& context, const Vcpu& cpu, unsigned vector) {
    context.vector = vector;
    context.eax = cpu[Register::eax];
    context.ecx = cpu[Register::ecx];
    context.edx = cpu[Register::edx];
    context.ebx = cpu[Register::ebx];
    context.esp = cpu[Register::esp];
    context.ebp = cpu[Register::ebp];
    context.esi = cpu[Register::esi];
    context.edi = cpu[Register::edi];
    context.eip = cpu.eip;
    context.eflags = cpu.eflags;
  }

  static constexpr HostPhysical image{0x100000};
  MachineMemory machine;
  std::byte* window = machine.view(image, window::size, PROT_READ | PROT_WRITE);
  FramePool pool{machine.slots};
  FakeClock clock;
  RecordingSink com1, debug_console;
  RecordingLog log;
  Pc pc{{ram_bytes, 0}, clock, com1, debug_console, log};
  Vm vm{machine.slots, pool, pc};
  NoInput input;
  FakeProcessor processor;
  WindowedMemory memory_{vm.memory, window, processor.window};
  RecordingEnvironment environment;
  Interpreter interpreter{memory_, environment};
  unsigned interrupt_at_ = ~0u;
  std::uint64_t time_passes_ = 0;
};

// An interrupt between two iterations of a string instruction pushes RF as 1, any other as 0 (SDM
// volume 3, 17.3.1.1).
TEST(GuestInterrupt, PushesRfWithinARepeatedInstruction) {
  constexpr std::uint32_t idt = 0x1100, handler = 0x3000, timer_vector = 8;
  const std::vector<std::uint8_t> program = {0xb9, 0x20, 0x4e, 0,    0,  // mov ecx, 20000
                                             0xbe, 0,    0,    1,    0,  // mov esi, 0x10000
                                             0xfb,                       // sti
                                             0xf3, 0xac,                 // rep lodsb
                                             0x40, 0x41, 0x42, 0xeb, 0xfb};
  bool within = false, between = false;
  for (unsigned at = 8; at < 24; ++at) {
    GuestRun run(program);
    run.vcpu.idtr = {GuestLinear(idt), 0x7f};
    const Descriptor gate = Descriptor::gate(SystemType::interrupt_gate_32, 0, 0x10, handler);
    run.guest().write(GuestPhysical(idt + timer_vector * 8), gate.low(), 4);
    run.guest().write(GuestPhysical(idt + timer_vector * 8 + 4), gate.high(), 4);
    run.guest().write(GuestPhysical(handler), 0xf4e6, 2);  // out 0xf4, al
    run.run(at, 60'000'000);
    ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << at;
    const std::uint32_t esp = run.vcpu[Register::esp];
    const std::uint32_t eip = run.guest().read(GuestPhysical(esp), 4);
    const std::uint32_t flags = run.guest().read(GuestPhysical(esp + 8), 4);
    const bool repeats = eip == code + 11 && run.vcpu[Register::ecx] != 20000;
    EXPECT_EQ((flags & eflags::resume) != 0, repeats) << at;
    within |= repeats;
    between |= !repeats;
  }
  EXPECT_TRUE(within);
  EXPECT_TRUE(between);
}

// 100 writes and 200 reads: the interpreter has the first of each.
TEST(DeviceRegisters, AreReachedWithinTheFault) {
  GuestRun run({0xb9, 100,  0,    0,    0,           // mov ecx, 100
                0x89, 0x0d, 0x80, 0,    0xe0, 0xfe,  // mov [fee00080], ecx
                0x03, 0x1d, 0x80, 0,    0xe0, 0xfe,  // add ebx, [fee00080]: not a MOV
                0xa1, 0x30, 0,    0xe0, 0xfe,        // mov eax, [fee00030]
                0x8b, 0x35, 0x80, 0,    0xe0, 0xfe,  // mov esi, [fee00080]
                0xe2, 0xe7, 0xe6, 0xf4});            // loop; out f4, al
  run.vcpu[Register::ebx] = 0;
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx], 5050u);
  EXPECT_EQ(run.vcpu[Register::eax], 0x50014u);
  EXPECT_EQ(run.vcpu[Register::esi], 1u);
  EXPECT_LE(run.interpreted_moves, 6u);
}

// A self-IPI by a MOV that is served so is delivered before the next instruction.
TEST(DeviceRegisters, AnInterruptThatAnAccessMakesIsDelivered) {
  constexpr std::uint32_t idt = 0x1100, handler = 0x3000, vector = 0x21;
  GuestRun run({0xfb, 0xb9, 3,    0,    0,    0,             // sti; mov ecx, 3
                0xb8, 0x21, 0,    4,    0,                   // mov eax, 40021
                0xa3, 0,    3,    0xe0, 0xfe,                // mov [fee00300], eax
                0x01, 0xdf, 0xe2, 0xf7, 0xfa, 0xe6, 0xf4});  // add edi, ebx; loop; cli; out
  run.vcpu.idtr = {GuestLinear(idt), 0x1ff};
  const Descriptor gate = Descriptor::gate(SystemType::interrupt_gate_32, 0, 0x10, handler);
  run.guest().write(GuestPhysical(idt + vector * 8), gate.low(), 4);
  run.guest().write(GuestPhysical(idt + vector * 8 + 4), gate.high(), 4);
  const std::uint8_t in_handler[] = {0x43, 0xc7, 0x05, 0xb0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0xcf};
  for (unsigned i = 0; i < sizeof in_handler; ++i) {
    run.guest().write(GuestPhysical(handler + i), in_handler[i], 1);
  }
  run.vcpu[Register::ebx] = run.vcpu[Register::edi] = 0;
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx], 3u);
  EXPECT_EQ(run.vcpu[Register::edi], 1u + 2u + 3u);
}

// A kernel with a breakpoint armed elsewhere runs as fast as any: its timer would overtake it.
TEST(Breakpoints, FarFromTheCodeDoNotKeepItFromTheCache) {
  constexpr std::uint32_t far = 0x10000;
  const std::vector<std::uint8_t> program = {
      0xb8, 0,    0,    1,    0,     // mov eax, 10000
      0x0f, 0x23, 0xc0,              // mov dr0, eax
      0xb8, 0x02, 0x04, 0x0d, 0,     // mov eax, d0402: four bytes, writes
      0x0f, 0x23, 0xf8,              // mov dr7, eax
      0xb9, 200,  0,    0,    0,     // mov ecx, 200
      0x8b, 0x1d, 0,    0x40, 0, 0,  // mov ebx, [4000]
      0x89, 0x0d, 0,    0x40, 0, 0,  // mov [4000], ecx
      0xe2, 0xf2, 0xe6, 0xf4};       // loop; out f4, al
  GuestRun run(program);
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu.breakpoints[0], far);
  EXPECT_EQ(run.vcpu[Register::ebx], 2u);
  EXPECT_LE(run.interpreted_moves, 8u);
}

TEST(SegmentLoads, AreDoneWithinTheExit) {
  GuestRun run({0xb8, 0x20, 0,    0,    0,           // mov eax, 20
                0x8e, 0xd8,                          // mov ds, eax
                0x8b, 0x1d, 0,    0x40, 0,    0,     // mov ebx, [4000]
                0x1e, 0x07,                          // push ds; pop es
                0x6a, 3,    0x0f, 0xa1,              // push 3; pop fs
                0x6a, 0x18, 0x0f, 0xa9,              // push 18; pop gs
                0x26, 0x8b, 0x0d, 4,    0x40, 0, 0,  // mov ecx, es:[4004]
                0x8c, 0xe2,                          // mov edx, fs
                0xe6, 0xf4});                        // out f4, al
  run.vcpu.gdtr.limit = 39;
  const Descriptor small = Descriptor::segment(0, 0xffff, 0x4092);  // not accessed yet
  run.guest().write(GuestPhysical(gdt + 0x20), small.low(), 4);
  run.guest().write(GuestPhysical(gdt + 0x24), small.high(), 4);
  run.guest().write(GuestPhysical(data), 0x11223344, 4);
  run.guest().write(GuestPhysical(data + 4), 0x55667788, 4);
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx], 0x11223344u);
  EXPECT_EQ(run.vcpu[Register::ecx], 0x55667788u);
  EXPECT_EQ(run.vcpu[Register::edx], 3u);
  EXPECT_EQ(run.vcpu[Register::esp], stack);
  EXPECT_EQ(run.vcpu[Segment::ds], small.with_accessed().cache(0x20));
  EXPECT_EQ(run.vcpu[Segment::es], small.with_accessed().cache(0x20));
  EXPECT_FALSE(run.vcpu[Segment::fs].usable);
  EXPECT_EQ(run.vcpu[Segment::gs].selector, 0x18);
  EXPECT_TRUE(run.guest().read(GuestPhysical(gdt + 0x24), 4) & 0x100) << "accessed";
  EXPECT_EQ(run.interpreted, 0u);
}

// A selector beyond the table: the interpreter raises what it means, with nothing done.
TEST(SegmentLoads, ThatFaultAreLeftToTheInterpreter) {
  GuestRun run({0x6a, 0x40, 0x1f});  // push 40; pop ds
  run.run(~0u);
  EXPECT_EQ(run.end.kind, RunEnd::Kind::triple_fault);
  EXPECT_EQ(run.vcpu[Register::esp], stack - 4);
  EXPECT_EQ(run.vcpu[Segment::ds].selector, 0x18);
  EXPECT_EQ(run.vcpu.eip, code + 2);
}

// MOV SS meets a breakpoint, INT n follows: the first thing in the handler is #DB.
TEST(Breakpoints, HeldBackByMovSsStrikeInTheHandlerOfIntN) {
  constexpr std::uint32_t idt = 0x1100, handler = 0x3000, debug_handler = 0x3100, vector = 0x21;
  const std::vector<std::uint8_t> program = {
      0xb8, 0,    0x40, 0,    0,     // mov eax, 4000
      0xc7, 0x00, 0x18, 0,    0, 0,  // mov dword [eax], 18
      0x0f, 0x23, 0xc0,              // mov dr0, eax
      0xb8, 0x02, 0x04, 0x0f, 0,     // mov eax, f0402: four bytes, any access
      0x0f, 0x23, 0xf8,              // mov dr7, eax
      0x8e, 0x15, 0,    0x40, 0, 0,  // mov ss, [4000]
      0xcd, 0x21};                   // int 21
  GuestRun run(program);
  run.vcpu.idtr = {GuestLinear(idt), 0x1ff};
  for (const auto& [n, place] : {std::pair{vector, handler}, std::pair{debug, debug_handler}}) {
    const Descriptor gate = Descriptor::gate(SystemType::interrupt_gate_32, 0, 0x10, place);
    run.guest().write(GuestPhysical(idt + n * 8), gate.low(), 4);
    run.guest().write(GuestPhysical(idt + n * 8 + 4), gate.high(), 4);
    run.guest().write(GuestPhysical(place), 0xf4e6, 2);  // out f4, al
  }
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu.eip, debug_handler + 2);
  EXPECT_EQ(run.vcpu.dr6 & 0xe00f, 1u);
  const std::uint32_t esp = run.vcpu[Register::esp];
  EXPECT_EQ(run.guest().read(GuestPhysical(esp), 4), handler);
  EXPECT_EQ(run.guest().read(GuestPhysical(esp + 12), 4), code + program.size());
}

// A gate for the vector, to a handler that counts in EBX and returns.
void put_counting_handler(GuestRun& run, unsigned vector,
                          std::initializer_list<std::uint8_t> in_handler) {
  constexpr std::uint32_t idt = 0x1100, handler = 0x3000;
  run.vcpu.idtr = {GuestLinear(idt), 0x3ff};
  const Descriptor gate = Descriptor::gate(SystemType::interrupt_gate_32, 0, 0x10, handler);
  run.guest().write(GuestPhysical(idt + vector * 8), gate.low(), 4);
  run.guest().write(GuestPhysical(idt + vector * 8 + 4), gate.high(), 4);
  std::uint32_t at = handler;
  for (const std::uint8_t byte : in_handler) run.guest().write(GuestPhysical(at++), byte, 1);
  run.vcpu[Register::ebx] = run.vcpu[Register::edi] = 0;
}

// The PCI configuration address: ecx times written and read back, in all widths and both forms.
TEST(Ports, AreReachedWithinTheExit) {
  GuestRun run({0xb9, 100,  0,    0,    0,           // mov ecx, 100
                0x66, 0xba, 0xf8, 0x0c,              // mov dx, cf8
                0x89, 0xc8, 0xc1, 0xe0, 0x08, 0xef,  // mov eax, ecx; shl eax, 8; out dx, eax
                0x31, 0xc0, 0xed, 0x01, 0xc3,        // xor eax, eax; in eax, dx; add ebx, eax
                0xb0, 0x40, 0xe6, 0xa1, 0xe4, 0xa1,  // mov al, 40; out a1, al; in al, a1
                0x01, 0xc7, 0x66, 0xe5, 0x20,        // add edi, eax; in ax, 20
                0xe2, 0xe4, 0xe6, 0xf4});            // loop; out f4, al
  run.vcpu[Register::ebx] = run.vcpu[Register::edi] = 0;
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx], 5050u << 8);
  EXPECT_EQ(run.vcpu[Register::edi], (5050u << 8) + 100 * 0x40);
  EXPECT_EQ(run.interpreted_ports, 0u);
}

// What OUT makes pending is delivered before the next instruction; and with IF clear behind STI,
// which the word in the virtual CPU page tells.
TEST(Ports, AnInterruptThatAWriteMakesIsDelivered) {
  for (const bool masked : {false, true}) {
    SCOPED_TRACE(masked);
    // The counter of COM1's transmitter: OUT 3f9 enables its interrupt, which comes at once.
    GuestRun run({0xb0,
                  0x11,
                  0xe6,
                  0x20,
                  0xb0,
                  0x40,
                  0xe6,
                  0x21,
                  0xb0,
                  4,
                  0xe6,
                  0x21,  // 8259:
                  0xb0,
                  1,
                  0xe6,
                  0x21,
                  0xb0,
                  0xef,
                  0xe6,
                  0x21,                                             // vectors 40 to 47, IRQ 4
                  static_cast<std::uint8_t>(masked ? 0xfa : 0xfb),  // cli or sti
                  0x90,
                  0x66,
                  0xba,
                  0xfc,
                  0x03,
                  0xb0,
                  8,
                  0xee,  // out 3fc, OUT2
                  0x66,
                  0xba,
                  0xf9,
                  0x03,
                  0xb0,
                  2,
                  0xee,  // out 3f9, transmitter empty
                  0x01,
                  0xdf,  // add edi, ebx
                  0xfb,
                  0x90,
                  0x90,
                  0x01,
                  0xdf,  // sti; nop; nop; add edi, ebx
                  0xfa,
                  0xe6,
                  0xf4});  // cli; out f4, al
    // inc ebx; mov al, 0; out dx, al; mov al, 20; out 20, al; iret
    put_counting_handler(run, 0x44, {0x43, 0xb0, 0, 0xee, 0xb0, 0x20, 0xe6, 0x20, 0xcf});
    run.run(~0u);
    ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
    EXPECT_EQ(run.vcpu[Register::ebx], 1u);
    EXPECT_EQ(run.vcpu[Register::edi], masked ? 1u : 2u);
  }
}

// Power, A20 and the end of the run are the loop's.
TEST(Ports, AWriteThatEndsTheRunIsTheGuestsLast) {
  GuestRun reset({0x66, 0xba, 0xf9, 0x0c, 0xb0, 6, 0xee, 0x43, 0xeb, 0xfd});  // cf9
  reset.vcpu[Register::ebx] = 0;
  reset.run(~0u);
  EXPECT_EQ(reset.end.kind, RunEnd::Kind::reset);
  EXPECT_EQ(reset.vcpu[Register::ebx], 0u);
}

TEST(Ports, A20IsMaskedFromTheNextInstructionOn) {
  GuestRun run({0xc6, 0x05, 0,    0x40, 0,    0,    1,           // mov byte [4000], 1
                0xc6, 0x05, 0,    0x40, 0x10, 0,    2,           // mov byte [104000], 2
                0xb0, 0,    0xe6, 0x92, 0xb0, 0xd1, 0xe6, 0x64,  // out 92, 0; out 64, d1
                0xb0, 0xdd, 0xe6, 0x60,                          // out 60, dd
                0x8a, 0x1d, 0,    0x40, 0x10, 0,                 // mov bl, [104000]
                0xb0, 2,    0xe6, 0x92,                          // out 92, 2
                0x8a, 0x3d, 0,    0x40, 0x10, 0,                 // mov bh, [104000]
                0xe6, 0xf4});                                    // out f4, al
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx] & 0xffff, 0x0201u);
}

// A tick of the 8254 comes when it is due though OUT has set the counter within the exit.
TEST(Ports, AWriteToTheTimerMovesTheAlarm) {
  GuestRun run(
      {0xb0, 0x34, 0xe6, 0x43, 0xb0, 0, 0xe6, 0x40, 0xb0, 0x10, 0xe6, 0x40, 0x40, 0xe6, 0xf4});
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  ASSERT_FALSE(run.alarms().empty());
  EXPECT_LT(run.alarms().back(), 4'000'000u);  // 0x1000 ticks are 3.4 ms
  EXPECT_GT(run.alarms().back(), 3'000'000u);
}

// The page of the program itself, which is watched since it has been translated.
TEST(WatchedPages, AreWrittenWithinTheFault) {
  GuestRun run({0xb9, 100,  0,    0,    0,     // mov ecx, 100
                0x89, 0x0d, 0,    0x28, 0, 0,  // mov [2800], ecx
                0x03, 0x1d, 0,    0x28, 0, 0,  // add ebx, [2800]
                0xe2, 0xf2, 0xe6, 0xf4});      // loop; out f4, al
  run.vcpu[Register::ebx] = 0;
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::ebx], 5050u);
  EXPECT_EQ(run.interpreted_moves, 0u);
}

TEST(WatchedPages, AWriteToTheBlockItselfTakesEffect) {
  GuestRun run({0xb9, 2,    0,    0,    0, 0x90, 0x90, 0x90,  // mov ecx, 2
                0x40, 0x40, 0x40, 0x90,                       // 2008: inc eax, three times
                0xc7, 0x05, 8,    0x20, 0, 0,                 // mov dword [2008],
                0x43, 0x43, 0x43, 0x90,                       // inc ebx, three times
                0xe2, 0xf0, 0xe6, 0xf4});                     // loop; out f4, al
  run.vcpu[Register::eax] = run.vcpu[Register::ebx] = 0;
  run.run(~0u);
  ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << run.end.reason;
  EXPECT_EQ(run.vcpu[Register::eax], 3u);
  EXPECT_EQ(run.vcpu[Register::ebx], 3u);
}

struct Row {
  const char* name;
  std::vector<std::uint8_t> program;  // ends by itself with OUT to the exit port
};

class HostInterrupt : public testing::TestWithParam<Row> {};

TEST_P(HostInterrupt, IsNotSeenByTheGuest) {
  std::vector<std::uint8_t> program = GetParam().program;
  program.insert(program.end(), {0xe6, 0xf4});  // out 0xf4, al
  GuestRun undisturbed(program);
  undisturbed.run(~0u);
  ASSERT_EQ(undisturbed.end.kind, RunEnd::Kind::exit) << undisturbed.end.reason;
  for (unsigned at = 0; at < undisturbed.executed; ++at) {
    GuestRun run(program);
    run.run(at);
    ASSERT_EQ(run.end.kind, RunEnd::Kind::exit) << "interrupt before instruction " << at;
    EXPECT_EQ(run.vcpu.general, undisturbed.vcpu.general) << at;
    EXPECT_EQ(run.vcpu.eip, undisturbed.vcpu.eip) << at;
    EXPECT_EQ(run.vcpu.eflags, undisturbed.vcpu.eflags) << at;
    EXPECT_TRUE(run.memory() == undisturbed.memory()) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Programs, HostInterrupt,
    testing::Values(
        Row{"plain", {0x40, 0x01, 0xc8, 0xa3, 0, 0x40, 0, 0, 0x41}},
        Row{"cli_and_sti", {0xfb, 0x40, 0xfa, 0x41, 0xfb, 0x42}},
        Row{"pushf_and_popf", {0xf9, 0x9c, 0x58, 0xa3, 0, 0x40, 0, 0, 0x50, 0x9d, 0x9c, 0x5b}},
        Row{"pushf_behind_sti", {0xfb, 0x9c, 0x58, 0xa3, 0, 0x40, 0, 0}},
        Row{"popf_behind_sti", {0x6a, 3, 0xfb, 0x9d, 0x9c, 0x5b}},
        // call over two bytes to a function at the end and back
        Row{"call_and_ret", {0xe8, 3, 0, 0, 0, 0x42, 0xeb, 2, 0x43, 0xc3, 0x46}},
        Row{"indirect", {0xb8, 0x0a, 0x20, 0, 0, 0xff, 0xd0, 0x42, 0xeb, 2, 0x43, 0xc3, 0x46}},
        // pushf; push cs; push 200c; iret; (skipped: inc edx); inc ebx
        Row{"iret", {0xf9, 0x9c, 0x0e, 0x68, 0x0a, 0x20, 0, 0, 0xcf, 0x42, 0x43}},
        Row{"loops", {0xb9, 3, 0, 0, 0, 0x40, 0xe2, 0xfd, 0xe3, 0, 0x83, 0xf8, 4, 0x75, 1, 0x42}},
        // in al, 0x61; in eax, dx of the ACPI timer, both into memory; in al, 0x61 behind sti
        Row{"ports_of_time",
            {0xf9, 0xb8, 0x78, 0x56, 0x34, 0x12, 0xe4, 0x61, 0xa3, 0,    0x40, 0,    0,    0x66,
             0xba, 0x08, 0x06, 0xed, 0xa3, 4,    0x40, 0,    0,    0xfb, 0xe4, 0x61, 0x9c, 0x5b}},
        // ecx times: the local APIC's task priority and logical ID written and read
        Row{"device_registers",
            {0xf9, 0xb9, 5,    0,    0,    0,    0x89, 0x0d, 0x80, 0,    0xe0, 0xfe, 0xa1, 0x80,
             0,    0xe0, 0xfe, 0xc7, 0x05, 0xd0, 0,    0xe0, 0xfe, 0,    0,    0,    0x05, 0x8b,
             0x15, 0xd0, 0,    0xe0, 0xfe, 0x03, 0xd8, 0x01, 0xd6, 0xe2, 0xdf, 0x9c, 0x5f}},
        // out 21 and in 21, out 80 behind sti, out cf8 and in cf8 by DX
        Row{"ports", {0xf9, 0xb0, 0xfb, 0xe6, 0x21, 0xb0, 0,    0xe4, 0x21, 0xa3, 0,
                      0x40, 0,    0,    0xfb, 0xe6, 0x80, 0x66, 0xba, 0xf8, 0x0c, 0xef,
                      0x31, 0xc0, 0xed, 0xa3, 4,    0x40, 0,    0,    0x9c, 0x5b}},
        Row{"selectors", {0x8c, 0xd8, 0x1e, 0x5b, 0x06, 0x07}},
        // mov ds, eax; push 18; pop fs; mov eax, [4000]; push 0; pop es; mov es, ecx; mov ebx, gs
        Row{"segment_loads",
            {0xb8, 0x18, 0,    0, 0, 0x8e, 0xd8, 0x6a, 0x18, 0x0f, 0xa1, 0xa1, 0,    0x40,
             0,    0,    0x6a, 0, 7, 0xb9, 0x18, 0,    0,    0,    0x8e, 0xc1, 0x8c, 0xeb}},
        Row{"cmpxchg8b", {0xf9, 0x0f, 0xc7, 0x0d, 0, 0x40, 0, 0, 0x9c, 0x5b}}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace undercroft::test
