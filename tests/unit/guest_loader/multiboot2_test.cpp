#include <map>

#include "loader_fakes.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t magic = 0xe85250d6;
constexpr std::size_t at = 64;  // of the header

struct HeaderTag {
  std::uint16_t type, flags;
  std::vector<std::uint32_t> words;
};
const HeaderTag address_tag = {2, 0, {0x100040, 0x100000, 0, 0x103000}};
const HeaderTag entry_tag = {3, 0, {0x100100}};
constexpr std::size_t first_tag = at + 16, second_tag = first_tag + 24;

void seal(Bytes& image, std::uint32_t architecture, std::uint32_t length) {
  put32(image, at, magic);
  put32(image, at + 4, architecture);
  put32(image, at + 8, length);
  put32(image, at + 12, 0u - magic - architecture - length);
}

Bytes image_with(const std::vector<HeaderTag>& tags) {
  Bytes image(4096, 0x11);
  std::size_t next = first_tag;
  for (const HeaderTag& tag : tags) {
    put16(image, next, tag.type);
    put16(image, next + 2, tag.flags);
    put32(image, next + 4, static_cast<std::uint32_t>(8 + 4 * tag.words.size()));
    for (std::size_t i = 0; i < tag.words.size(); ++i) put32(image, next + 8 + 4 * i, tag.words[i]);
    next = (next + 8 + 4 * tag.words.size() + 7) & ~std::size_t{7};
  }
  put32(image, next, 0);
  put32(image, next + 4, 8);
  seal(image, 0, static_cast<std::uint32_t>(next + 8 - at));
  return image;
}
Bytes valid_image() { return image_with({address_tag, entry_tag}); }

TEST(Multiboot2, LoadsByItsAddressTag) {
  LoaderRun run;
  run.add(valid_image());
  const EntryState state = run.entry();
  EXPECT_EQ(state.format, GuestFormat::multiboot2);
  expect_flat(state, run.ram);
  EXPECT_EQ(state.vcpu.eip, 0x100100u);
  EXPECT_EQ(state.vcpu[Register::eax], 0x36d76289u);
  EXPECT_EQ(run.ram.u32(0x100040), magic);
  EXPECT_EQ(run.ram.u8(0x100fff), 0x11u);
  EXPECT_EQ(run.ram.u8(0x101000), 0u);
  EXPECT_EQ(run.ram.u8(0x103000), FakeRam::untouched);
}

TEST(Multiboot2, AllOnesMeansTheFilesBeginning) {
  Bytes image = valid_image();
  put32(image, first_tag + 12, 0xffffffff);
  LoaderRun run;
  run.add(image);
  run.entry();
  EXPECT_EQ(run.ram.u32(0x100040), magic);
}

TEST(Multiboot2, OptionalTagsMayBeUnknown) {
  EXPECT_TRUE(LoaderRun().add(image_with({{77, 1, {}}, address_tag, entry_tag})).load().ok());
  EXPECT_TRUE(LoaderRun()
                  .add(image_with({{1, 1, {17}},
                                   {1, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 21}},
                                   {5, 1, {80, 25, 0}},
                                   {4, 0, {3}},
                                   {6, 0, {}},
                                   {7, 0, {}},
                                   {8, 0, {1}},
                                   {9, 0, {1}},
                                   {10, 0, {0x100000, 0x1ffffff, 0, 0}},
                                   address_tag,
                                   entry_tag}))
                  .load()
                  .ok());
}

// The information as a map from tag type to the addresses of the tags.
std::multimap<std::uint32_t, std::uint32_t> tags_of(const FakeRam& ram, std::uint32_t info) {
  std::multimap<std::uint32_t, std::uint32_t> tags;
  const std::uint32_t end = info + ram.u32(info);
  std::uint32_t tag = info + 8;
  while (tag < end && ram.u32(tag) != 0) {
    tags.emplace(ram.u32(tag), tag);
    tag += (ram.u32(tag + 4) + 7) & ~7u;
  }
  EXPECT_EQ(tag + 8, end) << "the end tag is the last";
  return tags;
}

