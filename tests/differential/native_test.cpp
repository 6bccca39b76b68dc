// The interpreter against the processor: random instructions of user mode, run by both from the
// same registers and memory; registers, flags, memory and faults must be equal. What the manual
// leaves undefined is compared too, but for the rows of `undefined_flags`.
//
// Usage: native_test [instructions [seed]]
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "monitor/instruction/decoder.hpp"
#include "monitor/instruction/interpreter.hpp"
#include "native_processor.hpp"

namespace undercroft::test {
namespace {

// The window of memory that instructions may touch: two writable pages and a read-only one between
// unmapped ones. Addresses below 64 KB are unmapped in every process too.
constexpr std::uint32_t window = 0x20000000;
constexpr std::uint32_t writable_start = window + 0x1000;
constexpr std::uint32_t writable_end = window + 0x3000;
constexpr std::uint32_t readable_end = window + 0x4000;
constexpr std::uint32_t window_end = window + 0x5000;
constexpr std::uint32_t image_size = readable_end - writable_start;
constexpr std::uint32_t lowest_mapped = 0x10000;

// The GDT that the interpreter is given: what Linux has at the selectors that the test uses.
constexpr std::uint32_t gdt_base = 0x30000000;
constexpr std::uint32_t gdt_entries = 16;
constexpr std::uint64_t user_code = 0x00cffb000000ffff, user_data = 0x00cff3000000ffff;
constexpr std::uint64_t small_code = 0x2000fb010000ffff;  // NativeProcessor's, from code_page on
constexpr std::uint64_t kernel_data = 0x00cf93000000ffff;

class Image final : public LinearMemory {
 public:
  std::array<std::uint8_t, image_size> bytes{};
  std::array<std::uint64_t, gdt_entries + 1> gdt{};  // and behind it the LDT, of one entry
  bool strayed = false;  // an address was met whose native contents are not ours

  Guarded<std::uint32_t> read(GuestLinear address, unsigned size, Privilege privilege) override {
    if (const auto entry = table_bytes(address, privilege)) return load(entry, size);
    TRY(check(address, size, false));
    return load(&bytes[address.value() - writable_start], size);
  }
  Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned size,
                      Privilege privilege) override {
    if (auto entry = table_bytes(address, privilege)) {
      std::memcpy(entry, &value, size);
      return Done{};
    }
    TRY(check(address, size, true));
    std::memcpy(&bytes[address.value() - writable_start], &value, size);
    return Done{};
  }
  Guarded<std::uint32_t> read_to_modify(GuestLinear address, unsigned size, Privilege) override {
    TRY(check(address, size, true));
    return load(&bytes[address.value() - writable_start], size);
  }
  Guarded<Done> probe_write(GuestLinear address, unsigned size, Privilege) override {
    return check(address, size, true);
  }
  Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out, Privilege) override {
    std::memcpy(out.data(), reinterpret_cast<const void*>(address.value()), out.size());
    return static_cast<unsigned>(out.size());
  }

 private:
  static std::uint32_t load(const std::uint8_t* from, unsigned size) {
    std::uint32_t value = 0;
    std::memcpy(&value, from, size);
    return value;
  }
  std::uint8_t* table_bytes(GuestLinear address, Privilege privilege) {
    if (privilege == Privilege::user) return nullptr;
    return reinterpret_cast<std::uint8_t*>(gdt.data()) + (address.value() - gdt_base);
  }
  Guarded<Done> check(GuestLinear address, unsigned size, bool is_write) {
    for (unsigned i = 0; i < size; ++i) {
      const std::uint32_t at = address.value() + i;
      const std::uint32_t code = is_write ? 6 : 4;
      const bool known = at < lowest_mapped || (at >= window && at < window_end);
      if (!known) strayed = true;
      if (at < writable_start || at >= readable_end) {
        return Failure{Exception::page_fault(GuestLinear(at), code)};
      }
      if (is_write && at >= writable_end) {
        return Failure{Exception::page_fault(GuestLinear(at), code | 1)};
      }
    }
    return Done{};
  }
};

