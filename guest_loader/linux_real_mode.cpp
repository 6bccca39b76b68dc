#include "linux_real_mode.hpp"

#include "entry_state.hpp"
#include "linux_command_line.hpp"

namespace undercroft {
namespace {

using namespace linux_layout;

// boot.rst, "Memory Layout" and "Sample Boot Configuration": the setup code at its old place, then
// its heap and stack, then the command line, below the extended BIOS data area.
constexpr std::uint32_t base = 0x90000;
constexpr std::uint32_t most_setup = 0x8000;
constexpr std::uint32_t heap_end = 0xe000;
constexpr std::uint32_t heap_end_without_version_2_02 = 0x9800;
constexpr std::uint16_t entry_segment = base / 16 + 0x20;

class Setup {
 public:
  Setup(GuestRam& ram) : ram_(ram) {}
  template <class T>
  void set(std::uint32_t offset, T value) {
    GuestWriter writer(&ram_, GuestPhysical(base + offset));
    for (unsigned i = 0; i < sizeof(T); ++i) writer.u8(static_cast<std::uint8_t>(value >> (8 * i)));
    ok_ = ok_ && writer.ok();
  }
  bool ok() const { return ok_; }

 private:
  GuestRam& ram_;
  bool ok_ = true;
};

// What the protocol leaves to the loader. heap: the end of setup's heap and stack, from its base.
void answer(Setup& out, const ImageReader& image, const SetupHeader& setup,
            const InitialRamDisk& initrd, std::uint32_t heap) {
  out.set<std::uint16_t>(vid_mode, vid_mode_normal);
  out.set<std::uint8_t>(type_of_loader, undefined_loader);
  out.set<std::uint32_t>(ramdisk_image, initrd.address);
  out.set<std::uint32_t>(ramdisk_size, initrd.size);
  if (setup.load_address != one_megabyte) out.set<std::uint32_t>(code32_start, setup.entry);
  if (setup.version >= 0x201) {
    out.set<std::uint16_t>(heap_end_ptr, static_cast<std::uint16_t>(heap - 0x200));
    out.set<std::uint8_t>(loadflags, image.u8(loadflags) | can_use_heap);
  }
  if (setup.version >= 0x202) {
    out.set<std::uint32_t>(cmd_line_ptr, base + heap);
  } else {
    out.set<std::uint16_t>(old_command_line_magic, 0xa33f);
    out.set<std::uint16_t>(old_command_line_offset, static_cast<std::uint16_t>(heap));
  }
}

}  // namespace

Result<EntryState, LoadError> load_linux_real_mode(Loading& loading, const ImageReader& image,
                                                   SetupHeader& setup) {
  if (!loading.firmware.has_bios) {
    return refuse("setup_header.code32_start", "a 16-bit image needs a BIOS: machine=pc",
                  image.u32(code32_start));
  }
  const std::string_view text = loading.modules[0].command_line;
  const std::uint32_t heap = setup.version >= 0x202 ? heap_end : heap_end_without_version_2_02;
  if (setup.payload_offset > most_setup) {
    return refuse("setup_header.setup_sects", "the setup code is larger than 32 KB",
                  setup.payload_offset);
  }
  if (!loading.placement.claim(base, heap + text.size() + 1)) {
    return refuse("setup_header.cmdline_size", "no room for setup and command line below 640 KB",
                  text.size());
  }
  TRY(load_payload(loading, image, setup));
  const InitialRamDisk initrd = TRY(load_initrd(loading, setup, memory_limit(text)));
  Setup out(loading.ram);
  GuestWriter command_line(&loading.ram, GuestPhysical(base + heap));
  command_line.string(text);
  const bool copied =
      loading.ram.fill(GuestPhysical(base), std::byte{0}, heap) &&
      copy_to_guest(loading.ram, image.source(), 0, GuestPhysical(base), setup.payload_offset);
  answer(out, image, setup, initrd, heap);
  if (!copied || !out.ok() || !command_line.ok()) {
    return refuse("setup_header", "the setup code cannot be written");
  }
  return EntryState{
      real_mode_entry_state({entry_segment, 0, base / 16, static_cast<std::uint16_t>(heap)}),
      GuestFormat::linux_real_mode};
}

}  // namespace undercroft
