#include "boot_information.hpp"

namespace undercroft::boot {
namespace {

using std::string_view_literals::operator""sv;
using Outcome = Result<Done, const char*>;

// Little-endian fields at physical addresses.
class Fields {
 public:
  explicit Fields(const PhysicalReader& reader) : reader_(reader) {}
  std::uint8_t u8(std::uint32_t at) const { return reader_.byte(at); }
  std::uint32_t u32(std::uint32_t at) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < 4; ++i) value |= std::uint32_t{u8(at + i)} << (8 * i);
    return value;
  }
  std::uint64_t u64(std::uint32_t at) const { return u32(at) | std::uint64_t{u32(at + 4)} << 32; }

 private:
  const PhysicalReader& reader_;
};

// Adds what it reads to a BootInformation, within its capacities.
class Collector {
 public:
  Collector(Fields fields, BootInformation& out) : fields_(fields), out_(out) {}

  // A zero-terminated text at `at`, which lies below `limit`.
  Result<TextReference, const char*> text(std::uint32_t at, std::uint32_t limit) {
    TextReference reference{static_cast<std::uint16_t>(out_.text_used), 0};
    for (; at < limit; ++at) {
      const char c = static_cast<char>(fields_.u8(at));
      if (c == 0) return reference;
      if (out_.text_used == out_.texts.size()) return Failure{"boot command lines: over 8 KB"};
      out_.texts[out_.text_used++] = c;
      ++reference.length;
    }
    return Failure{"boot command line: not terminated"};
  }

  Outcome module(std::uint32_t start, std::uint32_t end, std::uint32_t text_at,
                 std::uint32_t text_limit) {
    if (end < start) return Failure{"boot module: ends before it starts"};
    if (out_.module_count == BootInformation::max_modules) return Failure{"boot modules: over 16"};
    BootModule module{HostPhysical(start), HostPhysical(end), {}};
    if (text_at) module.command_line = TRY(text(text_at, text_limit));
    out_.modules[out_.module_count++] = module;
    return Done{};
  }

  Outcome range(std::uint64_t base, std::uint64_t length, std::uint32_t type) {
    if (base + length < base) return Failure{"memory map: a range wraps around"};
    if (length == 0) return Done{};
    if (out_.memory_count == BootInformation::max_ranges)
      return Failure{"memory map: over 128 ranges"};
    out_.memory[out_.memory_count++] = {base, length, type};
    return Done{};
  }

  // Both versions describe it alike from the address on: pitch, width, height, depth, type; the
  // fields of direct colours are at `colours`. Others than those are nothing to draw on.
  void framebuffer(std::uint32_t at, std::uint32_t colours) {
    constexpr std::uint8_t direct_colours = 1;
    const auto field = [&](std::uint32_t n) {
      return ColourField{fields_.u8(colours + n * 2), fields_.u8(colours + n * 2 + 1)};
    };
    const Framebuffer found{fields_.u64(at),
                            fields_.u32(at + 8),
                            fields_.u32(at + 12),
                            fields_.u32(at + 16),
                            fields_.u8(at + 20),
                            field(0),
                            field(1),
                            field(2)};
    if (fields_.u8(at + 21) == direct_colours && found.usable()) out_.framebuffer = found;
  }

  Fields fields() const { return fields_; }
  BootInformation& out() { return out_; }

 private:
  Fields fields_;
  BootInformation& out_;
};

// Nothing in the multiboot structures says how long a text is.
constexpr std::uint32_t text_reach = 4096;
constexpr std::uint32_t reach(std::uint32_t at) {
  return at > ~text_reach ? ~std::uint32_t{0} : at + text_reach;
}

