#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

TEST(GuestLoader, NeedsAModule) {
  const auto result = LoaderRun().load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(LoaderRun::message(result.error()),
            "module 0: module: no boot module is given, so there is no guest kernel");
}

TEST(GuestLoader, RefusesWhatItDoesNotKnow) {
  for (const Bytes& image : {Bytes(1, 'x'), Bytes(100000, 'x')}) {
    const auto result = LoaderRun().add(image).load();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().field, "magic");
  }
  const auto empty = LoaderRun().add(Bytes()).load();
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().field, "module");
}

TEST(GuestLoader, ModulesNeedContents) {
  FakeSource source(Bytes(100));
  FakeRam ram(4 << 20);
  const GuestModule modules[] = {{&source, ""}, {nullptr, ""}};
  const auto result = load_guest(modules, ram.map(), ram);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().module, 1);
}

TEST(GuestLoader, DescribesErrorsInOneLine) {
  const LoadError error = {"e_machine", "EM_386 (3) expected", 62, true, 12};
  EXPECT_EQ(LoaderRun::message(error), "module 12: e_machine: EM_386 (3) expected, found 0x3e");
  std::array<char, 10> small;
  EXPECT_EQ(describe(error, small), "module 12:");
}

TEST(GuestLoader, NamesEveryFormat) {
  EXPECT_EQ(name_of(GuestFormat::linux_kernel), "Linux bzImage");
  EXPECT_EQ(name_of(GuestFormat::multiboot1), "multiboot 1");
  EXPECT_EQ(name_of(GuestFormat::multiboot2), "multiboot 2");
  EXPECT_EQ(name_of(GuestFormat::elf32), "ELF32");
}

TEST(GuestLoader, LeavesTheBiosDataAreaOfAPc) {
  LoaderRun run(4 << 20);
  run.add(Bytes(100, 'x'));
  (void)run.load();
  EXPECT_EQ(run.ram.u16(0x400), 0x3f8u);
  EXPECT_EQ(run.ram.u16(0x40e), 0x9fc0u);
  EXPECT_EQ(run.ram.u16(0x413), 639u);
  EXPECT_EQ(run.ram.u16(0x44a), 80u);
}

TEST(GuestLoader, TheStandardMapIsSortedAndEndsWithRam) {
  const auto map = standard_memory_map(64 << 20);
  for (std::size_t i = 1; i < map.size(); ++i) {
    EXPECT_GE(map[i].base, map[i - 1].base + map[i - 1].length);
  }
  EXPECT_EQ(map.back().base + map.back().length, 64u << 20);
}

}  // namespace
}  // namespace undercroft::test
