#include "multiboot_image.hpp"

#include <algorithm>

#include "elf32.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t from_beginning_of_file = 0xffffffff;

// The part of the file that the address fields select, and where it goes.
struct FlatImage {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t load = 0;
  std::uint64_t memory = 0;  // with bss
};

Result<FlatImage, LoadError> resolve(const ImageReader& image, const MultibootHeader& header) {
  const MultibootAddresses& fields = *header.addresses;
  FlatImage flat;
  flat.load = fields.load;
  if (header.version == GuestFormat::multiboot2 && fields.load == from_beginning_of_file) {
    if (fields.header < header.offset) {
      return refuse("header_addr", "the file would begin below 0", fields.header);
    }
    flat.load = fields.header - static_cast<std::uint32_t>(header.offset);
  }
  if (fields.header < flat.load) {
    return refuse("load_addr", "lies above header_addr", flat.load);
  }
  const std::uint32_t before_header = fields.header - flat.load;
  if (before_header > header.offset) {
    return refuse("header_addr", "loading would begin before the file does", fields.header);
  }
  flat.offset = header.offset - before_header;
  flat.bytes = image.size() - flat.offset;
  if (fields.load_end != 0) {
    if (fields.load_end < flat.load) {
      return refuse("load_end_addr", "lies below load_addr", fields.load_end);
    }
    flat.bytes = fields.load_end - flat.load;
    if (!image.contains(flat.offset, flat.bytes)) {
      return refuse("load_end_addr", "lies behind the end of the file", fields.load_end);
    }
  }
  flat.memory = flat.bytes;
  if (fields.bss_end != 0) {
    if (fields.bss_end < flat.load + flat.bytes) {
      return refuse("bss_end_addr", "lies below the end of what is loaded", fields.bss_end);
    }
    flat.memory = fields.bss_end - flat.load;
  }
  return flat;
}

// Where a kernel of so many bytes goes that is linked at `base`. Without a preference it is `base`,
// or else the lowest place, above 1 MB if there is one.
Result<std::uint32_t, LoadError> place_kernel(const Loading& loading, const MultibootHeader& header,
                                              std::uint32_t base, std::uint64_t bytes) {
  if (!header.relocatable) return base;
  const Relocatable& wish = *header.relocatable;
  const Placement& placement = loading.placement;
  const std::uint64_t first = wish.min_address, end = std::uint64_t{wish.max_address} + 1;
  std::optional<std::uint32_t> place;
  switch (wish.preference) {
    case Relocatable::Preference::highest:
      place = placement.find_highest(bytes, wish.alignment, first, end);
      break;
    case Relocatable::Preference::lowest:
      place = placement.find_lowest(bytes, wish.alignment, first, end);
      break;
    case Relocatable::Preference::none:
      if (base >= first && base + bytes <= end && base % wish.alignment == 0 &&
          placement.is_free(base, bytes)) {
        return base;
      }
      place = placement.find_lowest(bytes, wish.alignment,
                                    std::max<std::uint64_t>(first, one_megabyte), end);
      if (!place) place = placement.find_lowest(bytes, wish.alignment, first, end);
      break;
  }
  if (!place) return refuse("max_addr", "no room for the kernel below it", wish.max_address);
  return *place;
}

Result<Done, LoadError> load_by_addresses(Loading& loading, const ImageReader& image,
                                          const MultibootHeader& header, MultibootImage& result) {
  FlatImage flat = TRY(resolve(image, header));
  if (!header.entry) return refuse("entry_addr", "missing: the address tag needs an entry tag");
  if (*header.entry < flat.load || *header.entry - flat.load >= flat.memory) {
    return refuse("entry_addr", "lies outside what is loaded", *header.entry);
  }
  const std::uint32_t linked = flat.load;
  flat.load = TRY(place_kernel(loading, header, linked, flat.memory));
  if (!loading.placement.claim(flat.load, flat.memory)) {
    return refuse("load_addr", "the kernel lies outside guest RAM", flat.load);
  }
  const GuestPhysical start(flat.load);
  if (!copy_to_guest(loading.ram, image.source(), flat.offset, start, flat.bytes) ||
      !loading.ram.fill(start + static_cast<std::uint32_t>(flat.bytes), std::byte{0},
                        static_cast<std::uint32_t>(flat.memory - flat.bytes))) {
    return refuse("load_addr", "the kernel cannot be copied", flat.load);
  }
  result.load_base = flat.load;
  result.entry = *header.entry + (flat.load - linked);
  return Done{};
}