// Multiboot 1: offsets in the information structure, and its flag bits (section 3.3).
namespace mb1 {
constexpr std::uint32_t flag_memory = 1u << 0, flag_command_line = 1u << 2;
constexpr std::uint32_t flag_modules = 1u << 3, flag_memory_map = 1u << 6;
constexpr std::uint32_t upper_memory = 8, command_line = 16, module_count = 20, modules = 24;
constexpr std::uint32_t map_length = 44, map_address = 48;
constexpr std::uint32_t flag_loader_name = 1u << 9, loader_name = 64;
constexpr std::uint32_t flag_framebuffer = 1u << 12, framebuffer = 88, framebuffer_colours = 110;

// QEMU and GRUB Legacy put the file's name before the arguments; GRUB 2 does not.
bool puts_file_names(Fields fields, std::uint32_t info) {
  if (!(fields.u32(info) & flag_loader_name)) return false;
  const std::uint32_t at = fields.u32(info + loader_name);
  for (const std::string_view known : {std::string_view("qemu\0", 5), "GNU GRUB 0."sv}) {
    std::uint32_t same = 0;
    while (same < known.size() && fields.u8(at + same) == static_cast<std::uint8_t>(known[same])) {
      ++same;
    }
    if (same == known.size()) return true;
  }
  return false;
}

void drop_first_word(const BootInformation& info, TextReference& text) {
  const std::string_view whole = info.text(text);
  const std::size_t blank = whole.find(' ');
  const auto dropped =
      static_cast<std::uint16_t>(blank == std::string_view::npos ? whole.size() : blank + 1);
  text.start = static_cast<std::uint16_t>(text.start + dropped);
  text.length = static_cast<std::uint16_t>(text.length - dropped);
}

Outcome read_modules(Collector& collect, std::uint32_t info) {
  const Fields fields = collect.fields();
  const std::uint32_t count = fields.u32(info + module_count);
  std::uint32_t at = fields.u32(info + modules);
  for (std::uint32_t i = 0; i < count; ++i, at += 16) {
    const std::uint32_t text_at = fields.u32(at + 8);
    TRY(collect.module(fields.u32(at), fields.u32(at + 4), text_at, reach(text_at)));
  }
  return Done{};
}

// Each entry begins with its own size, which does not count the size field.
Outcome read_map(Collector& collect, std::uint32_t info) {
  const Fields fields = collect.fields();
  const std::uint32_t length = fields.u32(info + map_length);
  const std::uint32_t start = fields.u32(info + map_address);
  for (std::uint32_t used = 0; used < length;) {
    const std::uint32_t at = start + used;
    const std::uint32_t size = fields.u32(at);
    if (size < 20 || size > length || used + size + 4 > length) {
      return Failure{"multiboot mmap: bad entry size"};
    }
    TRY(collect.range(fields.u64(at + 4), fields.u64(at + 12), fields.u32(at + 20)));
    used += size + 4;
  }
  return Done{};
}

Outcome read(Collector& collect, std::uint32_t info) {
  const Fields fields = collect.fields();
  const std::uint32_t flags = fields.u32(info);
  if (flags & flag_command_line) {
    const std::uint32_t at = fields.u32(info + command_line);
    collect.out().command_line = TRY(collect.text(at, reach(at)));
  }
  if (flags & flag_modules) TRY(read_modules(collect, info));
  if (puts_file_names(fields, info)) {
    BootInformation& out = collect.out();
    drop_first_word(out, out.command_line);
    for (unsigned i = 0; i < out.module_count; ++i) {
      drop_first_word(out, out.modules[i].command_line);
    }
  }
  if (flags & flag_framebuffer) {
    collect.framebuffer(info + framebuffer, info + framebuffer_colours);
  }
  if (flags & flag_memory_map) return read_map(collect, info);
  if (!(flags & flag_memory)) return Failure{"multiboot flags: no memory map"};
  TRY(collect.range(0, std::uint64_t{fields.u32(info + 4)} * 1024, usable_memory));
  return collect.range(0x100000, std::uint64_t{fields.u32(info + upper_memory)} * 1024,
                       usable_memory);
}
}  // namespace mb1

// Multiboot 2: a total size, then tags of {type, size, contents}, 8-byte aligned (section 3.4).
namespace mb2 {
constexpr std::uint32_t end_tag = 0, command_line = 1, module = 3, memory_map = 6;
constexpr std::uint32_t framebuffer = 8, acpi_old = 14, acpi_new = 15;
constexpr std::uint32_t framebuffer_colours = 32, framebuffer_size = 38;
constexpr std::uint32_t largest = 1u << 20;

Outcome read_map(Collector& collect, std::uint32_t tag, std::uint32_t size) {
  const Fields fields = collect.fields();
  if (size < 16) return Failure{"multiboot 2 memory map: tag too small"};
  const std::uint32_t entry_size = fields.u32(tag + 8);
  if (entry_size < 20 || entry_size > size) {
    return Failure{"multiboot 2 memory map: bad entry_size"};
  }
  for (std::uint32_t used = 16; used + entry_size <= size; used += entry_size) {
    const std::uint32_t at = tag + used;
    TRY(collect.range(fields.u64(at), fields.u64(at + 8), fields.u32(at + 16)));
  }
  return Done{};
}

Outcome read_tag(Collector& collect, std::uint32_t tag, std::uint32_t size) {
  const Fields fields = collect.fields();
  switch (fields.u32(tag)) {
    case command_line:
      collect.out().command_line = TRY(collect.text(tag + 8, tag + size));
      return Done{};
    case module:
      if (size < 17) return Failure{"multiboot 2 module: tag too small"};
      return collect.module(fields.u32(tag + 8), fields.u32(tag + 12), tag + 16, tag + size);
    case memory_map:
      return read_map(collect, tag, size);
    case framebuffer:
      if (size >= framebuffer_size) collect.framebuffer(tag + 8, tag + framebuffer_colours);
      return Done{};
    case acpi_old:
    case acpi_new:  // both hold all that the older one has
      collect.out().acpi_root_pointer = tag + 8;
      return Done{};
    default:
      return Done{};
  }
}

Outcome read(Collector& collect, std::uint32_t info) {
  const Fields fields = collect.fields();
  const std::uint32_t total = fields.u32(info);
  if (total < 16 || total > largest || info > ~total) {
    return Failure{"multiboot 2 total_size: out of range"};
  }
  for (std::uint32_t used = 8; used + 8 <= total;) {
    const std::uint32_t size = fields.u32(info + used + 4);
    if (size < 8 || size > total - used) return Failure{"multiboot 2 tag: bad size"};
    if (fields.u32(info + used) == end_tag) {
      if (collect.out().memory_count == 0) return Failure{"multiboot 2: no memory map"};
      return Done{};
    }
    TRY(read_tag(collect, info + used, size));
    used += (size + 7) & ~7u;
  }
  return Failure{"multiboot 2 tags: no end tag"};
}
}  // namespace mb2

}  // namespace

Result<Done, const char*> read_boot_information(const PhysicalReader& reader, std::uint32_t magic,
                                                std::uint32_t address, BootInformation& out) {
  Collector collect{Fields(reader), out};
  if (magic == multiboot1_magic) {
    out.multiboot_version = 1;
    return mb1::read(collect, address);
  }
  if (magic == multiboot2_magic) {
    out.multiboot_version = 2;
    return mb2::read(collect, address);
  }
  return Failure{"EAX: not started by a multiboot loader"};
}

}  // namespace undercroft::boot
