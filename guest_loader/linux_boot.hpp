// Linux bzImage by the 32-bit boot protocol (Linux, Documentation/x86/boot.rst), header versions
// 2.00 to 2.15: setup header, zero page, command line, initrd.
#pragma once

#include "image_reader.hpp"
#include "loading.hpp"

namespace undercroft {

// Whether the file has both of the setup header's marks; whether it has at least one.
bool has_linux_header(const ImageReader& image);
bool looks_like_linux(const ImageReader& image);

Result<EntryState, LoadError> load_linux(Loading& loading, const ImageReader& image);

}  // namespace undercroft
