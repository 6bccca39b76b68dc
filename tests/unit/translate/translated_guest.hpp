// A guest kernel whose translated code is executed by the interpreter at CPL 3, as the processor
// would execute it: the window at linear 0, read-only, the virtual CPU page behind GS, and the
// guest's memory above. The same guest can be interpreted untranslated, for comparison.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

#include "cache_point_state.hpp"
#include "monitor/instruction/interpreter.hpp"
#include "monitor/window_layout.hpp"
#include "tests/unit/fakes/machine_memory.hpp"
#include "tests/unit/instruction/interpreter_machine.hpp"

namespace undercroft::test {

class TranslatedGuest final : public LinearMemory {
 public:
  static constexpr std::uint32_t ram = 0x800000, ram_bytes = 0x40000;
  static constexpr std::uint32_t code = ram + 0x1000;   // where tests put code
  static constexpr std::uint32_t data = ram + 0x20000;  // and data
  static constexpr std::uint32_t stack = ram + 0x30000;
  static constexpr unsigned longest_fetch = 240;

  TranslatedGuest() {
    cache.flush();
    for (unsigned i = 0; i < 6; ++i) {
      const bool is_code = i == static_cast<unsigned>(Segment::cs);
      vcpu.segments[i] = {static_cast<std::uint16_t>(is_code ? 0x10 : 0x18),
                          static_cast<std::uint16_t>(is_code ? 0xc09b : 0xc093), 0, 0xffffffff,
                          true};
      page().selectors[i] = vcpu.segments[i].selector + i * 0x100;
    }
    page().minus_code_selector = not_returnable;
    vcpu.cr0 |= cr0::protection_enable;
    vcpu.eip = code;
    vcpu[Register::esp] = stack;
  }

  MachineMemory machine{16u << 20};
  std::byte* const window =
      machine.view(HostPhysical(0x100000), window::size, PROT_READ | PROT_WRITE);
  TranslationCache cache{window, HostPhysical(0x100000), machine.slots};
  RecordingEnvironment environment;
  Interpreter interpreter{*this, environment};
  Vcpu vcpu;  // the guest's, before it enters the cache and after it has left

  // Whose code the guest's is from now on.
  void set_level(CodeLevel level) {
    level_ = level;
    cache.set_level(level);
  }

  VirtualCpuPage& page() { return *reinterpret_cast<VirtualCpuPage*>(window + window::cpu_page); }
  void put(std::uint32_t address, std::initializer_list<int> bytes) {
    for (int byte : bytes) *ram_at(address++) = static_cast<std::uint8_t>(byte);
  }
  void put32(std::uint32_t address, std::uint32_t value) {
    std::memcpy(ram_at(address), &value, sizeof value);
  }
  std::uint32_t get32(std::uint32_t address) {
    std::uint32_t value;
    std::memcpy(&value, ram_at(address), sizeof value);
    return value;
  }
  std::uint8_t* ram_at(std::uint32_t address) { return &ram_.at(address - ram); }
  void set_present(std::uint32_t address, bool present) {
    present_.at((address - ram) / page_size) = present;
  }

  // As the monitor calls it. `fetched`: how many of the bytes can be fetched.
  TranslationCache::Made translate(std::uint32_t eip, unsigned fetched = longest_fetch) {
    const std::uint32_t in_page = page_size - (eip & page_mask);
    const auto made = cache.translate(eip, eip / page_size, {ram_at(eip), fetched}, in_page);
    if (made.crosses) cache.add_second_frame(eip / page_size + 1);
    return made;
  }
  std::uint32_t block_at(std::uint32_t eip) {
    if (const auto start = cache.find(eip)) return *start;
    return translate(eip).start;
  }

  // Where execution in the cache ended: an exit, or the exception of an instruction there.
  struct End {
    std::optional<CacheExit> exit{};
    std::optional<Exception> exception{};
    std::uint32_t address = 0;             // in the cache
    std::vector<std::uint32_t> visited{};  // cache addresses of the instructions run
  };