TEST(Multiboot2, TellsOfMemoryModulesAndCommandLine) {
  LoaderRun run;
  run.add(valid_image(), "one two").add(Bytes(5000, 7), "first").add(Bytes(3, 9));
  const std::uint32_t info = run.entry().vcpu[Register::ebx];
  const FakeRam& ram = run.ram;
  EXPECT_EQ(info % 8, 0u);
  const auto tags = tags_of(ram, info);
  EXPECT_EQ(ram.text(tags.find(1)->second + 8), "one two");
  EXPECT_EQ(ram.text(tags.find(2)->second + 8), "Undercroft");

  ASSERT_EQ(tags.count(3), 2u);
  const std::uint32_t module = tags.find(3)->second;
  const std::uint32_t start = ram.u32(module + 8);
  EXPECT_EQ(start, 0x103000u);
  EXPECT_EQ(ram.u32(module + 12), start + 5000);
  EXPECT_EQ(ram.text(module + 16), "first");
  EXPECT_EQ(ram.u8(start + 4999), 7u);
  EXPECT_EQ(ram.u32(std::next(tags.find(3))->second + 8) % 4096, 0u);

  EXPECT_EQ(ram.u32(tags.find(4)->second + 8), 639u);
  EXPECT_EQ(ram.u32(tags.find(4)->second + 12), 31u * 1024);
  const std::uint32_t map = tags.find(6)->second;
  EXPECT_EQ(ram.u32(map + 4), 16 + 24 * ram.map().size());
  EXPECT_EQ(ram.u32(map + 8), 24u);
  for (std::size_t i = 0; i < ram.map().size(); ++i) {
    EXPECT_EQ(ram.u32(map + 16 + 24 * i), ram.map()[i].base);
    EXPECT_EQ(ram.u32(map + 24 + 24 * i), ram.map()[i].length);
    EXPECT_EQ(ram.u32(map + 32 + 24 * i), static_cast<std::uint32_t>(ram.map()[i].type));
  }
  EXPECT_EQ(ram.u32(tags.find(8)->second + 8), 0xb8000u);
  EXPECT_EQ(ram.u8(tags.find(8)->second + 29), 2u);
}

TEST(Multiboot2, TellsOfTheFramebufferIfAsked) {
  for (const bool asks : {false, true}) {
    LoaderRun run;
    run.firmware.framebuffer = some_framebuffer;
    run.add(asks ? image_with({{5, 0, {1024, 768, 32}}, address_tag, entry_tag}) : valid_image());
    const EntryState state = run.entry();
    EXPECT_EQ(state.has_framebuffer, asks);
    const std::uint32_t tag = tags_of(run.ram, state.vcpu[Register::ebx]).find(8)->second;
    EXPECT_EQ(run.ram.u8(tag + 29), asks ? 1u : 2u);
    if (!asks) continue;
    const std::uint32_t words[] = {8, 38, 0xfd000000, 0, 4096, 1024, 768};
    for (std::uint32_t i = 0; i < 7; ++i) EXPECT_EQ(run.ram.u32(tag + 4 * i), words[i]);
    const std::uint32_t bytes[] = {32, 1, 0, 0, 16, 8, 8, 8, 0, 8};
    for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(run.ram.u8(tag + 28 + i), bytes[i]);
  }
}

// A console is required, and text is not supported.
TEST(Multiboot2, KernelsThatKnowNoTextNeedTheFramebuffer) {
  const Bytes image = image_with({{4, 0, {1}}, address_tag, entry_tag});
  const auto refused = LoaderRun().add(image).load();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().field, "console_flags");
  LoaderRun run;
  run.firmware.framebuffer = some_framebuffer;
  run.add(image);
  EXPECT_TRUE(run.entry().has_framebuffer);
}

// A kernel of 12 KB that may be anywhere from 2 MB on to 3 MB.
Bytes movable_image(std::uint32_t preference) {
  return image_with({{10, 0, {0x200000, 0x2fffff, 0x4000, preference}}, address_tag, entry_tag});
}

TEST(Multiboot2, MovesAKernelThatCanBeMoved) {
  constexpr std::uint32_t lowest = 0x200000, highest = 0x2fc000;
  for (const auto& [preference, base] : {std::pair{0u, lowest}, {1u, lowest}, {2u, highest}}) {
    Bytes image = movable_image(preference);
    LoaderRun run;
    run.add(image);
    const EntryState state = run.entry();
    EXPECT_EQ(state.vcpu.eip, base + 0x100);
    EXPECT_EQ(run.ram.u32(base + 0x40), magic);
    const auto tags = tags_of(run.ram, state.vcpu[Register::ebx]);
    EXPECT_EQ(run.ram.u32(tags.find(21)->second + 8), base);
  }
}

TEST(Multiboot2, WithoutAPreferenceItStaysWhereItWasLinkedIfItMay) {
  const auto base_of = [](std::uint32_t first, std::uint32_t alignment) {
    return LoaderRun()
               .add(image_with({{10, 0, {first, 0x1ffffff, alignment, 0}}, address_tag, entry_tag}))
               .entry()
               .vcpu.eip -
           0x100;
  };
  EXPECT_EQ(base_of(0, 0x1000), 0x100000u);
  EXPECT_EQ(base_of(0x100000, 0x100000), 0x100000u);
  EXPECT_EQ(base_of(0x100001, 0x1000), 0x101000u);
  EXPECT_EQ(base_of(0, 0x200000), 0x200000u);
}

