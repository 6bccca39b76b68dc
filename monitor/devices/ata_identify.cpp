// What a drive says of itself: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6, 8.15 and
// 8.16), word by word.
#include <algorithm>

#include "ata_drive.hpp"

namespace undercroft {
namespace {

constexpr std::uint32_t identify_bytes = 512;
constexpr std::uint32_t most_cylinders = 16383, default_heads = 16, default_sectors = 63;
constexpr std::uint32_t most_lba28 = 0x0fffffff;
constexpr std::uint16_t versions = 0x0070;  // ATA/ATAPI-4 to -6
constexpr std::uint16_t has_write_cache = 0x0020, has_look_ahead = 0x0040;
constexpr std::uint16_t has_packets = 0x0010, has_device_reset = 0x0200;
constexpr std::uint16_t has_flush = 0x1000, has_flush_extended = 0x2000, has_48_bits = 0x0400;
constexpr std::uint16_t valid_word = 0x4000;  // bit 14 set and bit 15 clear: the word tells

}  // namespace

void AtaDrive::put_word(unsigned index, std::uint32_t value) {
  buffer_[2 * index] = static_cast<std::byte>(value);
  buffer_[2 * index + 1] = static_cast<std::byte>(value >> 8);
}

// The first of two characters is in the high byte; blanks fill the rest.
void AtaDrive::put_text(unsigned first_word, unsigned words, const char* text) {
  for (unsigned i = 0; i < words; ++i) {
    const auto next = [&text] { return static_cast<std::uint32_t>(*text != 0 ? *text++ : ' '); };
    const std::uint32_t high = next();
    put_word(first_word + i, high << 8 | next());
  }
}

void AtaDrive::identify(DiskPort& disks) {
  buffer_.fill(std::byte{0});
  const bool is_disk = kind_ == Kind::disk;
  is_disk ? identify_disk() : identify_cdrom();
  const char serial[] = {'U', 'C', static_cast<char>('0' + disk_), 0};
  put_text(10, 10, serial);
  put_text(23, 4, "1.0");
  put_text(27, 20, is_disk ? "Undercroft disk" : "Undercroft CD-ROM");
  put_transfer_modes();
  put_word(80, versions);
  begin_transfer(Phase::in, Source::buffer, identify_bytes, identify_bytes, false, disks);
}

void AtaDrive::put_transfer_modes() {
  const unsigned chosen = mode_ & 7;
  put_word(49, 0x0f00);  // DMA, LBA, IORDY
  put_word(51, 0x0200);  // PIO mode 2 without IORDY
  put_word(53, 0x0007);  // words 54 to 58, 64 to 70 and 88 are valid
  put_word(63, 0x0007 | ((mode_ & 0xf8) == 0x20 ? 0x100u << chosen : 0));
  put_word(64, 0x0003);                                              // PIO modes 3 and 4
  for (unsigned word = 65; word <= 68; ++word) put_word(word, 120);  // nanoseconds a cycle
  put_word(88, 0x0007 | ((mode_ & 0xf8) == 0x40 ? 0x100u << chosen : 0));
}

void AtaDrive::identify_disk() {
  const std::uint32_t track = default_heads * default_sectors;
  put_word(0, 0x0040);  // fixed
  put_word(1, std::clamp<std::uint32_t>(sectors_ / track, 1, most_cylinders));
  put_word(3, default_heads);
  put_word(6, default_sectors);
  put_word(47, 0x8010);  // READ MULTIPLE: up to 16 sectors
  put_word(50, valid_word);
  const std::uint32_t cylinder = std::uint32_t{heads_} * sectors_per_track_;
  const std::uint32_t cylinders = std::clamp<std::uint32_t>(sectors_ / cylinder, 1, 65535);
  const std::uint32_t reached = cylinders * cylinder;
  put_word(54, cylinders);
  put_word(55, heads_);
  put_word(56, sectors_per_track_);
  put_word(57, reached);
  put_word(58, reached >> 16);
  put_word(59, multiple_ != 0 ? 0x0100u | multiple_ : 0);
  const std::uint32_t lba28 = std::min(sectors_, most_lba28);
  put_word(60, lba28);
  put_word(61, lba28 >> 16);
  put_word(82, has_write_cache | has_look_ahead);
  put_word(83, valid_word | has_flush | has_flush_extended | has_48_bits);
  put_word(84, valid_word);
  put_word(85, (write_cache_ ? has_write_cache : 0u) | (look_ahead_ ? has_look_ahead : 0u));
  put_word(86, has_flush | has_flush_extended | has_48_bits);
  put_word(87, valid_word);
  put_word(100, sectors_);
  put_word(101, sectors_ >> 16);
}

void AtaDrive::identify_cdrom() {
  // Packets of 12 bytes to a removable CD-ROM drive, asked for within 50 microseconds.
  put_word(0, 0x85c0);
  put_word(82, has_packets | has_device_reset);
  put_word(83, valid_word);
  put_word(84, valid_word);
  put_word(85, has_packets | has_device_reset);
  put_word(87, valid_word);
}

}  // namespace undercroft
