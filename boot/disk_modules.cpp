#include "disk_modules.hpp"

#include <optional>

namespace undercroft::boot {
namespace {

constexpr std::string_view mark = "undercroft.disk=";

struct Row {
  std::string_view name;
  DiskKind kind;
};
constexpr Row kinds[] = {
    {"virtio", DiskKind::virtio}, {"ata", DiskKind::ata}, {"cdrom", DiskKind::cdrom}};

std::optional<DiskKind> kind_of(std::string_view name) {
  for (const Row& row : kinds) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

}  // namespace

Result<DiskModule, const char*> read_disk_module(std::string_view command_line) {
  const std::string_view word = command_line.substr(0, command_line.find(' '));
  if (!word.starts_with(mark)) return DiskModule{};
  std::string_view rest = word.substr(mark.size());
  const std::size_t comma = rest.find(',');
  const std::optional<DiskKind> kind = kind_of(rest.substr(0, comma));
  if (!kind) return Failure{"undercroft.disk= is neither virtio, ata nor cdrom"};
  DiskModule module{true, *kind, false};
  if (comma == std::string_view::npos) return module;
  if (rest.substr(comma + 1) != "save") return Failure{"undercroft.disk= has an unknown option"};
  if (*kind == DiskKind::cdrom) return Failure{"undercroft.disk=cdrom cannot be saved"};
  module.save = true;
  return module;
}

Result<Done, const char*> DiskPlaces::take(DiskKind kind) {
  switch (kind) {
    case DiskKind::virtio:
      if (virtio_ == max_virtio_disks) return Failure{"over 4 disks of kind virtio"};
      ++virtio_;
      return Done{};
    case DiskKind::ata:
    case DiskKind::cdrom:
      if (ide_ == max_ide_disks) return Failure{"over 4 disks of kinds ata and cdrom"};
      ++ide_;
      return Done{};
  }
  return Done{};
}

}  // namespace undercroft::boot