TEST(Multiboot2, HandsOnTheRootOfAcpi) {
  std::array<std::byte, 36> root{};
  for (unsigned i = 0; i < root.size(); ++i) root[i] = static_cast<std::byte>(i + 1);
  for (const std::size_t bytes : {0u, 20u, 36u}) {
    LoaderRun run;
    run.firmware.acpi_root = std::span(root).first(bytes);
    run.add(valid_image());
    const auto tags = tags_of(run.ram, run.entry().vcpu[Register::ebx]);
    EXPECT_EQ(tags.count(14), bytes >= 20 ? 1u : 0u);
    EXPECT_EQ(tags.count(15), bytes == 36 ? 1u : 0u);
    if (bytes < 36) continue;
    EXPECT_EQ(run.ram.u32(tags.find(14)->second + 4), 28u);
    EXPECT_EQ(run.ram.u32(tags.find(14)->second + 8), 0x04030201u);
    EXPECT_EQ(run.ram.u32(tags.find(15)->second + 4), 44u);
    EXPECT_EQ(run.ram.u32(tags.find(15)->second + 8 + 32), 0x24232221u);
  }
}

TEST(Multiboot2, RefusesMalformedImages) {
  const Malformed cases[] = {
      {"magic", [](Bytes& i) { put32(i, at, 0); }, "magic"},
      {"unaligned", [](Bytes& i) { i.insert(i.begin(), 4, 0); }, "magic"},
      {"checksum", [](Bytes& i) { put32(i, at + 12, 1); }, "multiboot2 checksum"},
      {"MIPS", [](Bytes& i) { seal(i, 4, 56); }, "multiboot2 architecture"},
      {"short header", [](Bytes& i) { seal(i, 0, 15); }, "multiboot2 header_length"},
      {"long header", [](Bytes& i) { seal(i, 0, 32768 - at + 1); }, "multiboot2 header_length"},
      {"huge header", [](Bytes& i) { seal(i, 0, 0xfffffff0); }, "multiboot2 header_length"},
      {"cut in the header", [](Bytes& i) { i.resize(at + 55); }, "multiboot2 header_length"},
      {"no end tag", [](Bytes& i) { seal(i, 0, 56); }, "multiboot2 tag type"},
      {"tag too small", [](Bytes& i) { put32(i, first_tag + 4, 7); }, "multiboot2 tag size"},
      {"tag too large", [](Bytes& i) { put32(i, first_tag + 4, 0xffffffff); },
       "multiboot2 tag size"},
      {"address tag cut", [](Bytes& i) { put32(i, first_tag + 4, 23); }, "multiboot2 address tag"},
      {"entry tag cut", [](Bytes& i) { put32(i, second_tag + 4, 11); }, "multiboot2 entry tag"},
      {"unknown tag", [](Bytes& i) { put16(i, second_tag, 99); }, "multiboot2 tag type"},
      {"no entry", [](Bytes& i) { put16(i, second_tag, 7); }, "entry_addr"},
      {"no addresses", [](Bytes& i) { put16(i, first_tag, 7); }, "EI_MAG"},
      {"below 0", [](Bytes& i) { put32(i, first_tag + 12, ~0u), put32(i, first_tag + 8, at - 1); },
       "header_addr"},
  };
  expect_refused(valid_image(), cases);
  const Malformed tag_cases[] = {
      {"relocatable tag cut", [](Bytes& i) { put32(i, first_tag + 4, 23); },
       "multiboot2 relocatable tag"},
      {"unknown preference", [](Bytes& i) { put32(i, first_tag + 20, 3); }, "preference"},
      {"alignment", [](Bytes& i) { put32(i, first_tag + 16, 3 << 12); }, "align"},
      {"no room", [](Bytes& i) { put32(i, first_tag + 12, 0x201000); }, "max_addr"},
      {"at the end of 4 GB",
       [](Bytes& i) { put32(i, first_tag + 8, ~0u), put32(i, first_tag + 12, ~0u); }, "max_addr"},
  };
  expect_refused(movable_image(0), tag_cases);
  const Malformed console_cases[] = {
      {"cut", [](Bytes& i) { put32(i, first_tag + 4, 11); }, "multiboot2 console flags tag"},
      {"graphics only", [](Bytes& i) { put32(i, first_tag + 8, 1); }, "console_flags"},
  };
  expect_refused(image_with({{4, 0, {3}}, address_tag, entry_tag}), console_cases);
  const auto result = LoaderRun().add(image_with({{1, 0, {1, 99}}, address_tag, entry_tag})).load();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().field, "mbi_tag_types");
  EXPECT_EQ(result.error().value, 99u);
}

TEST(Multiboot2, SurvivesAnyDamage) { expect_robust(valid_image(), at + 72); }

}  // namespace
}  // namespace undercroft::test
