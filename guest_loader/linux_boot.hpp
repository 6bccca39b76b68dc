// Linux bzImage by the 32-bit boot protocol (Linux, Documentation/x86/boot.rst): setup header, zero
// page, command line, initrd. An image without a 32-bit entry is linux_real_mode.hpp's, and any
// image if firmware.boot_16 asks for it.
#pragma once

#include "image_reader.hpp"
#include "loading.hpp"

namespace undercroft {

// Whether the file has both of the setup header's marks; whether it has at least one.
bool has_linux_header(const ImageReader& image);
bool looks_like_linux(const ImageReader& image);

Result<EntryState, LoadError> load_linux(Loading& loading, const ImageReader& image);

}  // namespace undercroft