class UserEnvironment final : public Environment {
 public:
  std::uint32_t port_read(std::uint16_t, unsigned) override { return 0; }
  void port_write(std::uint16_t, std::uint32_t, unsigned) override {}
  CpuidLeaf cpuid(std::uint32_t, std::uint32_t) override { return {}; }
  std::uint64_t time_stamp() override { return 0; }
  Guarded<std::uint64_t> read_msr(const Vcpu&, std::uint32_t) override { return std::uint64_t{0}; }
  Guarded<Done> write_msr(Vcpu&, std::uint32_t, std::uint64_t) override { return Done{}; }
  Guarded<NativeResult> run_native(Vcpu&, const Instruction&, std::span<std::uint8_t>) override {
    return Failure{Exception::invalid_opcode()};
  }
  std::uint32_t cr4_allowed() const override { return 0; }
  void paging_changed(const Vcpu&) override {}
  void page_root_loaded(const Vcpu&) override {}
  std::optional<std::array<std::uint64_t, 4>> page_pointers(std::uint32_t) override { return {}; }
  void page_invalidated(GuestLinear) override {}
  void descriptor_tables_changed(const Vcpu&) override {}
  void fpu_control_changed(const Vcpu&) override {}
  void debug_registers_changed(const Vcpu&) override {}
};

// Operations that cannot be compared in a process, each for a reason.
bool comparable(const Instruction& instruction) {
  const bool shadows_trap = instruction.segment_register == Segment::ss;
  const bool loses_thread = instruction.segment_register >= Segment::fs;
  const auto loads_segment = [&](Operation operation) {
    return operation == Operation::mov_to_segment || operation == Operation::pop_segment ||
           operation == Operation::load_far_pointer;
  };
  const bool repeated = instruction.repeat != Repeat::none;
  // TZCNT and LZCNT on processors later than the CPU model.
  const bool scans =
      instruction.operation == Operation::bsf || instruction.operation == Operation::bsr;
  // AMD takes F2 and F3 as the sense of ZF, in place of the opcode's.
  const bool loops =
      instruction.operation == Operation::loope || instruction.operation == Operation::loopne;
  if (repeated && (scans || loops)) return false;
  // 0F 0D with a register: #UD on AMD's processors, NOP on Intel's.
  if (instruction.opcode == (opcode_map::two_byte | 0x0d) && !instruction.has_memory) return false;
  if (loads_segment(instruction.operation)) return !shadows_trap && !loses_thread;
  switch (instruction.operation) {
    // They enter the kernel, or the kernel emulates them.
    case Operation::int_:
    case Operation::int1:
    case Operation::int3:
    case Operation::into:
    case Operation::sysenter:
    case Operation::sgdt:
    case Operation::sidt:
    case Operation::sldt:
    case Operation::str:
    case Operation::smsw:
      return false;
    // The answer is the machine's.
    case Operation::cpuid:
    case Operation::rdtsc:
    case Operation::rdtscp:
    case Operation::rdpmc:
    case Operation::xgetbv:
    case Operation::xsetbv:
    case Operation::monitor:
    case Operation::mwait:
    case Operation::rsm:
    case Operation::lar:
    case Operation::lsl:
    case Operation::verr:
    case Operation::verw:
      return false;
    // CS:EIP of another segment, or gates: unit tests.
    case Operation::jmp_far:
    case Operation::call_far:
    case Operation::ret_far:
    case Operation::iret:
    case Operation::sysexit:
      return false;
    default:
      return !instruction.is_native();
  }
}

struct UndefinedFlags {
  Operation operation;
  std::uint32_t flags;
  const char* reason;
};
constexpr std::uint32_t product_flags =
    eflags::sign | eflags::zero | eflags::adjust | eflags::parity;
constexpr const char* shift_reason = "AMD sets AF, others clear it";
constexpr UndefinedFlags undefined_flags[] = {
    {Operation::shl, eflags::adjust, shift_reason},
    {Operation::sal, eflags::adjust, shift_reason},
    {Operation::shr, eflags::adjust, shift_reason},
    {Operation::sar, eflags::adjust, shift_reason},
    {Operation::shld, eflags::adjust, shift_reason},
    {Operation::shrd, eflags::adjust, shift_reason},
    {Operation::mul, product_flags, "AMD keeps them, Intel follows the product"},
    {Operation::imul, product_flags, "AMD keeps them, Intel follows the product"},
    {Operation::div, eflags::arithmetic, "AMD and Intel differ"},
    {Operation::idiv, eflags::arithmetic, "AMD and Intel differ"},
    {Operation::bsf, eflags::arithmetic & ~eflags::zero, "AMD and Intel differ"},
    {Operation::bsr, eflags::arithmetic & ~eflags::zero, "AMD and Intel differ"},
    {Operation::daa, eflags::overflow, "AMD and Intel differ"},
    {Operation::das, eflags::overflow, "AMD and Intel differ"},
    {Operation::aaa, eflags::overflow | eflags::sign | eflags::zero | eflags::parity,
     "AMD's are those of its intermediate sum"},
    {Operation::aas, eflags::overflow | eflags::sign | eflags::zero | eflags::parity,
     "AMD's are those of its intermediate difference"},
    {Operation::aad, eflags::overflow | eflags::adjust | eflags::carry,
     "AMD's are those of its sum"},
};

