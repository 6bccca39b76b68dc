// A CD-ROM drive's packets: how they come and how they end (SFF-8020i, ATA/ATAPI-6 8.23), and the
// commands in them that are about the drive and its contents (MMC-3, SPC-2). What tells of the
// drive's make and state at length is in atapi_pages.cpp.
#include <algorithm>
#include <cstring>

#include "ata_drive.hpp"
#include "ata_registers.hpp"

namespace undercroft {

using namespace ata;

struct AtaDrive::PacketRow {
  std::uint8_t code = 0;
  bool needs_medium = false;
  bool tells_changes = false;  // a changed medium is told in its place
  void (AtaDrive::*run)(DiskPort&) = nullptr;
};

constexpr AtaDrive::PacketRow AtaDrive::packets[] = {
    {0x00, true, true, &AtaDrive::test_ready},
    {0x03, false, false, &AtaDrive::request_sense},
    {0x12, false, false, &AtaDrive::inquiry},
    {0x1b, false, true, &AtaDrive::start_stop},
    {0x1e, false, true, &AtaDrive::prevent_removal},
    {0x25, true, true, &AtaDrive::read_capacity},
    {0x28, true, true, &AtaDrive::read_10},
    {0x2b, true, true, &AtaDrive::seek},
    {0x43, true, true, &AtaDrive::read_toc},
    {0x46, false, false, &AtaDrive::get_configuration},
    {0x4a, false, false, &AtaDrive::get_event},
    {0x5a, false, true, &AtaDrive::mode_sense},
    {0xa8, true, true, &AtaDrive::read_12},
};

namespace {

constexpr std::uint32_t packet_bytes = 12;
constexpr std::uint32_t most_request = 0xfffe;  // bytes of a data request
constexpr std::uint32_t block_bytes = 2048;
constexpr std::uint8_t features_dma = 0x01, features_overlap = 0x02;

// Sense keys, and additional codes with their qualifiers (SPC-2, annex C).
constexpr std::uint8_t not_ready = 2, illegal_request = 5, unit_attention = 6;
constexpr std::uint8_t no_medium = 0x3a, medium_changed = 0x28, unknown_command = 0x20;
constexpr std::uint8_t out_of_range = 0x21, wrong_field = 0x24, removal_is_prevented = 0x53;
constexpr std::uint8_t tray_open = 2;

constexpr std::uint8_t event_new_medium = 2, event_removal = 3;  // MMC-3, table 62

}  // namespace

void AtaDrive::begin_packet(DiskPort& disks) {
  if ((features_.value & features_overlap) != 0) return fail(error::aborted);
  packet_by_dma_ = (features_.value & features_dma) != 0;
  const std::uint32_t limit = (std::uint32_t{high_.value} << 8 | mid_.value) & ~1u;
  packet_limit_ = limit != 0 ? limit : most_request;
  begin_transfer(Phase::packet, Source::buffer, packet_bytes, packet_bytes, false, disks);
  count_.value = reason::command;
}

void AtaDrive::run_packet(DiskPort& disks) {
  std::memcpy(packet_.data(), buffer_.data(), packet_bytes);
  buffer_.fill(std::byte{0});
  const auto* const row = std::find_if(std::begin(packets), std::end(packets),
                                       [this](const PacketRow& r) { return r.code == packet_[0]; });
  if (row == std::end(packets)) return refuse_packet(illegal_request, unknown_command);
  if (changed_ && row->tells_changes) {
    changed_ = false;
    return refuse_packet(unit_attention, medium_changed);
  }
  if (row->needs_medium && ejected_) return refuse_packet(not_ready, no_medium, tray_open);
  (this->*row->run)(disks);
}

// Data for the host, in data requests or by DMA as the packet came; then the status.
void AtaDrive::send(Source source, std::uint32_t bytes, DiskPort& disks) {
  if (bytes == 0) return end_packet();
  answers_packet_ = true;
  begin_transfer(Phase::in, source, bytes, packet_limit_, packet_by_dma_, disks);
}

void AtaDrive::answer(std::uint32_t bytes, std::uint32_t allowed, DiskPort& disks) {
  send(Source::buffer, std::min(bytes, allowed), disks);
}

void AtaDrive::end_packet() {
  answers_packet_ = false;
  succeed();
  if (packet_[0] != 0x03) sense_key_ = sense_code_ = sense_qualifier_ = 0;
  count_.value = reason::command | reason::to_host;
}

void AtaDrive::refuse_packet(std::uint8_t key, std::uint8_t code, std::uint8_t qualifier) {
  answers_packet_ = false;
  sense_key_ = key;
  sense_code_ = code;
  sense_qualifier_ = qualifier;
  fail(static_cast<std::uint8_t>(key << 4 | error::aborted));
  count_.value = reason::command | reason::to_host;
}

// Numbers in packets and answers have their high byte first.
std::uint32_t AtaDrive::packet_number(unsigned offset, unsigned bytes) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value = value << 8 | packet_[offset + i];
  return value;
}

