// The monitor's own command line as values. Each word is name=value or a bare name; a word that is
// not known is an error that names it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "monitor/address.hpp"
#include "monitor/devices/machine_kind.hpp"
#include "monitor/result.hpp"

namespace undercroft::boot {

enum class Engine : std::uint8_t { translate, interpret };
enum class UserMode : std::uint8_t { direct, translate };
enum class Guard : std::uint8_t { fast, exact };
enum class MemoryPolicy : std::uint8_t { eager, lazy };
enum class KeyboardSource : std::uint8_t { host, serial };
enum class Absent : std::uint8_t { floating, fault };
enum class HostTimerKind : std::uint8_t { any, pit, apic, hpet };

// Instead of a guest: exercise the nexus; or panic by a page fault, or by a stack overflow, so that
// the reports can be seen.
enum class SelfTestKind : std::uint8_t { none, nexus, panic, overflow };

struct Options {
  std::uint32_t guest_memory = 0;                  // mem=SIZE bytes (K, M, G); 0: all that is left
  MachineKind machine = MachineKind::pc;           // machine=isa|pc
  KeyboardSource keyboard = KeyboardSource::host;  // keyboard=host|serial
  std::optional<HostLinear> window{};              // window=0x..., a multiple of 4 MB
  std::uint32_t window_hop = 0;                    // window=hop:N; 0: off
  Engine engine = Engine::translate;               // engine=translate|interpret
  UserMode user = UserMode::direct;                // user=direct|translate
  Guard guard = Guard::fast;                       // guard=fast|exact
  MemoryPolicy memory = MemoryPolicy::eager;       // memory=eager|lazy
  std::uint32_t withdraw_every = 0;            // withdraw=every:N; 0: only when frames are short
  Absent absent = Absent::floating;            // absent=float|fault
  bool give_framebuffer = true;                // framebuffer=auto|off
  bool boot_16 = false;                        // boot=auto|16
  HostTimerKind timer = HostTimerKind::any;    // timer=auto|pit|apic|hpet
  std::uint32_t slowness = 1;                  // slow=N: the guest's clock goes N times slower
  std::uint32_t watchdog = 0;                  // watchdog=SECONDS without an interrupt; 0: off
  std::uint32_t save_port = 0;                 // save=PORT: saved disks go there; 0: nowhere
  bool check_frames = false;                   // check=frames
  std::uint32_t log = 0;                       // log=N: 0 quiet, more is more
  SelfTestKind selftest = SelfTestKind::none;  // selftest[=panic|overflow]
};

struct OptionError {
  std::string_view word;
  const char* reason = "";
};

// The error's word lies within the command line.
Result<Options, OptionError> parse_options(std::string_view command_line);

}  // namespace undercroft::boot
