// Runs translated code on the processor itself, in this 32-bit process: the LDT has a code segment
// whose base is the window's, so that window offsets are right, and a data segment for the virtual
// CPU page, which goes into GS. Whatever traps becomes a signal, and ends the run.
#pragma once

#include <array>
#include <cstdint>

#include "monitor/translate/cpu_page.hpp"

namespace undercroft::test {

// What the guest has in a segment register: of 4 GB, or nothing.
enum class FlatSegment : std::uint8_t { null, data, code };

struct CacheRegisters {
  std::array<std::uint32_t, 8> general{};
  std::uint32_t eip = 0;  // a window offset
  std::uint32_t eflags = 0;
  FlatSegment es = FlatSegment::data, ds = FlatSegment::data, fs = FlatSegment::data;
};

struct CacheTrap {
  unsigned vector = 0;
  std::uint32_t fault_address = 0;  // page faults
};

class TranslatorProcessor {
 public:
  // Both stay where they are for the rest of the process.
  TranslatorProcessor(const void* window, VirtualCpuPage& page);

  // False: the kernel gives no LDT segments, and nothing can be run.
  bool ready() const { return ready_; }

  // Runs until the next trap; with step, for one instruction, unless it traps itself.
  CacheTrap enter(CacheRegisters&, bool step);

 private:
  bool ready_ = false;
};

}  // namespace undercroft::test
