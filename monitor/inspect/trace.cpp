#include "trace.hpp"

#include "format.hpp"

namespace undercroft {

void Trace::print(Console& out) const {
  const std::uint32_t count = next_ < entries_.size() ? next_ : std::uint32_t{entries_.size()};
  undercroft::print(out, "  last {} traps, newest last:\n", count);
  for (std::uint32_t n = next_ - count; n != next_; ++n) {
    const TraceEntry& entry = entries_[n % entries_.size()];
    undercroft::print(out, "  {} vector {} error {x} eip {x8} esp {x8}",
                      entry.view ? "user  " : "kernel", entry.vector, entry.error_code, entry.eip,
                      entry.esp);
    if (entry.vector == 14)
      undercroft::print(out, " address {x8}\n", entry.address);
    else
      out.write("\n");
  }
}

}  // namespace undercroft
