// What a CD-ROM drive tells of its make and state: INQUIRY (SPC-2), MODE SENSE, GET CONFIGURATION
// and GET EVENT STATUS NOTIFICATION (MMC-3).
#include <string_view>

#include "ata_drive.hpp"

namespace undercroft {
namespace {

constexpr std::uint8_t illegal_request = 5, wrong_field = 0x24, saving_unsupported = 0x39;
constexpr std::uint32_t profile_cd = 0x0008, profile_dvd = 0x0010;
constexpr std::uint32_t most_cd_blocks = 80 * 60 * 75;  // 80 minutes
constexpr std::uint8_t page_recovery = 0x01, page_capabilities = 0x2a, all_pages = 0x3f;
constexpr std::uint32_t speed = 706;  // kilobytes a second

}  // namespace

void AtaDrive::inquiry(DiskPort& disks) {
  if ((packet_[1] & 1) != 0) return refuse_packet(illegal_request, wrong_field);  // vital data
  constexpr std::string_view vendor_product_revision = "UNDRCRFTCD-ROM          1.0 ";
  put_byte(0, 0x05);  // a CD-ROM
  put_byte(1, 0x80);  // removable
  put_byte(3, 0x21);  // SFF-8020i
  put_byte(4, 31);    // bytes that follow
  unsigned offset = 8;
  for (const char c : vendor_product_revision) put_byte(offset++, static_cast<std::uint8_t>(c));
  answer(offset, packet_[4], disks);
}

// The page behind those before it; returns where it ends.
unsigned AtaDrive::put_mode_page(unsigned offset, std::uint8_t page) {
  const std::uint8_t bytes_behind = page == page_recovery ? 6 : 0x12;
  put_byte(offset, page);
  put_byte(offset + 1, bytes_behind);
  if (page == page_capabilities) {
    put_byte(offset + 4, 0x70);  // mode 2 forms 1 and 2, several sessions
    // A tray that can be locked and opened by command.
    put_byte(offset + 6, 0x29 | (removal_prevented_ ? 0x02 : 0));
    put_number(offset + 8, speed, 2);
    put_number(offset + 12, 128, 2);  // kilobytes of buffer
    put_number(offset + 14, speed, 2);
  }
  return offset + 2 + bytes_behind;
}

void AtaDrive::mode_sense(DiskPort& disks) {
  const std::uint8_t page = packet_[2] & 0x3f;
  const unsigned which_values = packet_[2] >> 6;  // 1: which can be changed (none), 3: saved
  if (which_values == 3) return refuse_packet(illegal_request, saving_unsupported);
  unsigned end = 8;
  for (const std::uint8_t known : {page_recovery, page_capabilities}) {
    if (page == known || page == all_pages) end = put_mode_page(end, known);
  }
  if (end == 8) return refuse_packet(illegal_request, wrong_field);
  put_number(0, end - 2, 2);
  put_byte(2, ejected_ ? 0x71 : 0x01);  // door open; a data disc
  answer(end, packet_number(7, 2), disks);
}

// MMC-3, 5.5: a header, then features by number. Bits 1 and 0 of the second byte of the packet:
// all, current ones only, or the one that is named.
void AtaDrive::get_configuration(DiskPort& disks) {
  const std::uint32_t profile = blocks() > most_cd_blocks ? profile_dvd : profile_cd;
  const unsigned which = packet_[1] & 3;
  const std::uint32_t start = packet_number(2, 2);
  const auto wanted = [&](std::uint32_t feature) {
    return which == 2 ? feature == start : feature >= start;
  };
  constexpr std::uint8_t current = 0x01, persistent = 0x02, version_2 = 0x08;
  unsigned end = 8;
  const auto add = [&](std::uint32_t feature, std::uint32_t flags, unsigned bytes) {
    put_number(end, feature, 2);
    put_byte(end + 2, flags);
    put_byte(end + 3, bytes);
    end += 4 + bytes;
    return end - bytes;
  };
  if (wanted(0)) {  // profile list
    const unsigned at = add(0, persistent | current, 8);
    put_number(at, profile_dvd, 2);
    put_byte(at + 2, profile == profile_dvd && !ejected_);
    put_number(at + 4, profile_cd, 2);
    put_byte(at + 6, profile == profile_cd && !ejected_);
  }
  if (wanted(1)) put_number(add(1, version_2 | persistent | current, 8), 2, 4);  // core: ATAPI
  if (wanted(3)) put_byte(add(3, persistent | current, 4), 0x29);                // removable, tray
  put_number(0, end - 4, 4);
  put_number(6, ejected_ ? 0 : profile, 2);
  answer(end, packet_number(7, 2), disks);
}

// MMC-3, 5.6. Only polling, and only of what happens to the medium.
void AtaDrive::get_event(DiskPort& disks) {
  constexpr std::uint8_t media_class = 4, no_event_available = 0x80;
  constexpr std::uint8_t medium_present = 0x02, tray_is_open = 0x01;
  if ((packet_[1] & 1) == 0) return refuse_packet(illegal_request, wrong_field);
  const bool asked = (packet_[4] & 1u << media_class) != 0;
  put_number(0, asked ? 6 : 2, 2);
  put_byte(2, asked ? media_class : no_event_available);
  put_byte(3, 1u << media_class);
  if (asked) {
    put_byte(4, media_event_);
    put_byte(5, ejected_ ? tray_is_open : medium_present);
    media_event_ = 0;
  }
  answer(asked ? 8 : 4, packet_number(7, 2), disks);
}

}  // namespace undercroft