Result<Done, LoadError> load_elf(Loading& loading, const ImageReader& image,
                                 const MultibootHeader& header, MultibootImage& result) {
  if (!is_elf(image)) {
    return refuse("EI_MAG", "neither address fields nor an ELF file", image.u32(0));
  }
  const ElfExtent extent = TRY(elf32_extent(image));
  result.load_base = TRY(place_kernel(loading, header, extent.base, extent.end - extent.base));
  const std::uint32_t moved = result.load_base - extent.base;
  const auto entry = TRY(load_elf32_segments(loading, image, moved));
  if (!entry && !header.entry) return entry_outside_segments(image);
  result.entry = header.entry ? *header.entry + moved : *entry;
  if (!loading.placement.overlaps(result.entry, 1)) {
    return refuse("entry_addr", "lies outside what is loaded", result.entry);
  }
  result.sections = TRY(load_elf_sections(loading, image));
  return Done{};
}

// Modules go behind the kernel, each on its own pages.
Result<Done, LoadError> load_modules(Loading& loading, MultibootImage& result) {
  if (loading.modules.size() - 1 > result.modules.size()) {
    return refuse("mods_count", "at most 32 modules are supported", loading.modules.size() - 1);
  }
  for (std::size_t i = 1; i < loading.modules.size(); ++i) {
    ByteSource& source = *loading.modules[i].source;
    const std::uint64_t bytes = source.size();
    const std::uint64_t behind = loading.placement.end_of_claims();
    const auto place = loading.placement.find_lowest(bytes ? bytes : 1, page_size,
                                                     behind > one_megabyte ? behind : one_megabyte,
                                                     loading.ram.size());
    if (!place || !loading.placement.claim(*place, bytes)) {
      return refuse_module(i, "mod_start", "no room for the module in guest memory");
    }
    if (!copy_to_guest(loading.ram, source, 0, GuestPhysical(*place), bytes)) {
      return refuse_module(i, "mod_end", "the module cannot be copied");
    }
    result.modules[result.module_count++] = {*place, static_cast<std::uint32_t>(*place + bytes)};
  }
  return Done{};
}

}  // namespace

Result<MultibootImage, LoadError> load_multiboot_image(Loading& loading, const ImageReader& image,
                                                       const MultibootHeader& header) {
  MultibootImage result;
  TRY(header.addresses ? load_by_addresses(loading, image, header, result)
                       : load_elf(loading, image, header, result));
  TRY(load_modules(loading, result));
  return result;
}

void write_screen(GuestWriter& out, const Framebuffer& framebuffer) {
  constexpr std::uint8_t type_direct_colours = 1, type_text = 2;
  constexpr Framebuffer text{0xb8000, 160, 80, 25, 16, {}, {}, {}};
  const Framebuffer& shown = framebuffer.present() ? framebuffer : text;
  out.u64(shown.address);
  out.u32(shown.pitch);
  out.u32(shown.width);
  out.u32(shown.height);
  out.u8(shown.bits_per_pixel);
  out.u8(framebuffer.present() ? type_direct_colours : type_text);
}

void write_colours(GuestWriter& out, const Framebuffer& framebuffer) {
  for (const ColourField field : {framebuffer.red, framebuffer.green, framebuffer.blue}) {
    out.u8(field.position);
    out.u8(field.size);
  }
}

BasicMemory basic_memory(const Loading& loading) {
  const Placement& placement = loading.placement;
  return {
      static_cast<std::uint32_t>(placement.end_of_ram_at(0) / 1024),
      static_cast<std::uint32_t>((placement.end_of_ram_at(one_megabyte) - one_megabyte) / 1024)};
}

}  // namespace undercroft
