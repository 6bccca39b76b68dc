#include "entry_state.hpp"

namespace undercroft {
namespace {

// Flat, 4 GB, DPL 0, present, accessed (SDM volume 3, 3.4.5); the caches below hold the same.
constexpr std::uint64_t flat_code = 0x00cf9b000000ffff;
constexpr std::uint64_t flat_data = 0x00cf93000000ffff;
constexpr std::array<std::uint64_t, 4> boot_gdt = {0, 0, flat_code, flat_data};

constexpr DescriptorCache flat(std::uint16_t selector) {
  const std::uint64_t descriptor = boot_gdt[selector / 8];
  return {.selector = selector,
          .attributes = static_cast<std::uint16_t>((descriptor >> 40) & 0xf0ff),
          .base = 0,
          .limit = 0xffffffff,
          .usable = true};
}
static_assert(flat(boot_code_selector).is_code() && flat(boot_code_selector).is_32_bit());
static_assert(flat(boot_data_selector).is_writable_data() && flat(boot_data_selector).is_32_bit());

// SDM volume 3, 20.1.1.
constexpr DescriptorCache real_mode(std::uint16_t selector) {
  constexpr std::uint16_t present_writable_accessed = 0x93;
  return {.selector = selector,
          .attributes = present_writable_accessed,
          .base = std::uint32_t{selector} * 16,
          .limit = 0xffff,
          .usable = true};
}

}  // namespace

Vcpu real_mode_entry_state(const RealModeEntry& entry) {
  Vcpu vcpu;
  for (DescriptorCache& segment : vcpu.segments) segment = real_mode(entry.data);
  vcpu[Segment::cs] = real_mode(entry.cs);
  vcpu.eip = entry.ip;
  vcpu[Register::esp] = entry.sp;
  vcpu.idtr = {GuestLinear(0), 0x3ff};
  return vcpu;
}

Result<Vcpu, LoadError> flat_entry_state(Loading& loading, std::uint32_t entry) {
  const GuestPhysical table = TRY(claim_structure(loading, sizeof(boot_gdt), 16));
  GuestWriter writer(&loading.ram, table);
  for (const std::uint64_t descriptor : boot_gdt) writer.u64(descriptor);
  if (!writer.ok()) return refuse("mem", "the descriptor table cannot be written");

  Vcpu vcpu;
  vcpu.eip = entry;
  vcpu.cr0 = cr0::protection_enable | cr0::extension_type;
  for (DescriptorCache& segment : vcpu.segments) segment = flat(boot_data_selector);
  vcpu[Segment::cs] = flat(boot_code_selector);
  // Paging is off: a linear address is a physical one.
  vcpu.gdtr = {GuestLinear(table.value()), sizeof(boot_gdt) - 1};
  vcpu.idtr = {GuestLinear(0), 0};  // an exception before the guest's own LIDT finds no gate
  return vcpu;
}

}  // namespace undercroft
