#include "options.hpp"

namespace undercroft::boot {
namespace {

// Decimal, or hexadecimal after 0x; with a size suffix K, M or G if asked for.
std::optional<std::uint32_t> number(std::string_view text, bool suffixes) {
  unsigned shift = 0;
  if (suffixes && !text.empty()) {
    const char last = text.back();
    shift = last == 'K' || last == 'k'   ? 10
            : last == 'M' || last == 'm' ? 20
            : last == 'G' || last == 'g' ? 30
                                         : 0;
    if (shift) text.remove_suffix(1);
  }
  unsigned base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                           : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10)
                                                  : 99;
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
    if (value >> 32) return std::nullopt;
  }
  value <<= shift;
  if (value >> 32) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

using Problem = const char*;  // nullptr: none

Problem set_number(std::string_view value, bool suffixes, std::uint32_t& out) {
  const std::optional<std::uint32_t> parsed = number(value, suffixes);
  if (!parsed) return "is not a number that fits 32 bits";
  out = *parsed;
  return nullptr;
}

Problem set_memory(Options& options, std::string_view value) {
  if (const Problem problem = set_number(value, true, options.guest_memory)) return problem;
  if (options.guest_memory % page_size || options.guest_memory == 0) {
    return "must be a multiple of 4096, and not 0";
  }
  return nullptr;
}

Problem set_window(Options& options, std::string_view value) {
  if (value.starts_with("hop:")) return set_number(value.substr(4), false, options.window_hop);
  std::uint32_t base = 0;
  if (const Problem problem = set_number(value, false, base)) return problem;
  if (base % 0x400000) return "must be a multiple of 4 MB, or hop:N";
  options.window = HostLinear(base);
  return nullptr;
}

Problem set_withdraw(Options& options, std::string_view value) {
  if (!value.starts_with("every:")) return "must be every:N";
  return set_number(value.substr(6), false, options.withdraw_every);
}

Problem set_check(Options& options, std::string_view value) {
  if (value != "frames") return "must be frames";
  options.check_frames = true;
  return nullptr;
}

Problem set_slow(Options& options, std::string_view value) {
  if (const Problem problem = set_number(value, false, options.slowness)) return problem;
  const bool sensible = options.slowness >= 1 && options.slowness <= 1000;
  return sensible ? nullptr : "must be 1 to 1000";
}

Problem set_save(Options& options, std::string_view value) {
  if (const Problem problem = set_number(value, false, options.save_port)) return problem;
  const bool port = options.save_port != 0 && options.save_port <= 0xffff;
  return port ? nullptr : "must be a port, 1 to 0xffff";
}

// `problem` names the two.
template <class Choice>
Problem choose(std::string_view value, Problem problem, std::string_view first, Choice first_value,
               std::string_view second, Choice second_value, Choice& out) {
  if (value != first && value != second) return problem;
  out = value == first ? first_value : second_value;
  return nullptr;
}

Problem set_timer(Options& options, std::string_view value) {
  constexpr struct {
    std::string_view name;
    HostTimerKind kind;
  } kinds[] = {{"auto", HostTimerKind::any},
               {"pit", HostTimerKind::pit},
               {"apic", HostTimerKind::apic},
               {"hpet", HostTimerKind::hpet}};
  for (const auto& known : kinds) {
    if (value != known.name) continue;
    options.timer = known.kind;
    return nullptr;
  }
  return "must be auto, pit, apic or hpet";
}

struct Row {
  std::string_view name;
  Problem (*set)(Options&, std::string_view value);
};

constexpr Row rows[] = {
    {"mem", set_memory},
    {"keyboard",
     [](Options& o, std::string_view v) {
       return choose(v, "must be host or serial", "host", KeyboardSource::host, "serial",
                     KeyboardSource::serial, o.keyboard);
     }},
    {"machine",
     [](Options& o, std::string_view v) {
       return choose(v, "must be isa or pc", "isa", MachineKind::isa, "pc", MachineKind::pc,
                     o.machine);
     }},
    {"window", set_window},
    {"engine",
     [](Options& o, std::string_view v) {
       return choose(v, "must be translate or interpret", "translate", Engine::translate,
                     "interpret", Engine::interpret, o.engine);
     }},
    {"user",
     [](Options& o, std::string_view v) {
       return choose(v, "must be direct or translate", "direct", UserMode::direct, "translate",
                     UserMode::translate, o.user);
     }},
    {"guard",
     [](Options& o, std::string_view v) {
       return choose(v, "must be fast or exact", "fast", Guard::fast, "exact", Guard::exact,
                     o.guard);
     }},
    {"memory",
     [](Options& o, std::string_view v) {
       return choose(v, "must be eager or lazy", "eager", MemoryPolicy::eager, "lazy",
                     MemoryPolicy::lazy, o.memory);
     }},
    {"withdraw", set_withdraw},
    {"absent",
     [](Options& o, std::string_view v) {
       return choose(v, "must be float or fault", "float", Absent::floating, "fault", Absent::fault,
                     o.absent);
     }},
    {"selftest",
     [](Options& o, std::string_view v) {
       return choose(v, "must be panic or overflow", "panic", SelfTestKind::panic, "overflow",
                     SelfTestKind::overflow, o.selftest);
     }},
    {"timer", set_timer},
    {"slow", set_slow},
    {"framebuffer",
     [](Options& o, std::string_view v) {
       return choose(v, "must be auto or off", "auto", true, "off", false, o.give_framebuffer);
     }},
    {"boot",
     [](Options& o, std::string_view v) {
       return choose(v, "must be auto or 16", "auto", false, "16", true, o.boot_16);
     }},
    {"watchdog", [](Options& o, std::string_view v) { return set_number(v, false, o.watchdog); }},
    {"save", set_save},
    {"check", set_check},
    {"log", [](Options& o, std::string_view v) { return set_number(v, false, o.log); }},
};

Problem set_option(Options& options, std::string_view word) {
  if (word == "selftest") {
    options.selftest = SelfTestKind::nexus;
    return nullptr;
  }
  const std::size_t equals = word.find('=');
  for (const Row& row : rows) {
    if (word.substr(0, equals) != row.name) continue;
    if (equals == std::string_view::npos) return "needs a value";
    return row.set(options, word.substr(equals + 1));
  }
  return "is not an option of Undercroft";
}

}  // namespace

Result<Options, OptionError> parse_options(std::string_view command_line) {
  Options options;
  while (!command_line.empty()) {
    const std::size_t end = command_line.find(' ');
    const std::string_view word = command_line.substr(0, end);
    command_line.remove_prefix(end == std::string_view::npos ? command_line.size() : end + 1);
    if (word.empty()) continue;
    if (const Problem problem = set_option(options, word)) {
      return Failure{OptionError{word, problem}};
    }
  }
  return options;
}

}  // namespace undercroft::boot
