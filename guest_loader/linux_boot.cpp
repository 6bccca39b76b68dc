#include "linux_boot.hpp"

#include <algorithm>

#include "entry_state.hpp"
#include "linux_command_line.hpp"
#include "linux_layout.hpp"

namespace undercroft {
namespace {

using namespace linux_layout;

// The fields that decide how to load, with the defaults that boot.rst gives for older versions.
struct SetupHeader {
  std::uint32_t version = 0;
  std::uint32_t header_end = 0;
  std::uint64_t payload_offset = 0;
  std::uint64_t payload_size = 0;
  std::uint64_t preferred_address = one_megabyte;
  std::uint64_t run_size = 0;  // from where it runs: what the kernel needs before it reads the map
  std::uint32_t load_address = one_megabyte;
  std::uint32_t entry = 0;
  std::uint32_t initrd_address_max = 0x37ffffff;
  std::uint32_t command_line_size = 255;  // without the terminating zero
};

// Where and with how much memory the kernel wants to run: since 2.10 it says so.
Result<Done, LoadError> read_wishes(const ImageReader& image, SetupHeader& setup) {
  setup.run_size = setup.payload_size;
  if (setup.version < 0x20a) return Done{};
  setup.preferred_address = image.u64(pref_address);
  if (setup.preferred_address >> 32 != 0) {
    return refuse("setup_header.pref_address", "lies above 4 GB", setup.preferred_address);
  }
  setup.run_size = std::max<std::uint64_t>(setup.run_size, image.u32(init_size));
  if (setup.preferred_address < one_megabyte) setup.preferred_address = one_megabyte;
  return Done{};
}

Result<SetupHeader, LoadError> read_setup_header(const ImageReader& image) {
  if (!image.contains(0, smallest_header_end)) {
    return refuse("setup_header", "the file ends in the setup header", image.size());
  }
  if (image.u16(boot_flag) != boot_flag_value) {
    return refuse("setup_header.boot_flag", "0xaa55 expected", image.u16(boot_flag));
  }
  if (image.u32(header) != header_magic) {
    return refuse("setup_header.header", "'HdrS' expected", image.u32(header));
  }
  SetupHeader setup;
  setup.version = image.u16(version);
  if (setup.version < 0x200) {
    return refuse("setup_header.version", "boot protocol 2.00 or later expected", setup.version);
  }
  if (!(image.u8(loadflags) & loaded_high)) {
    return refuse("setup_header.loadflags", "not a bzImage: bit 0 (LOADED_HIGH) is clear",
                  image.u8(loadflags));
  }
  // The second byte of the jump over the header tells where the header ends.
  setup.header_end = std::min<std::uint32_t>(0x202u + image.u8(jump + 1), largest_header_end);
  const std::uint32_t sectors = image.u8(setup_sects) ? image.u8(setup_sects) : 4u;
  setup.payload_offset = (sectors + 1u) * 512u;
  if (!image.contains(setup.payload_offset, 1)) {
    return refuse("setup_header.setup_sects", "the file ends before the protected-mode kernel",
                  sectors);
  }
  setup.payload_size = image.size() - setup.payload_offset;
  if (setup.version >= 0x204 && image.u32(syssize) * std::uint64_t{16} > setup.payload_size + 15) {
    return refuse("setup_header.syssize", "the file is shorter than this", image.u32(syssize));
  }
  if (setup.version >= 0x203) setup.initrd_address_max = image.u32(initrd_addr_max);
  if (setup.version >= 0x206) setup.command_line_size = image.u32(cmdline_size);
  TRY(read_wishes(image, setup));
  return setup;
}

// The lowest place that is aligned as the kernel wants, or at least as it needs.
Result<Done, LoadError> move_kernel(Loading& loading, const ImageReader& image,
                                    SetupHeader& setup) {
  const std::uint32_t wanted = image.u32(kernel_alignment);
  const unsigned least_bit = image.u8(min_alignment);
  const std::uint32_t least = least_bit > 0 && least_bit < 32 ? 1u << least_bit : wanted;
  for (const std::uint32_t alignment : {wanted, least}) {
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      return refuse("setup_header.kernel_alignment", "a power of two expected", alignment);
    }
    const auto place =
        loading.placement.find_lowest(setup.run_size, alignment, one_megabyte, loading.ram.size());
    if (!place || !loading.placement.claim(*place, setup.run_size)) continue;
    setup.load_address = *place;
    return Done{};
  }
  return refuse("setup_header.init_size", "guest memory is too small for the kernel",
                setup.run_size);
}

// Claims all that the kernel runs in. Since 2.10 a relocatable kernel runs where it is loaded, best
// at its preferred address; any other is loaded at 1 MB and moves itself to where it prefers to be.
Result<Done, LoadError> place_kernel(Loading& loading, const ImageReader& image,
                                     SetupHeader& setup) {
  const std::uint64_t preferred = setup.preferred_address;
  if (setup.version >= 0x20a && image.u8(relocatable_kernel) != 0) {
    setup.load_address = static_cast<std::uint32_t>(preferred);
    if (loading.placement.claim(preferred, setup.run_size)) return Done{};
    return move_kernel(loading, image, setup);
  }
  const std::uint64_t end = std::max(preferred + setup.run_size, one_megabyte + setup.payload_size);
  if (loading.placement.claim(one_megabyte, end - one_megabyte)) return Done{};
  return refuse(
      end == one_megabyte + setup.payload_size ? "setup_header.syssize" : "setup_header.init_size",
      "guest memory is too small for the kernel", end - one_megabyte);
}

Result<Done, LoadError> load_payload(Loading& loading, const ImageReader& image,
                                     SetupHeader& setup) {
  TRY(place_kernel(loading, image, setup));
  setup.entry = image.u32(code32_start) - one_megabyte + setup.load_address;
  if (setup.entry - setup.load_address >= setup.payload_size) {
    return refuse("setup_header.code32_start", "the entry lies outside the kernel", setup.entry);
  }
  if (!copy_to_guest(loading.ram, image.source(), setup.payload_offset,
                     GuestPhysical(setup.load_address), setup.payload_size)) {
    return refuse("setup_header.syssize", "the kernel cannot be copied", setup.payload_size);
  }
  return Done{};
}

struct InitialRamDisk {
  std::uint32_t address = 0;  // 0: there is none
  std::uint32_t size = 0;
};

constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 3) & ~std::uint64_t{3}; }

