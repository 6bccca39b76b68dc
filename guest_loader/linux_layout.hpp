// Offsets in Linux' boot_params, the "zero page" (Linux, Documentation/x86/zero-page.rst and
// boot.rst). The setup header has the same offsets in the kernel's file.
#pragma once

#include <cstdint>

namespace undercroft::linux_layout {

// screen_info
inline constexpr std::uint32_t ext_mem_k = 0x002;
inline constexpr std::uint32_t screen_mode = 0x006;
inline constexpr std::uint32_t screen_columns = 0x007;
inline constexpr std::uint32_t screen_ega_bx = 0x00a;
inline constexpr std::uint32_t screen_lines = 0x00e;
inline constexpr std::uint32_t screen_is_vga = 0x00f;
inline constexpr std::uint32_t screen_points = 0x010;
inline constexpr std::uint32_t lfb_width = 0x012;
inline constexpr std::uint32_t lfb_height = 0x014;
inline constexpr std::uint32_t lfb_depth = 0x016;
inline constexpr std::uint32_t lfb_base = 0x018;
inline constexpr std::uint32_t lfb_size = 0x01c;  // in 64 KB
inline constexpr std::uint32_t lfb_line_length = 0x024;
inline constexpr std::uint32_t lfb_colours =
    0x026;  // size and position of red, green, blue, the rest
inline constexpr std::uint32_t lfb_pages = 0x032;
inline constexpr std::uint8_t video_type_linear = 0x23;  // VIDEO_TYPE_VLFB, in screen_is_vga
// The command line as protocols before 2.02 find it.
inline constexpr std::uint32_t old_command_line_magic = 0x020;
inline constexpr std::uint32_t old_command_line_offset = 0x022;

inline constexpr std::uint32_t alt_mem_k = 0x1e0;     // KB above 1 MB
inline constexpr std::uint32_t e820_entries = 0x1e8;  // one byte
inline constexpr std::uint32_t e820_table = 0x2d0;
inline constexpr std::uint32_t e820_capacity = 128;
inline constexpr std::uint32_t zero_page_size = 0x1000;

// setup_header
inline constexpr std::uint32_t setup_sects = 0x1f1;
inline constexpr std::uint32_t syssize = 0x1f4;  // in 16 bytes; 32 bits wide since 2.04
inline constexpr std::uint32_t vid_mode = 0x1fa;
inline constexpr std::uint32_t boot_flag = 0x1fe;
inline constexpr std::uint32_t jump = 0x200;
inline constexpr std::uint32_t header = 0x202;
inline constexpr std::uint32_t version = 0x206;
inline constexpr std::uint32_t type_of_loader = 0x210;
inline constexpr std::uint32_t loadflags = 0x211;
inline constexpr std::uint32_t code32_start = 0x214;
inline constexpr std::uint32_t ramdisk_image = 0x218;
inline constexpr std::uint32_t ramdisk_size = 0x21c;
inline constexpr std::uint32_t heap_end_ptr = 0x224;  // 2.01
inline constexpr std::uint32_t cmd_line_ptr = 0x228;
inline constexpr std::uint32_t initrd_addr_max = 0x22c;     // 2.03
inline constexpr std::uint32_t kernel_alignment = 0x230;    // 2.05
inline constexpr std::uint32_t relocatable_kernel = 0x234;  // 2.05, one byte
inline constexpr std::uint32_t min_alignment = 0x235;       // 2.10, one byte: a power of two
inline constexpr std::uint32_t cmdline_size = 0x238;        // 2.06
inline constexpr std::uint32_t pref_address = 0x258;        // 2.10, 64 bits
inline constexpr std::uint32_t init_size = 0x260;           // 2.10

inline constexpr std::uint32_t smallest_header_end = 0x228;  // 2.00 ends with heap_end_ptr
inline constexpr std::uint32_t largest_header_end = 0x290;   // edd_mbr_sig_buffer follows

inline constexpr std::uint16_t boot_flag_value = 0xaa55;
inline constexpr std::uint32_t header_magic = 0x53726448;  // "HdrS"
inline constexpr std::uint8_t loaded_high = 1;             // loadflags bit 0
inline constexpr std::uint8_t can_use_heap = 0x80;         // bit 7
inline constexpr std::uint8_t undefined_loader = 0xff;
inline constexpr std::uint16_t vid_mode_normal = 0xffff;

}  // namespace undercroft::linux_layout