  // Runs `vcpu` from the cache address until it leaves. Afterwards general registers and flags are
  // the processor's, EIP is the cache address.
  End run_from(std::uint32_t start) {
    page().interrupt_flag = vcpu.eflags & eflags::interrupt;
    const Vcpu guest = vcpu;
    enter(start);
    End end;
    while (end.visited.size() < 10000 && !cache.exit_at(vcpu.eip)) {
      end.visited.push_back(vcpu.eip);
      const StepOutcome outcome = interpreter.step(vcpu);
      if (outcome.kind == StepOutcome::Kind::exception) {
        end.exception = outcome.exception;
        break;
      }
    }
    if (!end.exception) end.exit = cache.exit_at(vcpu.eip);
    end.address = vcpu.eip;
    leave(guest);
    return end;
  }
  // The same from the guest's EIP, then makes `vcpu` the guest's again.
  End run() {
    const End end = run_from(block_at(vcpu.eip));
    settle(end);
    return end;
  }
  // Follows exits as the monitor does, without chaining, until one is for the interpreter.
  End run_through() {
    for (unsigned i = 0; i < 100; ++i) {
      const End end = run();
      if (!end.exit || end.exit->kind == ExitKind::interpret || end.exit->kind == ExitKind::port ||
          end.exit->kind == ExitKind::segment) {
        return end;
      }
    }
    return {};
  }
  void settle(const End& end) {
    PointState state = PointState::atomic;
    if (!end.exit) {
      const auto point = cache.point_at(end.address);
      vcpu.eip = point ? point->eip : 0xdeaddead;
      if (point) state = point->state;
    } else if (end.exit->kind == ExitKind::indirect) {
      state = PointState::borrowed_eax_ecx;
      vcpu.eip = vcpu[Register::ecx];
    } else {
      vcpu.eip = end.exit->eip;
    }
    restore_registers(vcpu, state, page());
  }

  // Interprets the guest's own instructions until it is at `eip`, at least one.
  StepOutcome interpret_to(std::uint32_t eip) {
    StepOutcome outcome;
    for (unsigned i = 0; i < 1000; ++i) {
      outcome = interpreter.step(vcpu);
      if (outcome.kind == StepOutcome::Kind::exception || vcpu.eip == eip) break;
    }
    return outcome;
  }

  Guarded<std::uint32_t> read(GuestLinear address, unsigned size, Privilege) override {
    TRY(check(address, size, false));
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      value |= static_cast<std::uint32_t>(*at(address.value() + i)) << (8 * i);
    }
    return value;
  }
  Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned size, Privilege) override {
    TRY(check(address, size, true));
    for (unsigned i = 0; i < size; ++i) {
      *at(address.value() + i) = static_cast<std::uint8_t>(value >> (8 * i));
    }
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
    TRY(check(address, 1, false));
    for (unsigned i = 0; i < out.size(); ++i) {
      if (!check(address + i, 1, false).ok()) return i;
      out[i] = *at(address.value() + i);
    }
    return static_cast<unsigned>(out.size());
  }

 private:
  void enter(std::uint32_t start) {
    vcpu.eip = start;
    vcpu.cpl = 3;
    // IF is virtual: the processor's is set. AC and ID are the guest's.
    vcpu.eflags |= eflags::interrupt;
    for (DescriptorCache& segment : vcpu.segments) segment.attributes |= 3 << 5;
    vcpu[page_segment(level_)] = {0xffff, 0x40f3, window::cpu_page, page_mask, true};
  }
  void leave(const Vcpu& guest) {
    vcpu.cpl = guest.cpl;
    vcpu.segments = guest.segments;
    vcpu.eflags = (vcpu.eflags & ~eflags::interrupt) | page().interrupt_flag;
  }
  std::uint8_t* at(std::uint32_t address) {
    return address < window::size ? reinterpret_cast<std::uint8_t*>(window) + address
                                  : ram_at(address);
  }
  Guarded<Done> check(GuestLinear address, unsigned size, bool write) const {
    for (unsigned i = 0; i < size; ++i) {
      const std::uint32_t at = address.value() + i;
      const bool in_page = at >= window::cpu_page && at < window::cpu_page + page_size;
      const bool in_cache = at >= window::jump_table && at < window::cache_end && !write;
      const bool in_ram = at >= ram && at - ram < ram_bytes && present_[(at - ram) / page_size];
      if (!in_page && !in_cache && !in_ram) {
        return Failure{Exception::page_fault(GuestLinear(at), write ? 6 : 4)};
      }
    }
    return Done{};
  }

  CodeLevel level_ = CodeLevel::kernel;
  std::vector<std::uint8_t> ram_ = std::vector<std::uint8_t>(ram_bytes);
  std::vector<bool> present_ = std::vector<bool>(ram_bytes / page_size, true);
};

}  // namespace undercroft::test