// A 16-bit double shift by more than 16: every processor has its own result; by 16, its own OF.
bool undefined_result(const Instruction& instruction, const NativeState& state) {
  if (instruction.operation != Operation::shld && instruction.operation != Operation::shrd) {
    return false;
  }
  const bool by_register = instruction.operands[2].kind == OperandKind::count;
  const std::uint32_t count = by_register ? state.general[1] : instruction.immediate;
  return instruction.operand_size == 2 && (count & 31) >= 16;
}

std::uint32_t flags_to_compare(const Instruction& instruction) {
  std::uint32_t flags = eflags::arithmetic | eflags::direction | eflags::trap | eflags::interrupt |
                        eflags::iopl | eflags::nested_task | eflags::alignment_check |
                        eflags::identification;
  for (const UndefinedFlags& row : undefined_flags) {
    if (row.operation == instruction.operation) flags &= ~row.flags;
  }
  return flags;
}

class Differential {
 public:
  explicit Differential(unsigned seed) : random_(seed) {
    void* memory = mmap(reinterpret_cast<void*>(window), window_end - window, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    image_.gdt[3] = kernel_data;
    image_.gdt[4] = user_code;
    image_.gdt[5] = user_data;
    image_.gdt[6] = user_code;   // the 64-bit one: as readable as the other
    image_.gdt[12] = user_data;  // thread-local storage
    image_.gdt[15] = user_data;  // CPU and node number
    image_.gdt[gdt_entries] = small_code;
    refill();
  }

  // Runs one random instruction by both; false: it was not comparable, nothing was run.
  bool run_one();

  unsigned mismatches = 0;
  unsigned sixteen_bit = 0;  // of the instructions run, in a 16-bit code segment
  std::map<std::uint16_t, unsigned> coverage;

 private:
  std::uint32_t random(std::uint32_t below) {
    return static_cast<std::uint32_t>(random_() % below);
  }
  void refill();
  std::uint32_t interesting_value();
  std::vector<std::uint8_t> random_bytes();
  NativeState random_state();
  bool aim(const Instruction&, std::vector<std::uint8_t>& bytes, NativeState&);
  Vcpu vcpu_of(const NativeState&) const;
  void compare(const Instruction&, const std::vector<std::uint8_t>& bytes,
               const NativeState& before, const NativeOutcome&, const Vcpu&, const StepOutcome&);

  std::mt19937 random_;
  NativeProcessor processor_;
  Image image_;
  UserEnvironment environment_;
  Interpreter interpreter_{image_, environment_};
};

std::uint8_t* native_memory() { return reinterpret_cast<std::uint8_t*>(writable_start); }

void Differential::refill() {
  mprotect(native_memory(), image_size, PROT_READ | PROT_WRITE);
  for (std::uint8_t& byte : image_.bytes) byte = static_cast<std::uint8_t>(random_());
  std::memcpy(native_memory(), image_.bytes.data(), image_size);
  mprotect(reinterpret_cast<void*>(writable_end), readable_end - writable_end, PROT_READ);
}

std::uint32_t Differential::interesting_value() {
  constexpr std::uint32_t values[] = {
      0,      1,      2,      7,       8,          0x7f,       0x80,       0xff,
      0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff9};
  switch (random(4)) {
    case 0:
      return values[random(std::size(values))];
    case 1:
      return random(64);
    default:
      return static_cast<std::uint32_t>(random_());
  }
}

std::vector<std::uint8_t> Differential::random_bytes() {
  constexpr std::uint8_t prefixes[] = {0x66, 0x66, 0x66, 0x67, 0xf2, 0xf3,
                                       0xf3, 0xf0, 0x26, 0x36, 0x2e, 0x3e};
  std::vector<std::uint8_t> bytes;
  while (random(3) == 0 && bytes.size() < 3) bytes.push_back(prefixes[random(std::size(prefixes))]);
  if (random(3) == 0) bytes.push_back(0x0f);
  while (bytes.size() < 15) bytes.push_back(static_cast<std::uint8_t>(random_()));
  return bytes;
}

NativeState Differential::random_state() {
  NativeState state;
  for (std::uint32_t& value : state.general) value = interesting_value();
  const auto address = [&] { return writable_start - 8 + random(image_size + 16); };
  state.general[4] = writable_start + 64 + random(image_size);
  for (unsigned index : {5u, 6u, 7u}) {
    if (random(8) != 0) state.general[index] = address();
  }
  if (random(2) == 0) state.general[1] = random(4);
  state.eip = NativeProcessor::code_page + random(2048);
  state.eflags = eflags::always_one | eflags::interrupt | eflags::trap |
                 (static_cast<std::uint32_t>(random_()) &
                  (eflags::arithmetic | (random(4) == 0 ? eflags::direction : 0)));
  state.ds = state.es = processor_.ds();
  return state;
}

// Moves the memory operand into the window: by its displacement, or by its base register.
bool Differential::aim(const Instruction& instruction, std::vector<std::uint8_t>& bytes,
                       NativeState& state) {
  if (!instruction.has_memory || instruction.address_size != 4 || random(32) == 0) return true;
  const std::uint32_t target = writable_start - 8 + random(image_size + 16);
  const std::uint32_t delta = target - instruction.memory.offset(state.general);
  if (instruction.displacement_size == 4) {
    const std::uint32_t displacement = instruction.memory.displacement + delta;
    std::memcpy(&bytes[instruction.displacement_offset], &displacement, 4);
  } else if (instruction.memory.base && instruction.memory.base != instruction.memory.index) {
    state.general[static_cast<unsigned>(*instruction.memory.base)] += delta;
  }
  return true;
}

DescriptorCache flat(std::uint16_t selector, bool code) {
  return {selector, static_cast<std::uint16_t>(code ? 0xc0fb : 0xc0f3), 0, 0xffffffff, true};
}

Vcpu Differential::vcpu_of(const NativeState& state) const {
  Vcpu vcpu;
  vcpu.general = state.general;
  vcpu.eip = state.eip;
  vcpu.eflags = state.eflags;
  vcpu.cpl = 3;
  vcpu.cr0 |= cr0::protection_enable | cr0::paging | cr0::write_protect | cr0::numeric_error;
  vcpu[Segment::cs] = flat(processor_.cs(), true);
  if (state.code_is_16_bit) {
    vcpu[Segment::cs] = {processor_.small_code(), 0x00fb, NativeProcessor::code_page, 0xffff, true};
  }
  vcpu[Segment::ss] = flat(processor_.ss(), false);
  vcpu[Segment::ds] = flat(state.ds, false);
  vcpu[Segment::es] = flat(state.es, false);
  vcpu[Segment::fs].selector = processor_.fs();
  vcpu[Segment::gs].selector = processor_.gs();
  constexpr std::uint16_t ldt_selector = 0x50;
  if (processor_.small_code()) {
    vcpu.ldtr = {ldt_selector, 0x82, gdt_base + gdt_entries * 8, 7, true};
  }
  vcpu.gdtr = {GuestLinear(gdt_base), gdt_entries * 8 - 1};
  return vcpu;
}

bool Differential::run_one() {
  std::vector<std::uint8_t> bytes = random_bytes();
  const bool is_16_bit = processor_.small_code() != 0 && random(4) == 0;
  const auto decoded = decode(bytes, !is_16_bit);
  if (!decoded.ok() || !comparable(decoded.value())) return false;
  NativeState state = random_state();
  state.code_is_16_bit = is_16_bit;
  if (is_16_bit) state.eip -= NativeProcessor::code_page;
  aim(decoded.value(), bytes, state);
  const auto aimed = decode(bytes, !is_16_bit);
  if (!aimed.ok()) return false;
  const Instruction& instruction = aimed.value();
  if (instruction.segment >= Segment::fs) return false;
  if (undefined_result(instruction, state)) return false;

  const std::uint32_t code_base = is_16_bit ? NativeProcessor::code_page : 0;
  std::memcpy(reinterpret_cast<void*>(code_base + state.eip), bytes.data(), bytes.size());
  Vcpu vcpu = vcpu_of(state);
  image_.strayed = false;
  const StepOutcome outcome = interpreter_.step(vcpu);
  if (image_.strayed) {
    std::memcpy(image_.bytes.data(), native_memory(), image_size);
    return false;
  }
  const NativeOutcome native = processor_.run(state, bytes);
  ++coverage[instruction.opcode];
  sixteen_bit += is_16_bit;
  compare(instruction, bytes, state, native, vcpu, outcome);
  return true;
}

void Differential::compare(const Instruction& instruction, const std::vector<std::uint8_t>& bytes,
                           const NativeState& before, const NativeOutcome& native, const Vcpu& vcpu,
                           const StepOutcome& outcome) {
  const bool raised = outcome.kind == StepOutcome::Kind::exception;
  // AMD's processors ask for the right to write only when ARPL changes its operand; ours always, as
  // the manual says.
  if (instruction.operation == Operation::arpl && raised) return;
  std::string differences;
  const auto expect = [&](const char* name, std::uint32_t ours, std::uint32_t theirs) {
    if (ours == theirs) return;
    char text[80];
    std::snprintf(text, sizeof text, " %s %x, processor %x;", name, ours, theirs);
    differences += text;
  };
  constexpr const char* names[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  // AMD's processors have changed registers when POPA faults; ESP, and with it a restart, is right.
  const bool half_popped = instruction.operation == Operation::popa && native.exception;
  for (unsigned i = 0; i < 8; ++i) {
    if (!half_popped) expect(names[i], vcpu.general[i], native.state.general[i]);
  }
  expect("eip", vcpu.eip, native.state.eip);
  const std::uint32_t flags = flags_to_compare(instruction);
  expect("eflags", vcpu.eflags & flags, native.state.eflags & flags);
  expect("ds", vcpu[Segment::ds].selector, native.state.ds);
  expect("es", vcpu[Segment::es].selector, native.state.es);
  expect("fault", raised, native.exception.has_value());
  // The manual checks a call's target before the stack, AMD's processors after it.
  const bool any_fault = instruction.operation == Operation::call_near;
  if (raised && native.exception && !any_fault) {
    expect("vector", static_cast<unsigned>(outcome.exception.vector),
           static_cast<unsigned>(native.exception->vector));
    expect("error code", outcome.exception.error_code, native.exception->error_code);
    // Which operand CMPS reads first differs.
    if (instruction.operation != Operation::cmps)
      expect("cr2", outcome.exception.fault_address.value(),
             native.exception->fault_address.value());
  }
  if (!raised) expect("single step", outcome.single_step, 1);
  if (std::memcmp(image_.bytes.data(), native_memory(), image_size) != 0) {
    const auto ours = image_.bytes.data();
    for (unsigned i = 0; i < image_size; ++i) {
      if (ours[i] != native_memory()[i]) {
        expect(("byte at " + std::to_string(i)).c_str(), ours[i], native_memory()[i]);
      }
    }
    std::memcpy(image_.bytes.data(), native_memory(), image_size);
  }
  if (differences.empty()) return;
  if (++mismatches > 40) return;
  std::printf("mismatch:");
  for (unsigned i = 0; i < instruction.length; ++i) std::printf(" %02x", bytes[i]);
  std::printf(" (operation %u)%s\n  before: flags %x", static_cast<unsigned>(instruction.operation),
              differences.c_str(), before.eflags);
  for (unsigned i = 0; i < 8; ++i) std::printf(" %s %x", names[i], before.general[i]);
  std::printf("\n");
}

}  // namespace
}  // namespace undercroft::test

int main(int argc, char** argv) {
  using namespace undercroft::test;
  const unsigned long wanted = argc > 1 ? std::strtoul(argv[1], nullptr, 0) : 200000;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)) : 1;
  static Differential differential(seed);
  unsigned long run = 0;
  while (run < wanted && differential.mismatches <= 1000) run += differential.run_one();
  for (const auto& [opcode, count] : differential.coverage) {
    std::printf("%04x:%u ", opcode, count);
  }
  std::printf("\n%lu instructions (%u in 16-bit code), %zu opcodes, seed %u: %u mismatches\n", run,
              differential.sixteen_bit, differential.coverage.size(), seed,
              differential.mismatches);
  return differential.mismatches == 0 ? 0 : 1;
}
