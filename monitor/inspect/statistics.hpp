// What is counted while a guest runs, and the report printed at its end. Counters are part of the
// trap loop (design section 10); the parts of the monitor that count for themselves hand theirs in.
#pragma once

#include <array>
#include <cstdint>

#include "../memory/page_fault.hpp"
#include "../memory/shadow.hpp"
#include "../memory/withdrawal.hpp"
#include "../ports.hpp"
#include "../processor.hpp"
#include "../translate/cache.hpp"

namespace undercroft {

// Why all translated code was dropped at once.
enum class CodeFlush : std::uint8_t {
  paging_mode,
  no_free_slot,
  too_many_slots,
  guards,
  user_code
};

struct Statistics {
  std::array<std::array<std::uint64_t, 64>, 2> traps{};  // by view and hardware vector
  std::array<std::uint64_t, page_fault_cause_count> page_faults{};
  std::array<std::uint64_t, exit_kind_count> exits{};       // by ExitKind
  std::array<std::uint64_t, 256> interpreted_operations{};  // by Operation
  std::array<std::uint64_t, 32> injected{};                 // by vector
  std::array<std::uint64_t, 5> code_flushes{};              // by CodeFlush
  std::uint64_t churning = 0;  // times that a frame's code began to be interpreted for its writes
  std::uint64_t code_slots_checked = 0;  // 4 MB of code that an address space may have otherwise
  std::uint64_t interpreted = 0;         // instructions
  std::uint64_t native = 0;              // x87, MMX and SSE among them, run by the processor
  std::array<std::uint64_t, 2> ticks{};  // of the time stamp counter in the guest, by view
  std::uint64_t translated_entries = 0;  // entries into the cache
  std::uint64_t direct_entries = 0;      // entries into user code
  std::uint64_t delivered_interrupts = 0;
  std::uint64_t steps = 0;  // single steps to a boundary
  std::uint64_t root_loads = 0;
  std::uint64_t descriptor_writes = 0;
  std::uint64_t migrations = 0;
  std::uint64_t crowded = 0;       // times no slot was free for the window
  std::uint64_t guest_faults = 0;  // page faults taken while the guest ran
  std::uint64_t idle = 0;          // times the processor was halted for the guest
};

void print_statistics(Console&, const Statistics&, const ShadowPaging::Counts&,
                      const TranslationCache::Counts&);

// Nothing if no frame was ever withdrawn.
void print_withdrawals(Console&, const Withdrawal::Counts&);

}  // namespace undercroft
