// Finds and checks the multiboot headers of a kernel image (Multiboot Specification 0.6.96, section
// 3.1; Multiboot2 Specification 2.0, section 3.1) and reduces both to what loading needs to know.
#pragma once

#include <optional>

#include "image_reader.hpp"
#include "loading.hpp"

namespace undercroft {

// The address fields (a.out kludge), which take precedence over ELF.
struct MultibootAddresses {
  std::uint32_t header = 0;    // where the header itself is to lie
  std::uint32_t load = 0;      // where loading begins; multiboot 2: ~0 means the file's beginning
  std::uint32_t load_end = 0;  // 0: the whole rest of the file
  std::uint32_t bss_end = 0;   // 0: no bss
};

// Where a multiboot 2 kernel may be moved to (section 3.1.10).
struct Relocatable {
  enum class Preference : std::uint32_t { none = 0, lowest = 1, highest = 2 };
  std::uint32_t min_address = 0;  // of its first byte
  std::uint32_t max_address = 0;  // of its last byte
  std::uint32_t alignment = 0;
  Preference preference = Preference::none;
};

struct MultibootHeader {
  GuestFormat version = GuestFormat::multiboot1;
  std::uint64_t offset = 0;  // of the header, in the file
  std::optional<MultibootAddresses> addresses;
  std::optional<std::uint32_t> entry;  // overrides ELF's
  std::optional<Relocatable> relocatable;
  bool wants_framebuffer = false;
  bool knows_no_text = false;  // needs a console, and cannot do with a text screen
};

// No value: the image has no multiboot header. An error: it has one that cannot be obeyed. A header
// of version 1 is preferred, since it is the one that other loaders take without being told.
Result<std::optional<MultibootHeader>, LoadError> find_multiboot_header(const ImageReader& image);

}  // namespace undercroft
