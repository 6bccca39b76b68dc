#include "keyboard.hpp"

#include "instructions.hpp"

namespace undercroft::x86 {
namespace {

constexpr std::uint16_t data_port = 0x60, status_port = 0x64;
constexpr std::uint8_t output_full = 0x01, input_full = 0x02, from_mouse = 0x20;
constexpr std::uint8_t absent = 0xff;  // what a bus without a controller gives

constexpr std::uint8_t read_command_byte = 0x20, write_command_byte = 0x60;
constexpr std::uint8_t enable_mouse_port = 0xa8, to_mouse = 0xd4;
constexpr std::uint8_t mouse_interrupt = 0x02, mouse_disabled = 0x20;

constexpr std::uint8_t acknowledge = 0xfa, send_again = 0xfe;
constexpr std::uint8_t set_lights = 0xed;
constexpr std::uint8_t set_default = 0xf6, set_rate = 0xf3, identify = 0xf2, enable = 0xf4;
constexpr std::uint8_t with_wheel = 3;
constexpr std::uint8_t knock[] = {200, 100, 80};  // rates that ask for a wheel

// A port read takes about a microsecond.
constexpr unsigned patience = 50'000;

void wait_for_room() {
  for (unsigned i = 0; i < patience && (port_in_8(status_port) & input_full); ++i) {
  }
}
void write_command(std::uint8_t value) {
  wait_for_room();
  port_out_8(status_port, value);
}
void write_data(std::uint8_t value) {
  wait_for_room();
  port_out_8(data_port, value);
}

}  // namespace

// What the keyboard says meanwhile is kept.
bool Keyboard::read_mouse_byte(std::uint8_t& byte) {
  for (unsigned i = 0; i < patience; ++i) {
    const std::uint8_t status = port_in_8(status_port);
    if (!(status & output_full)) continue;
    byte = port_in_8(data_port);
    if (status & from_mouse) return true;
    received_.push(byte);
  }
  return false;
}

bool Keyboard::ask_mouse(std::uint8_t byte) {
  write_command(to_mouse);
  write_data(byte);
  std::uint8_t reply = 0;
  return read_mouse_byte(reply) && reply == acknowledge;
}

void Keyboard::initialise() {
  if (port_in_8(status_port) == absent) return;
  write_command(enable_mouse_port);
  if (!ask_mouse(set_default)) return;
  for (const std::uint8_t rate : knock) {
    if (!ask_mouse(set_rate) || !ask_mouse(rate)) return;
  }
  std::uint8_t identity = 0;
  if (!ask_mouse(identify) || !read_mouse_byte(identity)) return;
  mouse_.start(identity == with_wheel);
  if (!ask_mouse(enable)) return;
  write_command(read_command_byte);
  for (unsigned i = 0; i < patience && !(port_in_8(status_port) & output_full); ++i) {
  }
  const std::uint8_t before = port_in_8(data_port);
  write_command(write_command_byte);
  write_data(static_cast<std::uint8_t>((before | mouse_interrupt) & ~mouse_disabled));
}

bool Keyboard::controller_present() { return port_in_8(0x64) != 0xff; }

void Keyboard::show_lights(std::uint8_t lights) {
  if (!controller_present()) return;
  lights_ = lights & 7;
  lights_state_ = Lights::command_sent;
  write_data(set_lights);
}

// Neither byte is a scan code of a key.
bool Keyboard::is_reply(std::uint8_t byte) {
  if (lights_state_ == Lights::shown || (byte != acknowledge && byte != send_again)) return false;
  const bool goes_on = byte == acknowledge && lights_state_ == Lights::command_sent;
  lights_state_ = goes_on ? Lights::value_sent : Lights::shown;
  if (goes_on) write_data(lights_);
  return true;
}

void Keyboard::handle_interrupt() {
  const std::uint8_t status = port_in_8(status_port);
  if (!(status & output_full)) return;
  const std::uint8_t byte = port_in_8(data_port);
  if (status & from_mouse) {
    mouse_.receive(byte);
  } else if (!is_reply(byte)) {
    received_.push(byte);
  }
}

}  // namespace undercroft::x86
