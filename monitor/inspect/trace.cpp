#include "trace.hpp"

#include "format.hpp"

namespace undercroft {
namespace {

void print_cache_address(Console& out, const TranslationCache& cache, const TraceEntry& entry) {
  const auto exit = entry.vector == 6 ? cache.exit_at(entry.eip) : std::nullopt;
  if (exit && exit->kind == ExitKind::indirect) return out.write(" exit indirect");
  if (exit) return print(out, " exit {} to {x8}", static_cast<unsigned>(exit->kind), exit->eip);
  if (const auto point = cache.point_at(entry.eip)) print(out, " guest eip {x8}", point->eip);
}

}  // namespace

void Trace::print(Console& out, const TranslationCache& cache) const {
  const std::uint32_t count = next_ < entries_.size() ? next_ : std::uint32_t{entries_.size()};
  undercroft::print(out, "  last {} traps, newest last:\n", count);
  for (std::uint32_t n = next_ - count; n != next_; ++n) {
    const TraceEntry& entry = entries_[n % entries_.size()];
    const bool kernel = entry.view == static_cast<std::uint8_t>(View::kernel);
    undercroft::print(out, "  {} vector {} error {x} eip {x8} esp {x8}",
                      kernel ? "kernel" : "user  ", entry.vector, entry.error_code, entry.eip,
                      entry.esp);
    if (kernel) print_cache_address(out, cache, entry);
    if (entry.vector == 14) undercroft::print(out, " address {x8}", entry.address);
    out.write("\n");
  }
  print_interpreted(out);
}

void Trace::print_interpreted(Console& out) const {
  constexpr unsigned in_a_line = 4;
  const std::uint32_t count =
      next_interpreted_ < interpreted_.size() ? next_interpreted_ : interpreted_.size();
  undercroft::print(out, "  last {} instructions interpreted, newest last:", count);
  for (std::uint32_t n = 0; n < count; ++n) {
    const Interpreted& at = interpreted_[(next_interpreted_ - count + n) % interpreted_.size()];
    undercroft::print(out, "{}{x4}:{x8}", n % in_a_line == 0 ? "\n    " : "  ", at.cs, at.eip);
  }
  out.write("\n");
}

}  // namespace undercroft
