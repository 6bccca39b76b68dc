// A PS/2 mouse: commands, packets of three bytes, and of four with a wheel once it has been knocked
// at (IntelliMouse). Protocol: IBM PS/2 Hardware Interface Technical Reference, Mouse.
#pragma once

#include <array>
#include <cstdint>

#include "../ports.hpp"

namespace undercroft {

class Mouse {
 public:
  void command(std::uint8_t byte);  // from the controller
  // What the host's mouse has done; kept together until a packet has room.
  void move(const MouseMovement&);

  bool has_output() const { return count_ != 0; }
  std::uint8_t take_output();  // only if has_output()

 private:
  static constexpr unsigned queue_size = 32;

  void send(std::uint8_t byte);
  void acknowledge();
  void parameter(std::uint8_t byte);
  void set_defaults();
  void note_rate(std::uint8_t rate);
  void send_status();
  void send_packet();
  void stream();
  int scaled(int counts) const;

  std::array<std::uint8_t, queue_size> queue_{};
  std::uint8_t first_ = 0, count_ = 0;
  std::uint8_t awaited_ = 0;  // the command whose parameter comes next
  std::uint8_t last_sent_ = 0;
  std::uint8_t identity_ = 0;  // 3 with a wheel
  std::uint8_t resolution_ = 2, rate_ = 100;
  std::array<std::uint8_t, 2> rates_before_{};  // newest first: the knock
  bool reporting_ = false, remote_ = false, wrap_ = false, doubled_ = false;
  MouseMovement waiting_{};
  bool moved_ = false;  // since the last packet
};

}  // namespace undercroft
