// What linker.ld says about the image, and the assertions that it and window_layout.hpp agree.
#pragma once

#include <cstddef>
#include <cstdint>

#include "monitor/address.hpp"
#include "monitor/window_layout.hpp"

namespace undercroft::x86 {

extern "C" {
extern const std::byte image_read_only_end[];  // text and constants end here; page-aligned
extern const std::byte image_used_end[];
extern std::byte monitor_stack_guard[], monitor_stack_top[];
extern std::byte double_fault_stack_guard[], double_fault_stack_top[];
}

// linker.ld holds the same numbers.
static_assert(window::image_physical == 0x100000);
static_assert(window::image_start == 0x1000);
static_assert(window::image_end == 0x130000);
static_assert(window::cpu_page == 0x130000);
static_assert(window::jump_table == 0x140000);
static_assert(window::cache == 0x180000);
static_assert(window::cache_end == 0x380000);

// A pointer of the monitor as what it is: an offset into the window. And the frame behind it.
inline std::uint32_t offset_of(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
constexpr HostPhysical physical_of_offset(std::uint32_t offset) {
  return HostPhysical(window::image_physical + offset);
}
inline HostPhysical physical_of(const void* pointer) {
  return physical_of_offset(offset_of(pointer));
}

}  // namespace undercroft::x86