// All modules after the kernel, one behind the other, each padded to 4 bytes as cpio wants it.
// It lies below `limit`, where the kernel has been told that memory ends.
Result<InitialRamDisk, LoadError> load_initrd(Loading& loading, const SetupHeader& setup,
                                              std::uint64_t limit) {
  const auto modules = loading.modules.subspan(1);
  std::uint64_t total = 0;
  for (const GuestModule& module : modules) {
    total += std::min(padded(module.source->size()), std::uint64_t{1} << 33);
  }
  if (total == 0) return InitialRamDisk{};
  const std::uint64_t top = std::min(std::uint64_t{setup.initrd_address_max} + 1, limit);
  const auto place = loading.placement.find_highest(total, page_size, one_megabyte, top);
  if (!place || !loading.placement.claim(*place, total)) {
    return Failure{
        LoadError{"ramdisk_size", "no room for the initrd in guest memory", total, true, 1}};
  }
  GuestPhysical next(*place);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    ByteSource& source = *modules[i].source;
    const std::uint64_t bytes = source.size();
    const auto padding = static_cast<std::uint32_t>(padded(bytes) - bytes);
    const GuestPhysical end = next + static_cast<std::uint32_t>(bytes);
    if (!copy_to_guest(loading.ram, source, 0, next, bytes) ||
        !loading.ram.fill(end, std::byte{0}, padding)) {
      return refuse_module(i + 1, "ramdisk_image", "the initrd cannot be copied");
    }
    next = end + padding;
  }
  return InitialRamDisk{*place, static_cast<std::uint32_t>(total)};
}

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
