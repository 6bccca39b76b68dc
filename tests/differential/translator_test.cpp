// The translator against the interpreter: random kernel programs run once by the interpreter, and
// then from the translation cache on the processor, with exits handled as the monitor does. At each
// exit, at each fault and at the end the guest must be where the interpreter was, in registers,
// flags, virtual IF and memory; a third run in single steps checks the map at every instruction of
// the cache.
//
// Usage: translator_test [programs [seed]]
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "monitor/instruction/decoder.hpp"
#include "monitor/instruction/interpreter.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/machine_memory.hpp"
#include "tests/unit/translate/cache_point_state.hpp"
#include "translator_processor.hpp"
#include "translator_programs.hpp"

namespace undercroft::test {
namespace {

namespace map = guest_map;

constexpr std::uint32_t data_size = map::data_end - map::data;
constexpr std::uint32_t window_place = 0x10000000;
constexpr HostPhysical image{0x100000};
constexpr unsigned longest_fetch = 240;
constexpr unsigned longest_program = 400;  // instructions run
constexpr std::uint32_t compared_flags = eflags::arithmetic | eflags::direction | eflags::trap |
                                         eflags::interrupt | eflags::iopl | eflags::nested_task |
                                         eflags::alignment_check | eflags::identification;
// With these the monitor interprets: the processor could not have them for the guest.
constexpr std::uint32_t untranslatable_flags =
    eflags::trap | eflags::nested_task | eflags::alignment_check;

alignas(page_size) VirtualCpuPage cpu_page;
constexpr std::uint64_t flat_code = 0x00cf9b000000ffff, flat_data = 0x00cf93000000ffff;
// What translated code finds in the guest's GDT for its CS.
constexpr std::uint64_t code_descriptor = flat_code;

// The guest's linear memory over some bytes: the interpreter's own, or the process's.
class GuestPages final : public LinearMemory {
 public:
  explicit GuestPages(std::uint8_t* data) : data_(data) {
    gdt_[map::code_selector / 8] = flat_code;
    gdt_[map::data_selector / 8] = gdt_[map::other_selector / 8] = flat_data;
  }
  const std::vector<std::uint8_t>* code = nullptr;
  bool strayed = false;  // an address was met where the process may have something else

  Guarded<std::uint32_t> read(GuestLinear address, unsigned size, Privilege) override {
    std::uint32_t value = 0;
    if (in_gdt(address, size)) {
      std::memcpy(&value, bytes_of_gdt() + (address.value() - map::gdt), size);
      return value;
    }
    TRY(check(address, size, false));
    std::memcpy(&value, data_ + (address.value() - map::data), size);
    return value;
  }
  Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned size, Privilege) override {
    TRY(check(address, size, true));
    std::memcpy(data_ + (address.value() - map::data), &value, size);
    return Done{};
  }
  Guarded<std::uint32_t> read_to_modify(GuestLinear address, unsigned size,
                                        Privilege privilege) override {
    TRY(check(address, size, true));
    return read(address, size, privilege);
  }
  Guarded<Done> probe_write(GuestLinear address, unsigned size, Privilege) override {
    return check(address, size, true);
  }
  Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out, Privilege) override {
    const std::uint32_t offset = address.value() - map::code;
    if (offset >= map::code_size) {
      strayed = true;
      return Failure{Exception::page_fault(address, 0)};
    }
    const auto count = std::min<std::uint32_t>(out.size(), map::code_size - offset);
    std::memcpy(out.data(), code->data() + offset, count);
    return count;
  }

 private:
  const std::uint8_t* bytes_of_gdt() const {
    return reinterpret_cast<const std::uint8_t*>(gdt_.data());
  }
  static bool in_gdt(GuestLinear address, unsigned size) {
    return address.value() - map::gdt <= map::gdt_entries * 8 - size;
  }
  Guarded<Done> check(GuestLinear address, unsigned size, bool write) {
    for (unsigned i = 0; i < size; ++i) {
      const std::uint32_t at = address.value() + i;
      if (at < map::data_hole || at >= map::data_hole_end) strayed = true;
      const bool present = at >= map::data && at < map::data_end;
      if (!present || (write && at >= map::data_read_only)) {
        return Failure{Exception::page_fault(GuestLinear(at), (write ? 2 : 0) | present)};
      }
    }
    return Done{};
  }

