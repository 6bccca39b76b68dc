// What the monitor's frames and map entries hold for the worst that a guest can write. These run in
// a child, since code that outgrows its buffers does not come back.
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "monitor/translate/trace.hpp"
#include "translated_guest.hpp"

namespace undercroft::test {
namespace {

constexpr std::uint32_t code = TranslatedGuest::code;

class NothingKnown final : public KnownBlocks {
 public:
  std::optional<std::uint32_t> find(std::uint32_t) const override { return std::nullopt; }
  std::uint32_t next_landing(std::uint32_t) const override { return window::cache; }
};

// The exit status of the child.
int outgrows_buffers(std::span<const std::uint8_t> bytes, bool guarded) {
  const auto trace = std::make_unique<TranslatedTrace>(window::cache);
  translate_trace(*trace, bytes, page_size, code, {window::jump_table, window::cache, guarded},
                  NothingKnown(), ~0u);
  bool ok = trace->point_count <= trace->points.size() &&
            trace->block_count <= trace->blocks.size() &&
            trace->assembler.size() <= TranslatedTrace::code_capacity;
  // Blocks and their points tile the trace, in order.
  unsigned points = 0, offset = 0;
  for (unsigned i = 0; ok && i < trace->block_count; ++i) {
    const BlockRecord& block = trace->blocks[i];
    ok = block.first_point == points && block.code_start >= offset &&
         block.code_size >= moved_exit_size && block.eip - code + block.guest_size <= bytes.size();
    points += block.point_count;
    offset = block.code_start + block.code_size;
  }
  return ok && offset <= trace->assembler.size() ? 0 : 1;
}

TEST(BlockLimits, HoldForRunsOfAnyOneInstruction) {
  ::testing::GTEST_FLAG(death_test_style) = "fast";
  const std::vector<std::uint8_t> rows[] = {
      {0x90},
      {0xfa},
      {0xfb},
      {0x9c},
      {0x9d},
      {0x1e},
      {0x8c, 0xd8},
      {0x66, 0x8c, 0xd8},
      {0x0f, 0xc7, 0x09},
      {0x0f, 0x31},
      {0x8e, 0xd8},
      {0x1f},
      {0x07},
      {0x0f, 0xa1},
      {0x0f, 0xa9},
      {0x8e, 0xe8},
      {0xfb, 0x9d},
      {0x9d, 0xfb},
      {0xfb, 0xfb, 0x9d},
      {0xcf},
      {0xc3},
      {0x74, 0},
      {0xe2, 0xfe},
      {0xe8, 0, 0, 0, 0},
      {0xff, 0xd0},
      {0xf4},
      {0xeb, 0},
      {0xfb, 0xcf},
      {0xfb, 0xc3},
      {0xfb, 0xe2, 0},
      {0xa5},              // two operands
      {0xff, 0x34, 0xcb},  // push [ebx + ecx * 8]
      {0xff, 0x14, 0xcb},
      {0x0f, 0xab, 0x9c, 0xcb, 1, 2, 3, 4},
      {0xfb, 0x0f, 0xab, 0x9c, 0xcb, 1, 2, 3, 4},
  };
  for (const auto& row : rows) {
    std::vector<std::uint8_t> bytes;
    while (bytes.size() < TranslatedGuest::longest_fetch) {
      bytes.insert(bytes.end(), row.begin(), row.end());
    }
    bytes.resize(TranslatedGuest::longest_fetch);
    for (const bool guarded : {false, true}) {
      EXPECT_EXIT(std::_Exit(outgrows_buffers(bytes, guarded)), ::testing::ExitedWithCode(0), "")
          << "a block of nothing but " << std::hex << unsigned{row[0]} << " " << row.size();
    }
  }
}

TEST(BlockLimits, HoldForRandomMixesOfSequences) {
  constexpr std::uint8_t bytes_of[] = {0x90, 0xfa, 0xfb, 0x9c, 0x9d, 0xcf, 0xc3,
                                       0x74, 0x1e, 0x06, 0x16, 0x0e, 0x40};
  std::mt19937 random(7);
  for (unsigned n = 0; n < 20; ++n) {
    std::vector<std::uint8_t> bytes(TranslatedGuest::longest_fetch);
    const unsigned kinds = 1 + random() % std::size(bytes_of);
    for (auto& byte : bytes) byte = bytes_of[random() % kinds];
    EXPECT_EXIT(std::_Exit(outgrows_buffers(bytes, n % 2 != 0)), ::testing::ExitedWithCode(0), "");
  }
}

}  // namespace
}  // namespace undercroft::test
