#include "multiboot_header.hpp"

#include <algorithm>

namespace undercroft {
namespace {

constexpr std::uint32_t magic1 = 0x1badb002;
constexpr std::uint32_t magic2 = 0xe85250d6;

// How each version's header is searched for; fixed_words are summed to zero for the checksum.
struct SearchRule {
  std::uint32_t magic;
  std::uint32_t search_bytes;  // the header lies wholly in this much of the file
  std::uint32_t alignment;
  std::uint32_t fixed_words;
};
constexpr SearchRule rule1 = {magic1, 8192, 4, 3};
constexpr SearchRule rule2 = {magic2, 32768, 8, 4};

struct SearchResult {
  std::optional<std::uint32_t> offset;
  std::optional<std::uint32_t> bad_checksum;  // what the first magic's header sums up to
};

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i)
    value |= std::to_integer<std::uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

SearchResult search(const ImageReader& image, const SearchRule& rule) {
  SearchResult result;
  const auto end =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(image.size(), rule.search_bytes));
  std::array<std::byte, 512> block;
  for (std::uint32_t base = 0; base < end; base += block.size()) {
    const auto part = std::span(block).first(std::min<std::size_t>(block.size(), end - base));
    if (!image.bytes(base, part)) return result;
    for (std::uint32_t i = 0; i + 4 <= part.size(); i += rule.alignment) {
      if (word_at(part, i) != rule.magic || base + i + 4 * rule.fixed_words > end) continue;
      std::uint32_t sum = 0;
      for (std::uint32_t word = 0; word < rule.fixed_words; ++word) {
        sum += image.u32(base + i + 4 * word);
      }
      if (sum == 0) {
        result.offset = base + i;
        return result;
      }
      if (!result.bad_checksum) result.bad_checksum = sum;
    }
  }
  return result;
}

Result<MultibootHeader, LoadError> read_header1(const ImageReader& image, std::uint32_t at) {
  constexpr std::uint32_t address_flag = 1u << 16;
  constexpr std::uint32_t known_required = 7;  // of bits 0 to 15, those that must be obeyed
  const std::uint32_t flags = image.u32(at + 4);
  if (flags & 0xffff & ~known_required) {
    return refuse("multiboot flags", "a required feature is unknown", flags);
  }
  MultibootHeader header;
  header.offset = at;
  constexpr std::uint32_t video_flag = 1u << 2, linear_graphics = 0;
  header.wants_framebuffer =
      (flags & video_flag) && image.contains(at, 48) && image.u32(at + 32) == linear_graphics;
  if (flags & address_flag) {
    if (!image.contains(at, 32)) {
      return refuse("multiboot entry_addr", "the file ends in the address fields", image.size());
    }
    header.addresses = {image.u32(at + 12), image.u32(at + 16), image.u32(at + 20),
                        image.u32(at + 24)};
    header.entry = image.u32(at + 28);
  }
  return header;
}

// Tags of a multiboot 2 header (section 3.1.3 and following).
enum class HeaderTag : std::uint16_t {
  end = 0,
  information_request = 1,
  address = 2,
  entry = 3,
  console_flags = 4,
  framebuffer = 5,
  module_alignment = 6,
  efi_boot_services = 7,
  efi_i386_entry = 8,
  efi_amd64_entry = 9,
  relocatable = 10,
};
constexpr std::uint16_t optional_tag = 1;

struct Tag {
  std::uint64_t at = 0;
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t size = 0;
};

// The types of information that a kernel may demand. Of these, a PC without disk BIOS, VBE, APM,
// EFI and network boot has no 5, 7, 10 to 12 and 16 to 20, and leaves them out, as GRUB does there;
// 13, SMBIOS, is not in GRUB's list either.
constexpr bool is_known(std::uint32_t information) {
  return information <= 21 && information != 13;
}

Result<Done, LoadError> read_information_request(const ImageReader& image, const Tag& tag) {
  if (tag.flags & optional_tag) return Done{};
  for (std::uint32_t i = 8; i + 4 <= tag.size; i += 4) {
    const std::uint32_t wanted = image.u32(tag.at + i);
    if (!is_known(wanted)) {
      return refuse("mbi_tag_types", "the information requested is not available", wanted);
    }
  }
  return Done{};
}

Result<Done, LoadError> read_console_flags(const ImageReader& image, const Tag& tag,
                                           MultibootHeader& header) {
  constexpr std::uint32_t console_required = 1u << 0, text_supported = 1u << 1;
  if (tag.size < 12) return refuse("multiboot2 console flags tag", "size 12 expected", tag.size);
  const std::uint32_t flags = image.u32(tag.at + 8);
  header.knows_no_text =
      (flags & console_required) && !(flags & text_supported) && !(tag.flags & optional_tag);
  return Done{};
}

