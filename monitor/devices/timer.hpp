// The 8254 programmable interval timer and the parts of port 0x61 that belong to it. Data sheet:
// Intel 82C54 (231244). Nothing runs between accesses: each counter's state is computed from the
// time by exact 1193182 Hz arithmetic, so that no remainder is ever lost.
//
// Channel 0's rising edges are IRQ 0. advance() tells how many have come since it was last called.
// Told of one at a time, a guest that has not yet taken the last loses the next, as on a PC.
// Several in one call mean that the guest was not run meanwhile; its owner gives it those later.
#pragma once

#include <array>
#include <cstdint>

namespace undercroft {

inline constexpr std::uint32_t timer_hertz = 1193182;

// Whole periods of a clock of `hertz` in `nanoseconds`, and the first nanosecond that has that
// many. Split at the second so that nothing overflows and nothing is rounded twice.
constexpr std::uint64_t ticks_at(std::uint64_t nanoseconds, std::uint32_t hertz) {
  const std::uint64_t seconds = nanoseconds / 1'000'000'000u;
  const std::uint64_t rest = nanoseconds % 1'000'000'000u;
  return seconds * hertz + rest * hertz / 1'000'000'000u;
}
constexpr std::uint64_t nanoseconds_at(std::uint64_t ticks, std::uint32_t hertz) {
  const std::uint64_t seconds = ticks / hertz;
  const std::uint64_t rest = ticks % hertz;
  return seconds * 1'000'000'000u + (rest * 1'000'000'000u + hertz - 1) / hertz;
}

// One counter. All times are in ticks of its clock since the Clock's zero.
class TimerChannel {
 public:
  // For this channel; not a latch command.
  void write_control(std::uint8_t control, std::int64_t now);
  void write_count(std::uint8_t byte, std::int64_t now);
  std::uint8_t read(std::int64_t now);
  void latch_count(std::int64_t now);
  void latch_status(std::int64_t now);
  void set_gate(bool high, std::int64_t now);

  bool output(std::int64_t now) const;
  // The output's rising edges that have not been taken yet; with the gate high only.
  std::uint32_t take_rising_edges(std::int64_t now);
  // The tick of the first rising edge after `now`; negative if there is none.
  std::int64_t next_rising_edge(std::int64_t now) const;

 private:
  bool periodic() const { return mode_ == 2 || mode_ == 3; }
  bool started_by_gate() const { return mode_ == 1 || mode_ == 5; }
  std::int64_t high_part() const { return (count_ + 1) / 2; }  // of mode 3's period
  std::int64_t elapsed(std::int64_t now) const;                // since the counter held count_
  std::int64_t one_shot_edge() const;
  std::int64_t edges_until(std::int64_t tick) const;  // since start_
  void start(std::int64_t at);                        // with the count written last
  void load(std::uint32_t written, std::int64_t now);
  void adopt_pending();
  void settle(std::int64_t now);
  std::uint16_t counter(std::int64_t now) const;  // as a guest reads it
  std::uint8_t status(std::int64_t now) const;

  std::uint8_t mode_ = 0;
  std::uint8_t access_ = 3;  // 1 low byte, 2 high byte, 3 low then high
  bool bcd_ = false;
  bool gate_ = true;
  bool loaded_ = false;                // a count has been written since the control word
  bool started_ = false;               // it has reached the counter, or will at start_
  bool counting_ = false;              // and is not held by the gate
  bool pending_ = false;               // modes 2 and 3: next_count_ takes over at pending_at_
  std::int64_t count_ = 0x10000;       // N of the data sheet, never 0
  std::int64_t next_count_ = 0x10000;  // what was written last
  std::int64_t pending_at_ = 0;
  std::int64_t start_ = 0;  // when the counter held count_
  std::int64_t held_ = 0;   // if not counting: elapsed()
  std::int64_t seen_ = 0;   // rising edges up to this tick are in edges_
  std::uint32_t edges_ = 0;
  bool write_high_next_ = false;
  std::uint8_t write_low_ = 0;
  bool read_high_next_ = false;
  bool count_latched_ = false;
  bool status_latched_ = false;
  std::uint16_t latched_count_ = 0;
  std::uint8_t latched_status_ = 0;
};

class Timer {
 public:
  // As firmware leaves it: channel 0 in mode 2 at 18.2 Hz.
  explicit Timer(std::uint64_t now);

  // Offsets 0 to 3 from port 0x40; 3 is the control word. `now` is in nanoseconds.
  std::uint8_t read(unsigned offset, std::uint64_t now);
  void write(unsigned offset, std::uint8_t value, std::uint64_t now);

  // Port 0x61: bit 0 gate of channel 2, 1 speaker, 2 and 3 latched; read: 4 refresh, 5 OUT2.
  std::uint8_t read_port_b(std::uint64_t now) const;
  void write_port_b(std::uint8_t value, std::uint64_t now);

  std::uint32_t take_interrupts(std::uint64_t now);  // channel 0's rising edges
  std::uint64_t next_deadline(std::uint64_t now) const;
  bool interrupt_line(std::uint64_t now) const;  // channel 0's output

 private:
  static std::int64_t ticks(std::uint64_t now) {
    return static_cast<std::int64_t>(ticks_at(now, timer_hertz));
  }
  void read_back(std::uint8_t command, std::int64_t now);

  std::array<TimerChannel, 3> channels_{};
  std::uint8_t port_b_ = 0;
};

}  // namespace undercroft
