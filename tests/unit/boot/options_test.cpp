#include "boot/options.hpp"

#include <gtest/gtest.h>

#include <string>

namespace undercroft::boot {
namespace {

Options parsed(std::string_view line) {
  const auto result = parse_options(line);
  EXPECT_TRUE(result.ok()) << line << ": " << result.error().word << " " << result.error().reason;
  return result.value();
}

std::string refused(std::string_view line) {
  const auto result = parse_options(line);
  if (result.ok()) return "accepted";
  return std::string(result.error().word) + " " + result.error().reason;
}

TEST(Options, NothingGivesTheDefaults) {
  for (const char* line : {"", " ", "   "}) {
    const Options options = parsed(line);
    EXPECT_EQ(options.guest_memory, 0u);
    EXPECT_FALSE(options.window.has_value());
    EXPECT_EQ(options.window_hop, 0u);
    EXPECT_EQ(options.machine, MachineKind::pc);
    EXPECT_EQ(options.engine, Engine::translate);
    EXPECT_EQ(options.memory, MemoryPolicy::eager);
    EXPECT_EQ(options.absent, Absent::floating);
    EXPECT_EQ(options.selftest, SelfTestKind::none);
  }
}

TEST(Options, Sizes) {
  EXPECT_EQ(parsed("mem=8192").guest_memory, 8192u);
  EXPECT_EQ(parsed("mem=64K").guest_memory, 64u << 10);
  EXPECT_EQ(parsed("mem=256M").guest_memory, 256u << 20);
  EXPECT_EQ(parsed("mem=3G").guest_memory, 3u << 30);
  EXPECT_EQ(parsed("mem=0x100000").guest_memory, 0x100000u);
}

TEST(Options, Window) {
  EXPECT_EQ(parsed("window=0xff000000").window, HostLinear(0xff000000));
  EXPECT_EQ(parsed("window=hop:20").window_hop, 20u);
  const Options both = parsed("window=0x40000000 window=hop:7");
  EXPECT_EQ(both.window, HostLinear(0x40000000));
  EXPECT_EQ(both.window_hop, 7u);
}

TEST(Options, SlowClock) {
  EXPECT_EQ(parsed("").slowness, 1u);
  EXPECT_EQ(parsed("slow=20").slowness, 20u);
  EXPECT_EQ(refused("slow=0"), "slow=0 must be 1 to 1000");
  EXPECT_EQ(refused("slow=1001"), "slow=1001 must be 1 to 1000");
}

TEST(Options, Withdraw) {
  EXPECT_EQ(parsed("").withdraw_every, 0u);
  EXPECT_EQ(parsed("withdraw=every:500").withdraw_every, 500u);
  EXPECT_EQ(refused("withdraw=now"), "withdraw=now must be every:N");
  EXPECT_EQ(refused("withdraw=every:"), "withdraw=every: is not a number that fits 32 bits");
}

TEST(Options, FramebufferForTheGuest) {
  EXPECT_TRUE(parsed("").give_framebuffer);
  EXPECT_TRUE(parsed("framebuffer=auto").give_framebuffer);
  EXPECT_FALSE(parsed("framebuffer=off").give_framebuffer);
}

TEST(Options, HostTimer) {
  EXPECT_EQ(parsed("").timer, HostTimerKind::any);
  EXPECT_EQ(parsed("timer=auto").timer, HostTimerKind::any);
  EXPECT_EQ(parsed("timer=pit").timer, HostTimerKind::pit);
  EXPECT_EQ(parsed("timer=apic").timer, HostTimerKind::apic);
  EXPECT_EQ(parsed("timer=hpet").timer, HostTimerKind::hpet);
  EXPECT_STREQ(parse_options("timer=tsc").error().reason, "must be auto, pit, apic or hpet");
}

TEST(Options, ResourceControl) {
  EXPECT_EQ(parsed("").watchdog, 0u);
  EXPECT_FALSE(parsed("").check_frames);
  EXPECT_EQ(parsed("").save_port, 0u);
  EXPECT_EQ(parsed("save=0x5e9").save_port, 0x5e9u);
  for (const char* line : {"save=0", "save=0x10000", "save=yes", "save="}) {
    EXPECT_NE(refused(line), "accepted") << line;
  }
  const Options options = parsed("watchdog=20 check=frames");
  EXPECT_EQ(options.watchdog, 20u);
  EXPECT_TRUE(options.check_frames);
  EXPECT_EQ(refused("check=all"), "check=all must be frames");
}

TEST(Options, Choices) {
  const Options options =
      parsed("engine=interpret user=translate guard=exact memory=lazy absent=fault log=2 selftest");
  EXPECT_EQ(options.engine, Engine::interpret);
  EXPECT_EQ(options.user, UserMode::translate);
  EXPECT_EQ(options.guard, Guard::exact);
  EXPECT_EQ(options.memory, MemoryPolicy::lazy);
  EXPECT_EQ(options.absent, Absent::fault);
  EXPECT_EQ(options.log, 2u);
  EXPECT_EQ(options.selftest, SelfTestKind::nexus);
  EXPECT_EQ(parsed("selftest=panic").selftest, SelfTestKind::panic);
  EXPECT_EQ(parsed("selftest=overflow").selftest, SelfTestKind::overflow);
  EXPECT_EQ(parsed("").keyboard, KeyboardSource::host);
  EXPECT_EQ(parsed("keyboard=serial").keyboard, KeyboardSource::serial);
  EXPECT_EQ(parsed("machine=isa").machine, MachineKind::isa);
  EXPECT_EQ(parsed("machine=isa machine=pc").machine, MachineKind::pc);
  EXPECT_EQ(parsed("engine=interpret engine=translate").engine, Engine::translate);
  EXPECT_FALSE(parsed("boot=auto").boot_16);
  EXPECT_TRUE(parsed("boot=16").boot_16);
}

TEST(Options, ErrorsNameTheWord) {
  EXPECT_EQ(refused("mem=4M nonsense"), "nonsense is not an option of Undercroft");
  EXPECT_EQ(refused("engine"), "engine needs a value");
  EXPECT_EQ(refused("engine=fast"), "engine=fast must be translate or interpret");
  EXPECT_EQ(refused("engines=translate"), "engines=translate is not an option of Undercroft");
  EXPECT_EQ(refused("keyboard=usb"), "keyboard=usb must be host or serial");
  EXPECT_EQ(refused("machine=mca"), "machine=mca must be isa or pc");
  EXPECT_EQ(refused("mem=abc"), "mem=abc is not a number that fits 32 bits");
  EXPECT_EQ(refused("mem=4G"), "mem=4G is not a number that fits 32 bits");
  EXPECT_EQ(refused("mem="), "mem= is not a number that fits 32 bits");
  EXPECT_EQ(refused("mem=M"), "mem=M is not a number that fits 32 bits");
  EXPECT_EQ(refused("mem=100"), "mem=100 must be a multiple of 4096, and not 0");
  EXPECT_EQ(refused("mem=0"), "mem=0 must be a multiple of 4096, and not 0");
  EXPECT_EQ(refused("window=0x1000"), "window=0x1000 must be a multiple of 4 MB, or hop:N");
  EXPECT_EQ(refused("window=hop:x"), "window=hop:x is not a number that fits 32 bits");
  EXPECT_EQ(refused("log=99999999999999999999"),
            "log=99999999999999999999 is not a number that fits 32 bits");
}

}  // namespace
}  // namespace undercroft::boot
