// Linux bzImage by the 16-bit boot protocol (Linux, Documentation/x86/boot.rst, "Running the
// Kernel"): the image's own setup code runs first, in real mode, and asks the BIOS.
#pragma once

#include "linux_image.hpp"

namespace undercroft {

Result<EntryState, LoadError> load_linux_real_mode(Loading& loading, const ImageReader& image,
                                                   SetupHeader& setup);

}  // namespace undercroft
