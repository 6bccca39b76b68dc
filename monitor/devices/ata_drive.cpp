#include "ata_drive.hpp"

#include <algorithm>
#include <cstring>

#include "ata_registers.hpp"

namespace undercroft {

using namespace ata;

void AtaDrive::attach(unsigned disk, const DiskInformation& information) {
  kind_ = information.kind == DiskKind::cdrom ? Kind::cdrom : Kind::disk;
  disk_ = static_cast<std::uint8_t>(disk);
  sectors_ = information.sectors;
  reset();
}

void AtaDrive::reset() {
  phase_ = Phase::idle;
  left_ = block_left_ = 0;
  interrupt_ = false;
  error_ = error::passed;
  status_ = kind_ == Kind::disk ? status::ready | status::seek_complete : 0;
  sense_key_ = sense_code_ = sense_qualifier_ = 0;
  removal_prevented_ = false;
  device_ = 0;
  set_signature();
}

// ATA/ATAPI-6, 9.12.
void AtaDrive::set_signature() {
  count_ = low_ = {1, 0};
  mid_ = {static_cast<std::uint8_t>(kind_ == Kind::cdrom ? 0x14 : 0), 0};
  high_ = {static_cast<std::uint8_t>(kind_ == Kind::cdrom ? 0xeb : 0), 0};
}

std::uint8_t AtaDrive::read(unsigned offset, bool high_order) const {
  const auto pick = [high_order](const Register& r) { return high_order ? r.previous : r.value; };
  switch (offset) {
    case reg_error:
      return error_;
    case reg_count:
      return pick(count_);
    case reg_low:
      return pick(low_);
    case reg_mid:
      return pick(mid_);
    case reg_high:
      return pick(high_);
    case reg_device:
      return device_ | device::always;
    default:
      return status_;
  }
}

void AtaDrive::write(unsigned offset, std::uint8_t value) {
  const auto push = [value](Register& r) { r = {value, r.value}; };
  switch (offset) {
    case reg_features:
      return push(features_);
    case reg_count:
      return push(count_);
    case reg_low:
      return push(low_);
    case reg_mid:
      return push(mid_);
    case reg_high:
      return push(high_);
    case reg_device:
      device_ = value;
      return;
    default:
      return;
  }
}

void AtaDrive::complete() {
  phase_ = Phase::idle;
  status_ = status::ready | status::seek_complete;
  error_ = 0;
}

void AtaDrive::succeed() {
  complete();
  request_interrupt();
}

void AtaDrive::fail(std::uint8_t error) {
  phase_ = Phase::idle;
  status_ = status::ready | status::seek_complete | status::error;
  error_ = error;
  request_interrupt();
}

// Data comes in data requests of `block` bytes, each with an interrupt: before it is read, or after
// it has been written. By DMA there is one request, and an interrupt at the end.
void AtaDrive::begin_transfer(Phase phase, Source source, std::uint32_t bytes, std::uint32_t block,
                              bool by_dma, DiskPort& disks) {
  phase_ = phase;
  source_ = source;
  by_dma_ = by_dma;
  left_ = bytes;
  block_ = by_dma ? bytes : block;
  position_ = chunk_ = 0;
  error_ = 0;
  status_ = status::ready | status::seek_complete | status::data_request;
  begin_block();
  begin_chunk(disks);
  if (phase == Phase::in && !by_dma) request_interrupt();
}

void AtaDrive::begin_block() {
  block_left_ = std::min(block_, left_);
  if (!answers_packet_) return;
  count_.value = reason::to_host;
  mid_.value = static_cast<std::uint8_t>(block_left_);
  high_.value = static_cast<std::uint8_t>(block_left_ >> 8);
}

// What a data request takes must be on the disk before its interrupt, so a chunk does not go
// beyond.
void AtaDrive::begin_chunk(DiskPort& disks) {
  const std::uint32_t most = phase_ == Phase::out ? block_left_ : left_;
  position_ = 0;
  chunk_ = static_cast<std::uint16_t>(std::min<std::uint32_t>(most, buffer_bytes));
  if (phase_ != Phase::in || source_ != Source::disk) return;
  // The command has checked that the sectors are there.
  disks.read_disk(disk_, next_sector_, std::span(buffer_).first(chunk_));
  next_sector_ += chunk_ / disk_sector_bytes;
}

bool AtaDrive::end_chunk(DiskPort& disks) {
  if (phase_ != Phase::out) return true;
  const std::uint32_t sector = next_sector_;
  next_sector_ += chunk_ / disk_sector_bytes;
  return disks.write_disk(disk_, sector, std::span(buffer_).first(chunk_));
}

AtaDrive::Dma AtaDrive::dma() const {
  if (!by_dma_ || left_ == 0) return Dma::none;
  switch (phase_) {
    case Phase::in:
      return Dma::to_memory;
    case Phase::out:
      return Dma::from_memory;
    case Phase::idle:
    case Phase::packet:
      return Dma::none;
  }
  return Dma::none;
}

std::span<std::byte> AtaDrive::window() {
  const auto in_chunk = static_cast<std::uint32_t>(chunk_ - position_);
  return std::span(buffer_).subspan(position_, std::min(in_chunk, block_left_));
}

void AtaDrive::moved(std::size_t bytes, DiskPort& disks) {
  const auto count = static_cast<std::uint32_t>(bytes);
  position_ = static_cast<std::uint16_t>(position_ + count);
  left_ -= count;
  block_left_ -= count;
  if (phase_ == Phase::packet) {
    if (left_ == 0) run_packet(disks);
    return;
  }
  const bool chunk_done = position_ == chunk_;
  if (chunk_done && !end_chunk(disks)) return fail(error::aborted);
  if (left_ == 0) return finish();
  if (block_left_ == 0) {
    begin_block();
    request_interrupt();
  }
  if (chunk_done) begin_chunk(disks);
}

// A disk's last data request to the host has had its interrupt; a packet has one more, for its end.
void AtaDrive::finish() {
  if (answers_packet_) return end_packet();
  if (phase_ == Phase::in && !by_dma_) return complete();
  succeed();
}

// Whole elements straight from the buffer, what is left of it by the register.
void AtaDrive::read_data(unsigned size, std::span<std::byte> out, DiskPort& disks) {
  while (!out.empty()) {
    std::size_t bytes = 0;
    if (phase_ == Phase::in && !by_dma_) {
      bytes = std::min(window().size(), out.size()) & ~std::size_t{size - 1};
    }
    if (bytes != 0) {
      std::memcpy(out.data(), window().data(), bytes);
      moved(bytes, disks);
    } else {
      bytes = size;
      const std::uint32_t value = read_data(size, disks);
      std::memcpy(out.data(), &value, size);
    }
    out = out.subspan(bytes);
  }
}

void AtaDrive::write_data(unsigned size, std::span<const std::byte> in, DiskPort& disks) {
  while (!in.empty()) {
    std::size_t bytes = 0;
    if (phase_ == Phase::out && !by_dma_) {
      bytes = std::min(window().size(), in.size()) & ~std::size_t{size - 1};
    }
    if (bytes != 0) {
      std::memcpy(window().data(), in.data(), bytes);
      moved(bytes, disks);
    } else {
      bytes = size;
      std::uint32_t value = 0;
      std::memcpy(&value, in.data(), size);
      write_data(value, size, disks);
    }
    in = in.subspan(bytes);
  }
}

std::uint32_t AtaDrive::read_data(unsigned size, DiskPort& disks) {
  if (phase_ != Phase::in || by_dma_) return ~0u >> (32 - 8 * size);
  std::uint32_t value = 0;
  unsigned done = 0;
  // A word is padded at the end of an odd answer, and an access stays in its data request.
  bool same_block = true;
  while (done < size && same_block) {
    const auto part = window().first(std::min<std::size_t>(window().size(), size - done));
    std::memcpy(reinterpret_cast<std::byte*>(&value) + done, part.data(), part.size());
    done += static_cast<unsigned>(part.size());
    same_block = part.size() < block_left_;
    moved(part.size(), disks);
  }
  return value;
}

void AtaDrive::write_data(std::uint32_t value, unsigned size, DiskPort& disks) {
  unsigned done = 0;
  while (done < size && (phase_ == Phase::out || phase_ == Phase::packet) && !by_dma_) {
    const auto part = window().first(std::min<std::size_t>(window().size(), size - done));
    std::memcpy(part.data(), reinterpret_cast<const std::byte*>(&value) + done, part.size());
    done += static_cast<unsigned>(part.size());
    const bool same_block = part.size() < block_left_;
    moved(part.size(), disks);
    if (!same_block) return;
  }
}

}  // namespace undercroft
