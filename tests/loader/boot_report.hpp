// The forms of boot information, and how boot_report prints what both of them have.
#pragma once

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

extern "C" char image_begin[], image_end[];

namespace report {

using namespace guest;

struct Information1;  // multiboot_info
struct Information2;  // the list of tags
void print_information(const Information1*);
void print_information(const Information2*);
void print_linux(guest::u32 boot_params);

struct [[gnu::packed]] Framebuffer {
  u64 address;
  u32 pitch, width, height;
  u8 depth, type;
};
struct SectionHeader {
  u32 name, type, flags, address, offset, size, link, info, alignment, entry_size;
};

u32 checksum(u32 start, u32 bytes);  // FNV-1a
void print_module(u32 start, u32 end, const char* text);
void print_map_entry(u64 base, u64 length, u32 type);
void print_framebuffer(const Framebuffer&);
void print_sections(const SectionHeader* headers, u32 count, u32 names);
// Whether the range is outside of the kernel's image.
bool is_apart_from_kernel(u32 start, u32 end);

}  // namespace report
