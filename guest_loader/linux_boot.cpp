#include "linux_boot.hpp"

#include <algorithm>

#include "entry_state.hpp"
#include "linux_command_line.hpp"
#include "linux_image.hpp"
#include "linux_real_mode.hpp"

namespace undercroft {
namespace {

using namespace linux_layout;

// The zero page, sparse: what is not written stays zero, as the protocol demands.
class ZeroPage {
 public:
  ZeroPage(GuestRam& ram, GuestPhysical base) : ram_(ram), base_(base) {
    ok_ = ram.fill(base, std::byte{0}, zero_page_size);
  }
  GuestWriter at(std::uint32_t offset) { return {&ram_, base_ + offset}; }
  template <class T>
  void set(std::uint32_t offset, T value) {
    GuestWriter writer = at(offset);
    for (unsigned i = 0; i < sizeof(T); ++i) writer.u8(static_cast<std::uint8_t>(value >> (8 * i)));
    ok_ = ok_ && writer.ok();
  }
  GuestPhysical base() const { return base_; }
  bool ok() const { return ok_; }

 private:
  GuestRam& ram_;
  GuestPhysical base_;
  bool ok_;
};

void describe_screen(ZeroPage& page) {
  page.set<std::uint8_t>(screen_mode, 3);  // the BIOS mode: 80 x 25 text, colour
  page.set<std::uint8_t>(screen_columns, 80);
  page.set<std::uint16_t>(screen_ega_bx, 3);  // EGA or better, with 256 KB
  page.set<std::uint8_t>(screen_lines, 25);
  page.set<std::uint8_t>(screen_is_vga, 1);
  page.set<std::uint16_t>(screen_points, 16);
}

// As the VESA mode that a BIOS has set: the guest has no EFI.
void describe_framebuffer(ZeroPage& page, const Framebuffer& framebuffer) {
  constexpr std::uint32_t unit = 0x10000;
  page.set(screen_is_vga, video_type_linear);
  page.set(lfb_width, static_cast<std::uint16_t>(framebuffer.width));
  page.set(lfb_height, static_cast<std::uint16_t>(framebuffer.height));
  page.set<std::uint16_t>(lfb_depth, framebuffer.bits_per_pixel);
  page.set(lfb_base, static_cast<std::uint32_t>(framebuffer.address));
  page.set(lfb_size, static_cast<std::uint32_t>((framebuffer.bytes() + unit - 1) / unit));
  page.set(lfb_line_length, static_cast<std::uint16_t>(framebuffer.pitch));
  GuestWriter writer = page.at(lfb_colours);
  unsigned rest = framebuffer.bits_per_pixel;
  for (const ColourField field : {framebuffer.red, framebuffer.green, framebuffer.blue}) {
    writer.u8(field.size);
    writer.u8(field.position);
    rest -= field.size;
  }
  writer.u8(framebuffer.bits_per_pixel == 32 ? static_cast<std::uint8_t>(rest) : 0);
  writer.u8(framebuffer.bits_per_pixel == 32 ? static_cast<std::uint8_t>(32 - rest) : 0);
  page.set<std::uint16_t>(lfb_pages, 1);
}

Result<Done, LoadError> describe_memory(ZeroPage& page, const Loading& loading) {
  if (loading.memory_map.size() > e820_capacity) {
    return refuse("e820_entries", "at most 128 entries fit", loading.memory_map.size());
  }
  GuestWriter writer = page.at(e820_table);
  std::uint8_t count = 0;
  for (const MemoryMapEntry& entry : loading.memory_map) {
    if (entry.length == 0) continue;
    writer.u64(entry.base);
    writer.u64(entry.length);
    writer.u32(static_cast<std::uint32_t>(entry.type));
    ++count;
  }
  page.set<std::uint8_t>(e820_entries, count);
  const std::uint64_t above = loading.placement.end_of_ram_at(one_megabyte) - one_megabyte;
  page.set<std::uint16_t>(
      ext_mem_k, static_cast<std::uint16_t>(std::min<std::uint64_t>(above / 1024, 0xffff)));
  page.set<std::uint32_t>(alt_mem_k, static_cast<std::uint32_t>(above / 1024));
  return Done{};
}

// The kernel's own header, with the loader's answers in the fields that are the loader's to write.
void fill_setup_header(ZeroPage& page, const ImageReader& image, const SetupHeader& setup,
                       const InitialRamDisk& initrd, GuestPhysical command_line) {
  for (std::uint32_t i = setup_sects; i < setup.header_end; ++i) page.set(i, image.u8(i));
  page.set<std::uint16_t>(vid_mode, vid_mode_normal);
  page.set<std::uint8_t>(type_of_loader, undefined_loader);
  page.set<std::uint32_t>(code32_start, setup.entry);
  page.set<std::uint32_t>(ramdisk_image, initrd.address);
  page.set<std::uint32_t>(ramdisk_size, initrd.size);
  page.set<std::uint32_t>(cmd_line_ptr, command_line.value());
  if (setup.version < 0x202) {
    page.set<std::uint16_t>(old_command_line_magic, 0xa33f);
    page.set<std::uint16_t>(old_command_line_offset,
                            static_cast<std::uint16_t>(command_line - page.base()));
  }
}

}  // namespace

bool has_linux_header(const ImageReader& image) {
  return image.u16(boot_flag) == boot_flag_value && image.u32(header) == header_magic;
}

bool looks_like_linux(const ImageReader& image) {
  return image.u16(boot_flag) == boot_flag_value || image.u32(header) == header_magic;
}

Result<EntryState, LoadError> load_linux(Loading& loading, const ImageReader& image) {
  SetupHeader setup = TRY(read_setup_header(image));
  const std::string_view text = loading.modules[0].command_line;
  if (text.size() > setup.command_line_size) {
    return refuse("setup_header.cmdline_size", "the command line is longer", text.size());
  }
  if (loading.firmware.boot_16 || !has_32_bit_entry(image, setup)) {
    return load_linux_real_mode(loading, image, setup);
  }
  TRY(load_payload(loading, image, setup));
  const InitialRamDisk initrd = TRY(load_initrd(loading, setup, memory_limit(text)));

  // The command line follows the zero page, since before 2.02 it is found by a 16-bit offset.
  ZeroPage page(loading.ram,
                TRY(claim_structure(loading, zero_page_size + text.size() + 1, page_size)));
  const GuestPhysical command_line = page.base() + zero_page_size;
  GuestWriter command_line_writer(&loading.ram, command_line);
  command_line_writer.string(text);
  fill_setup_header(page, image, setup, initrd, command_line);
  const Framebuffer& framebuffer = loading.firmware.framebuffer;
  const bool fits = framebuffer.present() && framebuffer.pitch <= 0xffff &&
                    framebuffer.width <= 0xffff && framebuffer.height <= 0xffff;
  if (fits) {
    describe_framebuffer(page, framebuffer);
  } else {
    describe_screen(page);
  }
  TRY(describe_memory(page, loading));
  if (!page.ok() || !command_line_writer.ok()) {
    return refuse("boot_params", "the zero page cannot be written");
  }

  EntryState state{TRY(flat_entry_state(loading, setup.entry)), GuestFormat::linux_kernel};
  state.vcpu[Register::esi] = page.base().value();
  state.has_framebuffer = fits;
  return state;
}

}  // namespace undercroft