  std::uint8_t* data_;
  std::array<std::uint64_t, map::gdt_entries> gdt_{};
};

class QuietEnvironment final : public Environment {
 public:
  std::uint32_t port_read(std::uint16_t port, unsigned size) override {
    return size == 4 ? 0x12345678u ^ port : port & 0xff;
  }
  void port_write(std::uint16_t, std::uint32_t, unsigned) override {}
  CpuidLeaf cpuid(std::uint32_t leaf, std::uint32_t) override { return {leaf + 1, 2, 3, 4}; }
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

// How a program ends.
struct Ending {
  StepOutcome::Kind kind = StepOutcome::Kind::retired;  // retired: not yet
  Vector vector = Vector::divide_error;
  std::uint32_t fault_address = 0;
  bool operator==(const Ending&) const = default;
};
constexpr bool over(const Ending& ending) { return ending.kind != StepOutcome::Kind::retired; }

Ending ending_of(const StepOutcome& outcome) {
  Ending ending{outcome.kind};
  if (outcome.kind == StepOutcome::Kind::unfinished) ending.kind = StepOutcome::Kind::retired;
  if (outcome.kind == StepOutcome::Kind::exception) {
    ending.vector = outcome.exception.vector;
    ending.fault_address = outcome.exception.fault_address.value();
  }
  return ending;
}

enum class RunMode { fresh, again, stepped };
constexpr const char* mode_names[] = {"fresh", "again", "stepped"};

class Differential {
 public:
  explicit Differential(unsigned seed) : maker_(seed) {
    void* const hole =
        mmap(reinterpret_cast<void*>(map::data_hole), map::data_hole_end - map::data_hole,
             PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (hole == MAP_FAILED) std::abort();
    // What the guards' probes may not read.
    mprotect(window_ + window::screen, window::jump_table - window::screen, PROT_NONE);
    cache_.flush();
  }
  bool ready() const { return processor_.ready(); }
  // False: the program was not comparable, and nothing was translated.
  bool run_one();

  unsigned mismatches = 0, exits = 0, faults = 0, guarded = 0, steps = 0;

 private:
  static std::uint8_t* process_data() { return reinterpret_cast<std::uint8_t*>(map::data); }
  void set_process_data(const std::vector<std::uint8_t>& bytes) {
    mprotect(process_data(), data_size, PROT_READ | PROT_WRITE);
    std::memcpy(process_data(), bytes.data(), data_size);
    mprotect(reinterpret_cast<void*>(map::data_read_only), map::data_end - map::data_read_only,
             PROT_READ);
  }
  Vcpu random_vcpu();
  bool interpret_reference();
  void run(RunMode);
  std::uint32_t block_at(std::uint32_t eip);
  void enter(std::uint32_t address);
  void drop_something();
  void choose_guard();
  void handle(std::uint32_t from, const CacheTrap&);
  void handle_exit(const CacheExit&);
  void interpret();
  void leave(PointState, std::uint32_t eip);
  void match(const char* where);
  bool replaces_flags(std::uint32_t eip) const;
  void check_point();
  bool same(const Vcpu&, const Vcpu&) const;
  void fail(const char* what);

  ProgramMaker maker_;
  MachineMemory machine_{16u << 20};
  std::byte* window_ = machine_.view(image, window::size, PROT_READ | PROT_EXEC,
                                     reinterpret_cast<void*>(window_place));
  TranslationCache cache_{window_, image, machine_.slots};
  TranslatorProcessor processor_{window_, cpu_page};
  QuietEnvironment environment_;
  std::vector<std::uint8_t> own_data_ = std::vector<std::uint8_t>(data_size);
  GuestPages own_pages_{own_data_.data()}, process_pages_{process_data()};
  Interpreter reference_{own_pages_, environment_}, emulator_{process_pages_, environment_};

  Program program_;
  std::vector<std::uint8_t> first_data_;
  std::vector<Vcpu> trace_;  // the interpreter's states, one before each instruction, and the last
  Ending expected_;

  RunMode mode_ = RunMode::fresh;
  Vcpu vcpu_;
  CacheRegisters registers_;
  Ending ending_;
  bool in_cache_ = false;
  bool failed_ = false;
  bool emulated_before_ = false;  // the instruction before was not run in the cache
  std::size_t cursor_ = 0;        // in trace_
};

Vcpu Differential::random_vcpu() {
  Vcpu vcpu;
  for (std::uint32_t& reg : vcpu.general) reg = maker_.value();
  for (unsigned i = 5; i < 8; ++i) vcpu.general[i] = maker_.data_address();
  vcpu[Register::esp] = maker_.data_address();
  for (unsigned i = 0; i < 6; ++i) {
    const bool is_code = i == static_cast<unsigned>(Segment::cs);
    vcpu.segments[i] = {
        static_cast<std::uint16_t>(is_code ? map::code_selector : map::data_selector),
        static_cast<std::uint16_t>(is_code ? 0xc09b : 0xc093), 0, 0xffffffff, true};
  }
  vcpu.cr0 |= cr0::protection_enable;
  vcpu.gdtr = {GuestLinear(map::gdt), map::gdt_entries * 8 - 1};
  vcpu.eip = program_.entries.front();
  constexpr std::uint32_t any_flags = eflags::arithmetic | eflags::interrupt | eflags::iopl;
  vcpu.eflags = eflags::always_one | (maker_.value() & any_flags);
  return vcpu;
}

bool Differential::interpret_reference() {
  Vcpu vcpu = random_vcpu();
  own_pages_.strayed = false;
  own_pages_.code = &program_.code;
  trace_.clear();
  trace_.push_back(vcpu);
  while (trace_.size() < longest_program) {
    const StepOutcome outcome = reference_.step(vcpu);
    if (own_pages_.strayed) return false;
    if (outcome.kind == StepOutcome::Kind::unfinished) continue;
    expected_ = ending_of(outcome);
    if (over(expected_)) {
      // Behind HLT, or in the middle of a string instruction that has faulted.
      trace_.push_back(vcpu);
      return true;
    }
    trace_.push_back(vcpu);
  }
  return false;
}

// With guards, as if the window began somewhere in the data or 4 MB before: then they stop the
// instructions that reach one part of it, and let the others run.
void Differential::choose_guard() {
  cache_.set_guarded(maker_.random(2) == 0);
  const std::uint32_t in_data = map::data + maker_.random(data_size);
  const std::uint32_t slot = maker_.random(2) == 0 ? in_data : in_data - window::size;
  cpu_page.guard_bases.fill(0u - (maker_.random(4) == 0 ? window_place : slot));
}

bool Differential::run_one() {
  program_ = maker_.make();
  for (std::size_t i = 0; i < data_size; i += 4) {
    const std::uint32_t word = maker_.random(3) != 0
                                   ? program_.entries[maker_.random(program_.entries.size())]
                                   : maker_.value();
    std::memcpy(&own_data_[i], &word, 4);
  }
  first_data_ = own_data_;
  if (!interpret_reference()) return false;
  process_pages_.code = &program_.code;
  if (maker_.random(16) == 0) {
    choose_guard();
    cache_.flush();
  } else {
    for (std::uint32_t page = 0; page < map::code_size; page += page_size) {
      cache_.drop((map::code + page) / page_size, 0, page_mask);
    }
  }
  cpu_page.interrupt_pending = maker_.random(4) == 0 ? eflags::interrupt : 0;
  for (const RunMode mode : {RunMode::fresh, RunMode::again, RunMode::stepped}) run(mode);
  return true;
}

void Differential::run(RunMode mode) {
  mode_ = mode;
  vcpu_ = trace_.front();
  ending_ = {};
  cursor_ = 0;
  failed_ = emulated_before_ = false;
  set_process_data(first_data_);
  if (mode == RunMode::again) drop_something();
  while (!over(ending_) && !failed_) {
    if (vcpu_.eflags & untranslatable_flags) {
      interpret();
      match("after interpreting");
      continue;
    }
    enter(block_at(vcpu_.eip));
    while (in_cache_ && !failed_) {
      if (mode == RunMode::stepped) check_point();
      if (failed_) return;
      const std::uint32_t from = registers_.eip;
      handle(from, processor_.enter(registers_, mode == RunMode::stepped));
    }
  }
  if (failed_) return;
  vcpu_.interrupt_shadow = trace_.back().interrupt_shadow;
  if (!same(vcpu_, trace_.back())) return fail("registers at the end");
  if (ending_.kind != expected_.kind || ending_.vector != expected_.vector) return fail("ending");
  // Which operand of CMPS is read first differs between processors.
  for (unsigned i = 0; i < data_size; ++i) {
    if (process_data()[i] == own_data_[i]) continue;
    char text[80];
    std::snprintf(text, sizeof text, "memory at %x: %02x, interpreter %02x", map::data + i,
                  process_data()[i], own_data_[i]);
    return fail(text);
  }
}

std::uint32_t Differential::block_at(std::uint32_t eip) {
  if (const auto start = cache_.find(eip)) return *start;
  const std::span all(program_.code);
  const std::uint32_t offset = eip - map::code;
  const auto bytes = all.subspan(offset, std::min<std::size_t>(longest_fetch, all.size() - offset));
  const auto made = cache_.translate(eip, eip / page_size, bytes, page_size - (eip & page_mask));
  if (made.crosses) cache_.add_second_frame(eip / page_size + 1);
  return made.start;
}

void Differential::enter(std::uint32_t address) {
  registers_.general = vcpu_.general;
  registers_.eip = address;
  registers_.eflags =
      eflags::always_one | eflags::interrupt |
      (vcpu_.eflags & (eflags::arithmetic | eflags::direction | eflags::identification));
  const auto hardware = [this](Segment s) {
    if (!vcpu_[s].usable) return FlatSegment::null;
    return vcpu_[s].is_code() ? FlatSegment::code : FlatSegment::data;
  };
  registers_.es = hardware(Segment::es);
  registers_.ds = hardware(Segment::ds);
  registers_.fs = hardware(Segment::fs);
  cpu_page.interrupt_flag = vcpu_.eflags & eflags::interrupt;
  cpu_page.io_privilege = vcpu_.eflags & eflags::iopl;
  for (unsigned s = 0; s < 6; ++s) {
    const DescriptorCache& segment = vcpu_.segments[s];
    cpu_page.selectors[s] = segment.selector;
  }
  cpu_page.minus_code_selector = 0u - map::code_selector;
  cpu_page.code_descriptor = reinterpret_cast<std::uintptr_t>(&code_descriptor);
  cpu_page.minus_code_low = 0u - static_cast<std::uint32_t>(flat_code);
  cpu_page.minus_code_high = 0u - static_cast<std::uint32_t>(flat_code >> 32);
  in_cache_ = true;
}

// What the guest's writes to its code do: blocks go, jumps to them stay and are led on.
void Differential::drop_something() {
  for (unsigned n = maker_.random(4); n != 0; --n) {
    const std::uint32_t at = program_.entries[maker_.random(program_.entries.size())];
    cache_.drop(at / page_size, at & page_mask, at & page_mask);
  }
}

// from: where the processor was entered.
void Differential::handle(std::uint32_t from, const CacheTrap& trap) {
  constexpr unsigned debug = 1, invalid_opcode = 6;
  if (trap.vector == debug) {
    ++steps;
    // The processor's own trap flag is in what PUSHF has just pushed.
    constexpr auto pushf = std::byte{0x9c};
    if (window_[from] == pushf && registers_.eip == from + 1)
      process_data()[registers_.general[4] - map::data + 1] &= 0xfe;
    return;
  }
  if (trap.vector == invalid_opcode) {
    if (const auto exit = cache_.exit_at(registers_.eip)) return handle_exit(*exit);
  }
  const auto point = cache_.point_at(registers_.eip);
  if (!point) return fail("a fault at an address without a map");
  leave(point->state, point->eip);
  if (point->state >= PointState::guarding_with_eax) {
    ++guarded;
    match("at a guard");
    if (failed_) return;
    interpret();
    return match("after a guarded instruction");
  }
  ++faults;
  ending_ = {StepOutcome::Kind::exception, static_cast<Vector>(trap.vector), trap.fault_address};
  if (static_cast<Vector>(trap.vector) != Vector::page_fault) ending_.fault_address = 0;
}

void Differential::handle_exit(const CacheExit& exit) {
  ++exits;
  const CacheRegisters at_exit = registers_;
  leave(exit.kind == ExitKind::indirect ? PointState::borrowed_eax_ecx : PointState::atomic,
        exit.kind == ExitKind::indirect ? registers_.general[1] : exit.eip);
  match("at an exit");
  if (failed_) return;
  if (exit.kind == ExitKind::interpret || exit.kind == ExitKind::port ||
      exit.kind == ExitKind::segment) {
    interpret();
    return match("after an emulated instruction");
  }
  const std::uint32_t generation = cache_.generation();
  const std::uint32_t target = block_at(vcpu_.eip);
  if (generation == cache_.generation()) {
    if (exit.kind == ExitKind::branch) cache_.chain(exit.place, target);
    if (exit.kind == ExitKind::moved) cache_.forward(at_exit.eip, target);
  }
  if (exit.kind == ExitKind::indirect) cache_.make_landing(vcpu_.eip, target);
  enter(target);
}

void Differential::interpret() {
  process_pages_.strayed = false;
  StepOutcome outcome = emulator_.step(vcpu_);
  while (outcome.kind == StepOutcome::Kind::unfinished) outcome = emulator_.step(vcpu_);
  ending_ = ending_of(outcome);
  emulated_before_ = true;
}

void Differential::leave(PointState state, std::uint32_t eip) {
  constexpr std::uint32_t shared = eflags::arithmetic | eflags::direction | eflags::identification;
  in_cache_ = false;
  emulated_before_ = false;
  vcpu_.general = registers_.general;
  restore_registers(vcpu_, state, cpu_page);
  vcpu_.eip = eip;
  vcpu_.eflags = (vcpu_.eflags & ~(shared | eflags::interrupt)) | (registers_.eflags & shared) |
                 (cpu_page.interrupt_flag & eflags::interrupt);
}

bool Differential::same(const Vcpu& a, const Vcpu& b) const {
  return a.general == b.general && a.eip == b.eip &&
         ((a.eflags ^ b.eflags) & compared_flags) == 0 && a.segments == b.segments;
}

// The guest must be at one of the states that are still to come.
void Differential::match(const char* where) {
  // POPF is left to the interpreter when its flags are dead already.
  const std::uint32_t dead = replaces_flags(vcpu_.eip) ? compared_flags & ~eflags::interrupt : 0;
  for (std::size_t i = cursor_; i < trace_.size(); ++i) {
    Vcpu now = vcpu_;
    now.eflags = (now.eflags & ~dead) | (trace_[i].eflags & dead);
    if (!same(now, trace_[i])) continue;
    cursor_ = i;
    vcpu_.eflags = now.eflags;
    return;
  }
  fail(where);
}

bool Differential::replaces_flags(std::uint32_t eip) const {
  const std::uint32_t offset = eip - map::code;
  if (offset >= map::code_size) return false;
  const auto instruction = decode(std::span(program_.code).subspan(offset), true);
  return instruction.ok() && (instruction.value().operation == Operation::popf ||
                              instruction.value().operation == Operation::iret);
}

// In single steps: an instruction start must be the present state or the next, and an instruction
// in the shadow of STI must be known as such.
void Differential::check_point() {
  const auto point = cache_.point_at(registers_.eip);
  if (!point || !is_instruction_start(point->state)) return;
  const Vcpu before = vcpu_;
  const bool emulated = emulated_before_;
  leave(point->state, point->eip);
  const Vcpu now = vcpu_;
  vcpu_ = before;
  vcpu_.general = now.general;
  in_cache_ = true;
  emulated_before_ = emulated;
  if (!same(now, trace_[cursor_])) {
    if (cursor_ + 1 < trace_.size() && same(now, trace_[cursor_ + 1])) {
      ++cursor_;
      emulated_before_ = false;
    } else {
      const std::span all(program_.code);
      const auto instruction = decode(all.subspan(point->eip - map::code), true);
      if (instruction.ok() && instruction.value().repeat != Repeat::none) return;
      vcpu_ = now;
      return fail("at an instruction");
    }
  }
  const bool in_shadow = trace_[cursor_].interrupt_shadow == InterruptShadow::sti;
  if (in_shadow && !emulated_before_ && point->state != PointState::shadowed) {
    fail("an interrupt could come in the shadow of STI");
  }
}

void Differential::fail(const char* what) {
  failed_ = true;
  if (++mismatches > 10) return;
  const Vcpu& expected = trace_[cursor_ + 1 < trace_.size() ? cursor_ + 1 : cursor_];
  std::printf("mismatch (%s run): %s, cache %x; interpreter was at %zu of %zu\n",
              mode_names[static_cast<unsigned>(mode_)], what, registers_.eip, cursor_,
              trace_.size());
  std::printf("  ending %u %u %x, expected %u %u %x\n", static_cast<unsigned>(ending_.kind),
              static_cast<unsigned>(ending_.vector), ending_.fault_address,
              static_cast<unsigned>(expected_.kind), static_cast<unsigned>(expected_.vector),
              expected_.fault_address);
  const auto print = [](const char* name, const Vcpu& vcpu) {
    std::printf("  %-8s eip %x flags %x", name, vcpu.eip, vcpu.eflags);
    for (const std::uint32_t reg : vcpu.general) std::printf(" %x", reg);
    std::printf("\n");
  };
  print("ours", vcpu_);
  print("present", trace_[cursor_]);
  print("next", expected);
  std::printf("  code from %x:", trace_[cursor_].eip);
  for (unsigned i = 0; i < 24 && trace_[cursor_].eip - map::code + i < map::code_size; ++i) {
    std::printf(" %02x", program_.code[trace_[cursor_].eip - map::code + i]);
  }
  std::printf("\n");
}

}  // namespace
}  // namespace undercroft::test

int main(int argc, char** argv) {
  using namespace undercroft::test;
  const unsigned long wanted = argc > 1 ? std::strtoul(argv[1], nullptr, 0) : 1500;
  const unsigned seed = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)) : 1;
  const auto differential = std::make_unique<Differential>(seed);
  if (!differential->ready()) {
    std::printf("this kernel gives no LDT segments: nothing was compared\n");
    return 0;
  }
  alarm(300);  // translated code that never comes back
  unsigned long run = 0, tried = 0;
  while (run < wanted && differential->mismatches <= 100) {
    ++tried;
    run += differential->run_one();
  }
  std::printf(
      "%lu programs of %lu, seed %u: %u exits, %u faults, %u guarded, %u steps, %u mismatches\n",
      run, tried, seed, differential->exits, differential->faults, differential->guarded,
      differential->steps, differential->mismatches);
  return differential->mismatches == 0 ? 0 : 1;
}
