#include "guest_disks.hpp"

#include "arch/x86/instructions.hpp"
#include "disk_modules.hpp"
#include "monitor/devices/disk_save.hpp"
#include "monitor/inspect/format.hpp"

namespace undercroft::boot {
namespace {

// A debug console of the machine's. Reading its port gives 0xe9.
class PortSink final : public CharacterSink {
 public:
  explicit PortSink(std::uint32_t port) : port_(static_cast<std::uint16_t>(port)) {}
  bool present() const { return x86::port_in_8(port_) == 0xe9; }
  void put(std::uint8_t byte) override { x86::port_out_8(port_, byte); }

 private:
  std::uint16_t port_;
};

}  // namespace

Result<GuestModules, const char*> separate_disks(const BootInformation& information,
                                                 const Options& options, DiskStore& disks,
                                                 FramePool& pool) {
  GuestModules own;
  DiskPlaces places;
  bool saves = false;
  for (unsigned i = 0; i < information.module_count; ++i) {
    const BootModule& module = information.modules[i];
    const DiskModule disk = TRY(read_disk_module(information.text(module.command_line)));
    if (!disk.is_disk) {
      own.modules[own.count++] = &module;
      continue;
    }
    if (options.machine != MachineKind::pc && disk.kind == DiskKind::virtio) {
      return Failure{"a disk of kind virtio needs machine=pc"};
    }
    saves |= disk.save;
    TRY(places.take(disk.kind));
    TRY(disks.add(pool, module.start, module.end - module.start, disk.kind, disk.save));
  }
  if (own.count == 0 && options.machine != MachineKind::pc) {
    return Failure{"none is there but disks; only machine=pc has a BIOS that starts one"};
  }
  if (saves && options.save_port == 0) {
    return Failure{"a disk is to be saved, but the option save=PORT is not given"};
  }
  if (options.save_port != 0 && !PortSink(options.save_port).present()) {
    return Failure{"no debug console answers at the port of save=PORT"};
  }
  return own;
}

void give_disks_back(Console& out, const Options& options, DiskStore& disks) {
  if (options.save_port == 0) return;
  PortSink sink(options.save_port);
  const SavedDisks saved = save_disks(disks, sink);
  print(out, "undercroft: {} disk{} saved, {} block{} of 4 KB had changed\n", saved.disks,
        plural(saved.disks), saved.blocks, plural(saved.blocks));
}

}  // namespace undercroft::boot
