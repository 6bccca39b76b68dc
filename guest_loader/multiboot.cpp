// Multiboot 1 and 2: the machine state at entry (sections 3.2 and 3.3 of the specifications).
#include "entry_state.hpp"
#include "multiboot_information.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t handover_magic1 = 0x2badb002;
constexpr std::uint32_t handover_magic2 = 0x36d76289;

}  // namespace

Result<EntryState, LoadError> load_multiboot(Loading& loading, const ImageReader& image,
                                             const MultibootHeader& header) {
  const Framebuffer& framebuffer = loading.firmware.framebuffer;
  if (header.knows_no_text && !framebuffer.present()) {
    return refuse("console_flags", "a console is required, but EGA text is not supported");
  }
  MultibootImage loaded = TRY(load_multiboot_image(loading, image, header));
  if (header.wants_framebuffer || header.knows_no_text) loaded.framebuffer = framebuffer;
  const bool first = header.version == GuestFormat::multiboot1;
  const GuestPhysical information = first
                                        ? TRY(write_multiboot1_information(loading, image, loaded))
                                        : TRY(write_multiboot2_information(loading, image, loaded));
  EntryState state{TRY(flat_entry_state(loading, loaded.entry)), header.version};
  state.vcpu[Register::eax] = first ? handover_magic1 : handover_magic2;
  state.vcpu[Register::ebx] = information.value();
  state.has_framebuffer = loaded.framebuffer.present();
  return state;
}

}  // namespace undercroft
