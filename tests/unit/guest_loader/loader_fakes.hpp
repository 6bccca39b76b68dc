// A guest's memory and boot modules for tests of the loader: both remember whether anybody reached
// outside of them. Images are built field by field.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "guest_loader/guest_loader.hpp"

namespace undercroft::test {

using Bytes = std::vector<std::uint8_t>;

inline void put8(Bytes& image, std::size_t at, std::uint32_t value) {
  if (image.size() < at + 1) image.resize(at + 1);
  image[at] = static_cast<std::uint8_t>(value);
}
inline void put16(Bytes& image, std::size_t at, std::uint32_t value) {
  put8(image, at, value);
  put8(image, at + 1, value >> 8);
}
inline void put32(Bytes& image, std::size_t at, std::uint32_t value) {
  put16(image, at, value);
  put16(image, at + 2, value >> 16);
}
inline std::uint32_t get32(const Bytes& image, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, image.data() + at, 4);
  return value;
}

class FakeSource final : public ByteSource {
 public:
  explicit FakeSource(Bytes bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  bool read(std::uint64_t offset, std::span<std::byte> out) override {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      read_outside = true;
      return false;
    }
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return true;
  }
  bool read_outside = false;

 private:
  Bytes bytes_;
};

// RAM filled with a pattern, so that what the loader must zero shows.
class FakeRam final : public GuestRam {
 public:
  static constexpr std::uint8_t untouched = 0xcc;

  explicit FakeRam(std::uint64_t bytes)
      : bytes_(bytes, untouched), map_(standard_memory_map(bytes)) {}

  std::uint64_t size() const override { return bytes_.size(); }
  bool write(GuestPhysical address, std::span<const std::byte> data) override {
    if (!allowed(address, data.size())) return false;
    if (!data.empty()) std::memcpy(&bytes_[address.value()], data.data(), data.size());
    return true;
  }
  bool fill(GuestPhysical address, std::byte value, std::uint32_t count) override {
    if (!allowed(address, count)) return false;
    if (count) std::memset(&bytes_[address.value()], static_cast<int>(value), count);
    return true;
  }

  std::span<const MemoryMapEntry> map() const { return map_; }
  std::uint32_t u8(std::uint64_t at) const { return bytes_.at(at); }
  std::uint32_t u16(std::uint64_t at) const { return u8(at) | u8(at + 1) << 8; }
  std::uint32_t u32(std::uint64_t at) const { return u16(at) | u16(at + 2) << 16; }
  std::string text(std::uint64_t at) const {
    std::string result;
    for (; u8(at) != 0; ++at) result += static_cast<char>(u8(at));
    return result;
  }
  bool written_outside = false;

 private:
  bool allowed(GuestPhysical address, std::uint64_t count) {
    if (count == 0) return true;
    for (const MemoryMapEntry& entry : map_) {
      if (entry.type == MemoryType::available && entry.base <= address.value() &&
          address.value() + count <= entry.base + entry.length) {
        return true;
      }
    }
    written_outside = true;
    return false;
  }

  std::vector<std::uint8_t> bytes_;
  std::array<MemoryMapEntry, 4> map_;
};

// One run of the loader, with what it worked on.
class LoaderRun {
 public:
  explicit LoaderRun(std::uint64_t ram_bytes = 32 << 20) : ram(ram_bytes) {}

  LoaderRun& add(Bytes image, std::string_view command_line = "") {
    sources_.push_back(std::make_unique<FakeSource>(std::move(image)));
    modules_.push_back({sources_.back().get(), command_line});
    return *this;
  }
  LoaderRun& remove_all() {
    modules_.clear();
    sources_.clear();
    return *this;
  }
  Result<EntryState, LoadError> load() {
    const auto result = load_guest(modules_, ram.map(), ram, firmware);
    EXPECT_FALSE(ram.written_outside);
    for (const auto& source : sources_) EXPECT_FALSE(source->read_outside);
    return result;
  }
  // Loads, expects success.
  EntryState entry() {
    const auto result = load();
    if (!result.ok()) ADD_FAILURE() << message(result.error());
    return result.value();
  }
  static std::string message(const LoadError& error) {
    std::array<char, 160> buffer;
    return std::string(describe(error, buffer));
  }

