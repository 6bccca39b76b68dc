#include "linux_image.hpp"

#include <algorithm>

namespace undercroft {
namespace {

using namespace linux_layout;

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

constexpr std::uint64_t padded(std::uint64_t bytes) { return (bytes + 3) & ~std::uint64_t{3}; }

}  // namespace

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
  setup.payload_offset = std::uint64_t{sectors + 1u} * 512;
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

bool has_32_bit_entry(const ImageReader& image, const SetupHeader& setup) {
  return image.u32(code32_start) - one_megabyte < setup.payload_size;
}

Result<Done, LoadError> load_payload(Loading& loading, const ImageReader& image,
                                     SetupHeader& setup) {
  TRY(place_kernel(loading, image, setup));
  setup.entry = image.u32(code32_start) - one_megabyte + setup.load_address;
  if (!copy_to_guest(loading.ram, image.source(), setup.payload_offset,
                     GuestPhysical(setup.load_address), setup.payload_size)) {
    return refuse("setup_header.syssize", "the kernel cannot be copied", setup.payload_size);
  }
  return Done{};
}

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

}  // namespace undercroft
