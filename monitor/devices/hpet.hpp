// The high precision event timer: a counter of 100 MHz and three comparators. IA-PC HPET
// specification 1.0a. Nothing runs between accesses: the counter is computed from the time. Which
// line a timer drives is said by its route; driving it is left to the owner.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

class Hpet {
 public:
  static constexpr unsigned timer_count = 3;

  // Registers by offset in the page: reads of 1, 2 or 4 bytes, writes of 4. Times are in
  // nanoseconds. Before a read of what depends on matches, and before a write, advance.
  static bool depends_on_matches(unsigned offset);
  // Whether a write may change when timer 0 ticks, or whether as the 8254.
  static bool sets_up_ticks(unsigned offset);
  std::uint32_t read(unsigned offset, unsigned size, std::uint64_t now) const;
  void write(unsigned offset, std::uint32_t value, std::uint64_t now);

  // Notes the matches up to `now`; next_deadline is that of the first one that interrupts,
  // no_deadline if none will.
  void advance(std::uint64_t now);
  std::uint64_t next_deadline() const;

  // What a timer does to its line: edges that it has given since they were last taken, or a level.
  std::uint32_t take_edges(unsigned timer);
  bool level(unsigned timer) const;
  // The I/O APIC's pin; meaningless for timers 0 and 1 while they replace the 8254 and the clock.
  unsigned route(unsigned timer) const;
  bool replaces_legacy() const;

 private:
  static constexpr std::uint64_t never = ~std::uint64_t{0};
  struct Comparator {
    std::uint32_t configuration = 0;  // without the bits that are fixed
    std::uint64_t value = ~std::uint64_t{0};
    std::uint64_t period = 0;     // what was written last
    std::uint64_t match = never;  // the counter's value at the next one
    std::uint32_t edges = 0;

    bool has(std::uint32_t bit) const { return (configuration & bit) != 0; }
  };

  bool counting() const;
  std::uint64_t counter(std::uint64_t now) const;
  std::uint32_t read_register(unsigned offset, std::uint64_t now) const;
  std::uint32_t read_comparator(unsigned timer, unsigned offset) const;
  void write_configuration(std::uint32_t value, std::uint64_t now);
  void write_comparator(unsigned timer, unsigned offset, std::uint32_t value);
  void find_match(Comparator&, std::uint64_t counted) const;
  void matched(unsigned timer, std::uint64_t counted);

  std::uint32_t configuration_ = 0;
  std::uint32_t status_ = 0;
  std::uint64_t counter_ = 0;  // at start_, or as long as it stands
  std::uint64_t start_ = 0;
  std::array<Comparator, timer_count> timers_{};
};

}  // namespace undercroft