  FakeRam ram;
  FirmwareData firmware;

 private:
  std::vector<std::unique_ptr<FakeSource>> sources_;
  std::vector<GuestModule> modules_;
};

constexpr Framebuffer some_framebuffer{0xfd000000, 4096, 1024, 768, 32, {16, 8}, {8, 8}, {0, 8}};

// One way to break a valid image, and the field that the message must name.
struct Malformed {
  const char* what;
  std::function<void(Bytes&)> damage;
  std::string_view field;
};

inline void expect_refused(const Bytes& valid, std::span<const Malformed> cases) {
  for (const Malformed& malformed : cases) {
    SCOPED_TRACE(malformed.what);
    Bytes image = valid;
    malformed.damage(image);
    const auto result = LoaderRun().add(image).load();
    if (result.ok()) {
      ADD_FAILURE() << "loaded";
      continue;
    }
    EXPECT_EQ(result.error().field, malformed.field) << LoaderRun::message(result.error());
    EXPECT_LT(LoaderRun::message(result.error()).size(), 160u);
  }
}

// Cuts the image everywhere within its first `bytes` and puts hard values into every word there:
// the loader must stay inside file and RAM, which LoaderRun checks, and say why whenever it
// refuses.
inline void expect_robust(const Bytes& valid, std::size_t bytes) {
  LoaderRun run(4 << 20);
  const auto check = [&run](const Bytes& image) {
    const auto result = run.remove_all().add(image).load();
    EXPECT_TRUE(result.ok() || !result.error().field.empty());
  };
  for (std::size_t length = 0; length < bytes; ++length) {
    check(Bytes(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(length)));
  }
  for (std::size_t at = 0; at + 4 <= bytes; at += 2) {
    for (const std::uint32_t value : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu}) {
      Bytes image = valid;
      put32(image, at, value);
      check(image);
    }
  }
}

// Flat protected mode as every protocol demands, and a table that agrees with the caches.
inline void expect_flat(const EntryState& state, const FakeRam& ram) {
  const Vcpu& vcpu = state.vcpu;
  EXPECT_EQ(vcpu.cr0 & (cr0::protection_enable | cr0::paging), cr0::protection_enable);
  EXPECT_EQ(vcpu.eflags, eflags::always_one);
  EXPECT_EQ(vcpu.cpl, 0);
  EXPECT_EQ(vcpu.gdtr.limit, 4 * 8 - 1);
  for (const DescriptorCache& cache : vcpu.segments) {
    EXPECT_EQ(cache.base, 0u);
    EXPECT_EQ(cache.limit, 0xffffffffu);
    EXPECT_TRUE(cache.usable && cache.present() && cache.is_32_bit() && cache.dpl() == 0);
    const std::uint32_t at = vcpu.gdtr.base.value() + (cache.selector & ~7u);
    ASSERT_LE((cache.selector & ~7u) + 7, vcpu.gdtr.limit);
    EXPECT_EQ(ram.u32(at), 0x0000ffffu);
    EXPECT_EQ(ram.u32(at + 4) & 0x00ffffff, 0x00cf0000u | (cache.attributes & 0xff) << 8);
  }
  EXPECT_TRUE(vcpu[Segment::cs].is_code() && vcpu[Segment::cs].is_readable());
  EXPECT_EQ(vcpu[Segment::cs].selector, 0x10);
  EXPECT_TRUE(vcpu[Segment::ss].is_writable_data());
  EXPECT_EQ(vcpu[Segment::ss].selector, 0x18);
}

}  // namespace undercroft::test
