// The boot information that a multiboot kernel finds through EBX, in both versions' forms.
#pragma once

#include "multiboot_image.hpp"

namespace undercroft {

// Each claims a place in guest memory, writes the information there and yields its address.
Result<GuestPhysical, LoadError> write_multiboot1_information(Loading& loading,
                                                              const ImageReader& file,
                                                              const MultibootImage& image);
Result<GuestPhysical, LoadError> write_multiboot2_information(Loading& loading,
                                                              const ImageReader& file,
                                                              const MultibootImage& image);

// A kernel with either header: image, modules, information and entry state.
Result<EntryState, LoadError> load_multiboot(Loading& loading, const ImageReader& image,
                                             const MultibootHeader& header);

}  // namespace undercroft