void AtaDrive::put_byte(unsigned offset, std::uint32_t value) {
  buffer_[offset] = static_cast<std::byte>(value);
}

void AtaDrive::put_number(unsigned offset, std::uint32_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) put_byte(offset + i, value >> 8 * (bytes - 1 - i));
}

void AtaDrive::test_ready(DiskPort&) { end_packet(); }

void AtaDrive::request_sense(DiskPort& disks) {
  if (changed_ && sense_key_ == 0) {
    sense_key_ = unit_attention;
    sense_code_ = medium_changed;
    changed_ = false;
  }
  put_byte(0, 0x70);
  put_byte(2, sense_key_);
  put_byte(7, 10);  // bytes that follow
  put_byte(12, sense_code_);
  put_byte(13, sense_qualifier_);
  sense_key_ = sense_code_ = sense_qualifier_ = 0;
  answer(18, packet_[4], disks);
}

// Bit 0 starts and bit 1 loads or ejects.
void AtaDrive::start_stop(DiskPort&) {
  const bool start = (packet_[4] & 1) != 0;
  const bool moves_tray = (packet_[4] & 2) != 0;
  if (moves_tray && !start && removal_prevented_ && !ejected_) {
    return refuse_packet(illegal_request, removal_is_prevented, 2);
  }
  if (moves_tray && ejected_ == start) {
    ejected_ = !start;
    changed_ = start;
    media_event_ = start ? event_new_medium : event_removal;
  }
  end_packet();
}

void AtaDrive::prevent_removal(DiskPort&) {
  removal_prevented_ = (packet_[4] & 1) != 0;
  end_packet();
}

void AtaDrive::read_capacity(DiskPort& disks) {
  put_number(0, blocks() - 1, 4);
  put_number(4, block_bytes, 4);
  answer(8, 8, disks);
}

void AtaDrive::seek(DiskPort&) {
  if (packet_number(2, 4) >= blocks()) return refuse_packet(illegal_request, out_of_range);
  end_packet();
}

void AtaDrive::read_10(DiskPort& disks) {
  read_blocks(packet_number(2, 4), packet_number(7, 2), disks);
}

void AtaDrive::read_12(DiskPort& disks) {
  read_blocks(packet_number(2, 4), packet_number(6, 4), disks);
}

void AtaDrive::read_blocks(std::uint32_t first, std::uint32_t count, DiskPort& disks) {
  if (first > blocks() || count > blocks() - first) {
    return refuse_packet(illegal_request, out_of_range);
  }
  next_sector_ = first * (block_bytes / disk_sector_bytes);
  send(Source::disk, count * block_bytes, disks);
}

// Addresses are numbers of blocks, or minutes, seconds and frames (75 a second) from the start of
// the disc, two seconds before block 0.
void AtaDrive::put_track(unsigned offset, std::uint8_t track, std::uint8_t control,
                         std::uint32_t block) {
  put_byte(offset + 1, control);
  put_byte(offset + 2, track);
  const bool by_time = (packet_[1] & 2) != 0;
  const std::uint32_t frames = block + 150;
  const std::uint32_t time = (frames / (60 * 75)) << 16 | (frames / 75 % 60) << 8 | frames % 75;
  put_number(offset + 4, by_time ? time : block, 4);
}

// MMC-3, 5.23: one data track and the lead-out, or the one session. The format was elsewhere before
// MMC.
void AtaDrive::read_toc(DiskPort& disks) {
  constexpr std::uint8_t data_track = 0x14, lead_out = 0xaa;
  unsigned format = packet_[2] & 0x0f;
  if (format == 0) format = packet_[9] >> 6;
  const std::uint8_t start = packet_[6];
  unsigned end = 4;
  put_byte(2, 1);
  put_byte(3, 1);
  if (format == 1) {
    put_track(end, 1, data_track, 0);
    end += 8;
  } else if (format == 0 && (start <= 1 || start == lead_out)) {
    if (start <= 1) {
      put_track(end, 1, data_track, 0);
      end += 8;
    }
    put_track(end, lead_out, data_track, blocks());
    end += 8;
  } else {
    return refuse_packet(illegal_request, wrong_field);
  }
  put_number(0, end - 2, 2);
  answer(end, packet_number(7, 2), disks);
}

}  // namespace undercroft