Result<Done, LoadError> read_relocatable(const ImageReader& image, const Tag& tag,
                                         MultibootHeader& header) {
  if (tag.size < 24) return refuse("multiboot2 relocatable tag", "size 24 expected", tag.size);
  const std::uint32_t preference = image.u32(tag.at + 20);
  if (preference > static_cast<std::uint32_t>(Relocatable::Preference::highest)) {
    return refuse("preference", "0, 1 or 2 expected", preference);
  }
  const std::uint32_t alignment = image.u32(tag.at + 16);
  if (alignment & (alignment - 1)) return refuse("align", "a power of two expected", alignment);
  header.relocatable = {image.u32(tag.at + 8), image.u32(tag.at + 12), alignment ? alignment : 1,
                        static_cast<Relocatable::Preference>(preference)};
  return Done{};
}

Result<Done, LoadError> read_tag(const ImageReader& image, const Tag& tag,
                                 MultibootHeader& header) {
  const auto demand = [&](std::uint32_t bytes) { return tag.size >= bytes; };
  switch (static_cast<HeaderTag>(tag.type)) {
    case HeaderTag::information_request:
      return read_information_request(image, tag);
    case HeaderTag::console_flags:
      return read_console_flags(image, tag, header);
    case HeaderTag::relocatable:
      return read_relocatable(image, tag, header);
    case HeaderTag::address:
      if (!demand(24)) return refuse("multiboot2 address tag", "size 24 expected", tag.size);
      header.addresses = {image.u32(tag.at + 8), image.u32(tag.at + 12), image.u32(tag.at + 16),
                          image.u32(tag.at + 20)};
      return Done{};
    case HeaderTag::entry:
      if (!demand(12)) return refuse("multiboot2 entry tag", "size 12 expected", tag.size);
      header.entry = image.u32(tag.at + 8);
      return Done{};
    case HeaderTag::framebuffer:
      header.wants_framebuffer = true;
      return Done{};
    case HeaderTag::end:
    case HeaderTag::module_alignment:  // modules always begin on a page
    case HeaderTag::efi_boot_services:
    case HeaderTag::efi_i386_entry:
    case HeaderTag::efi_amd64_entry:  // the guest's firmware is no EFI
      return Done{};
  }
  if (tag.flags & optional_tag) return Done{};
  return refuse("multiboot2 tag type", "a required tag is unknown", tag.type);
}

Result<MultibootHeader, LoadError> read_header2(const ImageReader& image, std::uint32_t at) {
  constexpr std::uint32_t architecture_i386 = 0;
  if (image.u32(at + 4) != architecture_i386) {
    return refuse("multiboot2 architecture", "i386 (0) expected", image.u32(at + 4));
  }
  const std::uint32_t length = image.u32(at + 8);
  if (length < 16 || length > rule2.search_bytes - at || !image.contains(at, length)) {
    return refuse("multiboot2 header_length", "the header ends outside the file's first 32 KB",
                  length);
  }
  MultibootHeader header;
  header.version = GuestFormat::multiboot2;
  header.offset = at;
  for (std::uint32_t position = 16; position + 8 <= length;) {
    const std::uint64_t tag_at = std::uint64_t{at} + position;
    const Tag tag = {tag_at, image.u16(tag_at), image.u16(tag_at + 2), image.u32(tag_at + 4)};
    if (tag.size < 8 || tag.size > length - position) {
      return refuse("multiboot2 tag size", "the tag ends outside the header", tag.size);
    }
    if (tag.type == static_cast<std::uint16_t>(HeaderTag::end)) return header;
    TRY(read_tag(image, tag, header));
    position += (tag.size + 7) & ~7u;
  }
  return refuse("multiboot2 tag type", "the end tag is missing");
}

using Found = std::optional<MultibootHeader>;

}  // namespace

Result<Found, LoadError> find_multiboot_header(const ImageReader& image) {
  const SearchResult first = search(image, rule1);
  if (first.offset) return Found(TRY(read_header1(image, *first.offset)));
  const SearchResult second = search(image, rule2);
  if (second.offset) return Found(TRY(read_header2(image, *second.offset)));
  // A magic number that may have been meant: better named than taken for another format.
  if (first.bad_checksum) {
    return refuse("multiboot checksum", "magic, flags and checksum must add up to 0",
                  *first.bad_checksum);
  }
  if (second.bad_checksum) {
    return refuse("multiboot2 checksum",
                  "magic, architecture, header_length and checksum must add up to 0",
                  *second.bad_checksum);
  }
  return Found{};
}

}  // namespace undercroft
