// A Linux bzImage as both boot protocols see it (Linux, Documentation/x86/boot.rst, header versions
// 2.00 to 2.15): what its setup header wants, and the kernel and the initrd in their places. Who
// runs first and what it is told is linux_boot.hpp's and linux_real_mode.hpp's.
#pragma once

#include "image_reader.hpp"
#include "linux_layout.hpp"
#include "loading.hpp"

namespace undercroft {

// The fields that decide how to load, with the defaults that boot.rst gives for older versions.
struct SetupHeader {
  std::uint32_t version = 0;
  std::uint32_t header_end = 0;
  std::uint64_t payload_offset = 0;
  std::uint64_t payload_size = 0;
  std::uint64_t preferred_address = one_megabyte;
  std::uint64_t run_size = 0;  // from where it runs: what the kernel needs before it reads the map
  std::uint32_t load_address = one_megabyte;
  std::uint32_t entry = 0;  // of 32 bits, once the kernel has its place; it may lie outside of it
  std::uint32_t initrd_address_max = 0x37ffffff;
  std::uint32_t command_line_size = 255;  // without the terminating zero
};

Result<SetupHeader, LoadError> read_setup_header(const ImageReader& image);

// Whether code32_start lies inside the kernel.
bool has_32_bit_entry(const ImageReader& image, const SetupHeader& setup);

// Claims a place for the protected-mode kernel, all that it runs in, and copies it there.
Result<Done, LoadError> load_payload(Loading& loading, const ImageReader& image,
                                     SetupHeader& setup);

struct InitialRamDisk {
  std::uint32_t address = 0;  // 0: there is none
  std::uint32_t size = 0;
};

// All modules after the kernel, one behind the other, each padded to 4 bytes as cpio wants it.
// It lies below `limit`, where the kernel has been told that memory ends.
Result<InitialRamDisk, LoadError> load_initrd(Loading& loading, const SetupHeader& setup,
                                              std::uint64_t limit);

}  // namespace undercroft
