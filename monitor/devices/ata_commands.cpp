// The commands of a drive by their codes, and what a disk does (ATA/ATAPI-6, section 8, and the
// table of codes in annex B). What it does not have is aborted, as a drive does.
#include <algorithm>

#include "ata_drive.hpp"
#include "ata_registers.hpp"

namespace undercroft {

using namespace ata;

struct AtaDrive::CommandRow {
  Kind kind = Kind::absent;
  std::uint8_t first = 0, last = 0;
  Operation operation = Operation::refuse;
  Way way{};
};

namespace {

constexpr std::uint32_t most_multiple = 16;  // sectors
constexpr std::uint8_t power_active = 0xff;

}  // namespace

constexpr AtaDrive::CommandRow AtaDrive::commands[] = {
    {Kind::disk, 0x10, 0x1f, Operation::nothing},  // RECALIBRATE
    {Kind::disk, 0x20, 0x21, Operation::transfer, {}},
    {Kind::disk, 0x24, 0x24, Operation::transfer, {.extended = true}},
    {Kind::disk, 0x25, 0x25, Operation::transfer, {.extended = true, .by_dma = true}},
    {Kind::disk, 0x29, 0x29, Operation::transfer, {.extended = true, .multiple = true}},
    {Kind::disk, 0x30, 0x31, Operation::transfer, {.to_disk = true}},
    {Kind::disk, 0x34, 0x34, Operation::transfer, {.to_disk = true, .extended = true}},
    {Kind::disk,
     0x35,
     0x35,
     Operation::transfer,
     {.to_disk = true, .extended = true, .by_dma = true}},
    {Kind::disk,
     0x39,
     0x39,
     Operation::transfer,
     {.to_disk = true, .extended = true, .multiple = true}},
    {Kind::disk, 0x40, 0x41, Operation::verify},
    {Kind::disk, 0x42, 0x42, Operation::verify, {.extended = true}},
    {Kind::disk, 0x70, 0x7f, Operation::nothing},  // SEEK
    {Kind::disk, 0x91, 0x91, Operation::set_geometry},
    {Kind::disk, 0x94, 0x97, Operation::nothing},  // STANDBY and IDLE, IMMEDIATE or by a timer
    {Kind::disk, 0x98, 0x98, Operation::check_power},
    {Kind::disk, 0x99, 0x99, Operation::nothing},  // SLEEP
    {Kind::disk, 0xc4, 0xc4, Operation::transfer, {.multiple = true}},
    {Kind::disk, 0xc5, 0xc5, Operation::transfer, {.to_disk = true, .multiple = true}},
    {Kind::disk, 0xc6, 0xc6, Operation::set_multiple},
    {Kind::disk, 0xc8, 0xc9, Operation::transfer, {.by_dma = true}},
    {Kind::disk, 0xca, 0xcb, Operation::transfer, {.to_disk = true, .by_dma = true}},
    {Kind::disk, 0xe0, 0xe3, Operation::nothing},
    {Kind::disk, 0xe5, 0xe5, Operation::check_power},
    {Kind::disk, 0xe6, 0xe6, Operation::nothing},
    {Kind::disk, 0xe7, 0xe7, Operation::nothing},  // FLUSH CACHE: nothing is kept back
    {Kind::disk, 0xea, 0xea, Operation::nothing},
    {Kind::disk, 0xec, 0xec, Operation::identify},
    {Kind::disk, 0xef, 0xef, Operation::set_features},
    {Kind::cdrom, 0x08, 0x08, Operation::reset},
    {Kind::cdrom, 0x20, 0x20, Operation::refuse_with_signature},
    {Kind::cdrom, 0xa0, 0xa0, Operation::packet},
    {Kind::cdrom, 0xa1, 0xa1, Operation::identify},
    {Kind::cdrom, 0xe0, 0xe3, Operation::nothing},
    {Kind::cdrom, 0xe5, 0xe5, Operation::check_power},
    {Kind::cdrom, 0xe6, 0xe6, Operation::nothing},
    {Kind::cdrom, 0xec, 0xec, Operation::refuse_with_signature},
    {Kind::cdrom, 0xef, 0xef, Operation::set_features},
};

void AtaDrive::command(std::uint8_t code, DiskPort& disks) {
  interrupt_ = false;
  phase_ = Phase::idle;
  answers_packet_ = false;
  left_ = 0;
  const auto* const row = std::find_if(
      std::begin(commands), std::end(commands),
      [&](const CommandRow& r) { return r.kind == kind_ && code >= r.first && code <= r.last; });
  if (row == std::end(commands)) return fail(error::aborted);
  switch (row->operation) {
    case Operation::transfer:
      return transfer(row->way, disks);
    case Operation::verify:
      return verify(row->way.extended);
    case Operation::nothing:
      return succeed();
    case Operation::check_power:
      count_.value = power_active;
      return succeed();
    case Operation::set_multiple:
      return set_multiple();
    case Operation::set_geometry:
      return set_geometry();
    case Operation::set_features:
      return set_features();
    case Operation::identify:
      return identify(disks);
    case Operation::packet:
      return begin_packet(disks);
    case Operation::reset: {
      const std::uint8_t kept = device_;
      reset();
      device_ = kept;
      return;
    }
    case Operation::refuse_with_signature:
      set_signature();
      return fail(error::aborted);
    case Operation::refuse:
      return fail(error::aborted);
  }
}

// Cylinder, head and sector as INITIALIZE DEVICE PARAMETERS has set the geometry; sectors count
// from 1.
std::optional<std::uint32_t> AtaDrive::addressed_by_head() const {
  const std::uint32_t cylinder = high_.value << 8 | mid_.value;
  const std::uint32_t head = device_ & device::head;
  const std::uint32_t sector = low_.value;
  if (sector == 0 || sector > sectors_per_track_ || head >= heads_) return std::nullopt;
  return (cylinder * heads_ + head) * sectors_per_track_ + sector - 1;
}

// The sectors that a command is about; empty if some of them are not there.
std::optional<AtaDrive::SectorRange> AtaDrive::addressed(bool extended) const {
  SectorRange range;
  if (extended) {
    if (mid_.previous != 0 || high_.previous != 0) return std::nullopt;  // 2^32 and more
    range.first = std::uint32_t{low_.previous} << 24 | std::uint32_t{high_.value} << 16 |
                  std::uint32_t{mid_.value} << 8 | low_.value;
    range.count = std::uint32_t{count_.previous} << 8 | count_.value;
    if (range.count == 0) range.count = 0x10000;
  } else {
    range.count = count_.value != 0 ? count_.value : 0x100u;
    if ((device_ & device::lba) != 0) {
      range.first = static_cast<std::uint32_t>(device_ & device::head) << 24 |
                    std::uint32_t{high_.value} << 16 | std::uint32_t{mid_.value} << 8 | low_.value;
    } else {
      const auto first = addressed_by_head();
      if (!first) return std::nullopt;
      range.first = *first;
    }
  }
  if (range.first >= sectors_ || range.count > sectors_ - range.first) return std::nullopt;
  return range;
}

void AtaDrive::transfer(const Way& way, DiskPort& disks) {
  if (way.multiple && multiple_ == 0) return fail(error::aborted);
  const auto range = addressed(way.extended);
  if (!range) return fail(error::not_found);
  next_sector_ = range->first;
  const std::uint32_t block = (way.multiple ? multiple_ : 1u) * disk_sector_bytes;
  begin_transfer(way.to_disk ? Phase::out : Phase::in, Source::disk,
                 range->count * disk_sector_bytes, block, way.by_dma, disks);
}

void AtaDrive::verify(bool extended) {
  if (!addressed(extended)) return fail(error::not_found);
  succeed();
}

void AtaDrive::set_multiple() {
  const std::uint32_t count = count_.value;
  if (count > most_multiple || (count & (count - 1)) != 0) return fail(error::aborted);
  multiple_ = static_cast<std::uint8_t>(count);
  succeed();
}

void AtaDrive::set_geometry() {
  if (count_.value == 0) return fail(error::aborted);
  sectors_per_track_ = count_.value;
  heads_ = static_cast<std::uint8_t>((device_ & device::head) + 1);
  succeed();
}

// Count: 0 and 1 the default PIO mode, 8 to 12 PIO, 0x20 to 0x22 multiword DMA, 0x40 to 0x42 ultra
// DMA; how fast the host's side is makes no difference.
bool AtaDrive::set_transfer_mode(std::uint8_t mode) {
  const bool pio = mode <= 0x01 || (mode >= 0x08 && mode <= 0x0c);
  const bool by_dma = (mode & 0x9f) <= 2 && mode >= 0x20 && mode < 0x60;
  if (by_dma) mode_ = mode;
  return pio || by_dma;
}

// ATA/ATAPI-6, 8.46.
void AtaDrive::set_features() {
  switch (features_.value) {
    case 0x02:
    case 0x82:
      write_cache_ = features_.value == 0x02;
      return succeed();
    case 0x03:
      if (!set_transfer_mode(count_.value)) return fail(error::aborted);
      return succeed();
    case 0x55:
    case 0xaa:
      look_ahead_ = features_.value == 0xaa;
      return succeed();
    case 0x66:  // keep settings over a software reset, which we do
    case 0xcc:
      return succeed();
    default:
      return fail(error::aborted);
  }
}

}  // namespace undercroft
