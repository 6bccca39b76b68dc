// Guest images of any shape for the loader: whatever they hold, nothing outside the file is read,
// nothing outside RAM is written, and a refusal names a field.
#include <cstring>
#include <vector>

#include "guest_loader/guest_loader.hpp"
#include "require.hpp"

namespace {

using namespace undercroft;

constexpr std::uint32_t ram_bytes = 4 << 20;
constexpr auto map = standard_memory_map(ram_bytes);

class Source final : public ByteSource {
 public:
  explicit Source(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  bool read(std::uint64_t offset, std::span<std::byte> out) override {
    require(offset <= bytes_.size() && out.size() <= bytes_.size() - offset);
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return true;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class Ram final : public GuestRam {
 public:
  Ram() : bytes_(ram_bytes) {}
  std::uint64_t size() const override { return ram_bytes; }
  bool write(GuestPhysical address, std::span<const std::byte> data) override {
    require_ram(address, data.size());
    if (!data.empty()) std::memcpy(&bytes_[address.value()], data.data(), data.size());
    return true;
  }
  bool fill(GuestPhysical address, std::byte value, std::uint32_t count) override {
    require_ram(address, count);
    if (count != 0) std::memset(&bytes_[address.value()], static_cast<int>(value), count);
    return true;
  }

 private:
  void require_ram(GuestPhysical address, std::uint64_t count) {
    if (count == 0) return;
    bool inside = false;
    for (const MemoryMapEntry& entry : map) {
      inside = inside || (entry.type == MemoryType::available && entry.base <= address.value() &&
                          address.value() + count <= entry.base + entry.length);
    }
    require(inside);
  }
  std::vector<std::byte> bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Ram ram;
  // The first byte says how much of the rest is a second module.
  const std::size_t module_bytes = size == 0 ? 0 : std::size_t{data[0]} * (size - 1) / 512;
  const std::span<const std::uint8_t> all(data + (size != 0), size - (size != 0));
  Source kernel(all.first(all.size() - module_bytes)), module(all.last(module_bytes));
  const GuestModule modules[] = {{&kernel, "console=ttyS0"}, {&module, "a module"}};
  const auto given = std::span(modules).first(module_bytes ? 2 : 1);
  for (const bool has_bios : {false, true}) {
    const FirmwareData firmware{.has_bios = has_bios, .boot_16 = has_bios};
    const auto result = load_guest(given, map, ram, firmware);
    if (result.ok()) {
      require(result.value().vcpu.eip < ram_bytes);
    } else {
      require(!result.error().field.empty() && !result.error().text.empty());
    }
  }
  return 0;
}
