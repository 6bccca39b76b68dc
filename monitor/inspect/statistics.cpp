#include "statistics.hpp"

#include <string_view>

#include "../instruction/operation_names.hpp"
#include "format.hpp"

namespace undercroft {
namespace {

constexpr std::array<std::string_view, 20> vector_names{
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9",
    "#TS", "#NP", "#SS", "#GP", "#PF", "#15", "#MF", "#AC", "#MC", "#XM"};
constexpr std::array<std::string_view, exit_kind_count> exit_names{
    "", "interpret", "branch", "indirect", "moved", "port", "segment"};

void print_vector(Console& console, unsigned vector, std::uint64_t count) {
  if (vector < vector_names.size())
    print(console, " {}={}", vector_names[vector], count);
  else if (vector >= host_interrupt_base)
    print(console, " irq{}={}", vector - host_interrupt_base, count);
  else
    print(console, " #{}={}", vector, count);
}

template <std::size_t n>
void print_vectors(Console& console, std::string_view title,
                   const std::array<std::uint64_t, n>& counts) {
  console.write(title);
  for (unsigned vector = 0; vector < n; ++vector) {
    if (counts[vector]) print_vector(console, vector, counts[vector]);
  }
  console.write("\n");
}

// The most frequent first.
void print_operations(Console& console, std::array<std::uint64_t, 256> counts) {
  constexpr unsigned shown = 16;
  console.write("interpreted most:");
  for (unsigned n = 0; n < shown; ++n) {
    unsigned most = 0;
    for (unsigned i = 1; i < counts.size(); ++i) {
      if (counts[i] > counts[most]) most = i;
    }
    if (counts[most] == 0) break;
    print(console, " {}={}", name(static_cast<Operation>(most)), counts[most]);
    counts[most] = 0;
  }
  console.write("\n");
}

void print_share(Console& console, std::string_view name, std::uint64_t part, std::uint64_t whole) {
  const std::uint64_t hundredths = whole == 0 ? 0 : part * 10000 / whole;
  print(console, " {} {}.{}{} %", name, hundredths / 100, hundredths / 10 % 10, hundredths % 10);
}

// Nobody counts the instructions that the processor runs; the time stamp counter is next to it.
void print_shares(Console& console, const Statistics& s) {
  const auto [translated, direct] = s.ticks;
  const std::uint64_t whole = translated + direct + s.interpreted;
  console.write("share of guest instructions run:");
  print_share(console, "directly", direct, whole);
  print_share(console, "translated", translated, whole);
  print_share(console, "interpreted", s.interpreted, whole);
  print(console,
        "\n  measured: {} and {} time-stamp ticks on the processor, with the ways in and back and "
        "what translation adds (one tick is one instruction under QEMU's -icount shift=0), {} "
        "instructions interpreted\n",
        direct, translated, s.interpreted);
}

}  // namespace

void print_statistics(Console& console, const Statistics& s, const ShadowPaging::Counts& shadow,
                      const TranslationCache::Counts& cache) {
  console.write("-- statistics --\n");
  print_vectors(console, "traps, kernel view:", s.traps[0]);
  print_vectors(console, "traps, user view:", s.traps[1]);
  console.write("page faults:");
  for (unsigned cause = 0; cause < page_fault_cause_count; ++cause) {
    if (s.page_faults[cause])
      print(console, " {}={}", name_of(static_cast<PageFaultCause>(cause)), s.page_faults[cause]);
  }
  console.write("\nexits from the cache:");
  for (unsigned kind = 1; kind < exit_names.size(); ++kind)
    print(console, " {}={}", exit_names[kind], s.exits[kind]);
  print(console,
        "\nblocks: translated {}, instructions {}, chained {}, landings {}, dropped {}, "
        "cache flushes {}\n",
        cache.blocks, cache.instructions, cache.chained, cache.landings, cache.dropped,
        cache.flushes);
  print(console,
        "shadow: fills {}, page-table writes {}, tables made {}, recycled {}, "
        "entries cleared {}, frames protected {}\n",
        shadow.fills, shadow.table_writes, shadow.tables_made, shadow.tables_recycled,
        shadow.entries_cleared, shadow.protections);
  print_operations(console, s.interpreted_operations);
  print(
      console,
      "code flushed: paging mode {}, no free slot {}, too many slots {}, guards {}, user code {}; "
      "slots checked {}, "
      "interpreted for its writes {}\n",
      s.code_flushes[0], s.code_flushes[1], s.code_flushes[2], s.code_flushes[3], s.code_flushes[4],
      s.code_slots_checked, s.churning);
  print_shares(console, s);
  print_vectors(console, "injected faults:", s.injected);
  print(console,
        "interrupts delivered {}, descriptor writes {}, window migrations {}, "
        "without a free slot {}\n",
        s.delivered_interrupts, s.descriptor_writes, s.migrations, s.crowded);
  print(
      console,
      "entries: translated {}, direct {}; instructions interpreted {}, x87 and SSE among them {}; "
      "root loads {}, steps {}, idle {}\n",
      s.translated_entries, s.direct_entries, s.interpreted, s.native, s.root_loads, s.steps,
      s.idle);
}

void print_withdrawals(Console& console, const Withdrawal::Counts& c) {
  if (c.zero + c.packed + c.unpackable + c.reclaims == 0) return;
  print(console,
        "frames withdrawn: {} zero, {} packed; restored {}; did not pack {}; pool empty {}\n"
        "frames gained: {} now, {} at most\n",
        c.zero, c.packed, c.restored, c.unpackable, c.reclaims, c.gained, c.most_gained);
}

}  // namespace undercroft
