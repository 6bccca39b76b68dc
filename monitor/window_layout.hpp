// The 4 MB window, as offsets from its base (design section 2). The monitor's segments have the
// window's base as their base, so an offset is also a pointer. linker.ld repeats these numbers and
// asserts that the image ends below image_end.
#pragma once

#include <cstdint>

namespace undercroft::window {

inline constexpr std::uint32_t size = 0x400000;

// Page 0 is unmapped: a null pointer of the monitor faults.
inline constexpr std::uint32_t image_start = 0x001000;  // text, data, bss, stacks; supervisor
inline constexpr std::uint32_t image_end = 0x130000;
inline constexpr std::uint32_t cpu_page = 0x130000;     // virtual CPU page; user, kernel view only
inline constexpr std::uint32_t screen = 0x131000;       // VGA text page, supervisor
inline constexpr std::uint32_t native_code = 0x132000;  // a page, as jump_table
inline constexpr std::uint32_t pixels = 0x133000;  // 2 pages of the host's framebuffer, supervisor
inline constexpr std::uint32_t local_apic = 0x135000;  // the host's, a page, supervisor
inline constexpr std::uint32_t hpet = 0x136000;        // likewise
inline constexpr std::uint32_t jump_table = 0x140000;  // 256 KB, user, read-only, kernel view only
inline constexpr std::uint32_t cache = 0x180000;       // translation cache, as jump_table
inline constexpr std::uint32_t cache_end = 0x380000;
inline constexpr std::uint32_t gdt = 0x380000;  // 64 KB, the view's image, read-only
inline constexpr std::uint32_t ldt = 0x390000;  // 64 KB, the view's image, read-only
inline constexpr std::uint32_t mapping_slots =
    0x3a0000;  // 64 pages, supervisor; behind them nothing

// Jump table, cache and native_code are read-only for the monitor too (CR0.WP = 1 always): it
// writes them through the mapping slots. In memory the window's contents from image_start to
// cache_end are one run of frames, at image_physical + offset, so that an offset gives the frame.
inline constexpr std::uint32_t image_physical = 0x100000;

}  // namespace undercroft::window
