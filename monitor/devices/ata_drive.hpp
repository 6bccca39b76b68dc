// A drive on an ATA channel: a disk, or a CD-ROM that is spoken to by packets. It knows registers,
// commands and the transfer under way. Which of a channel's two drives is meant is
// ata_channel.hpp's business, bus-master DMA ide_bus_master.hpp's; the contents come from the disk
// port. Commands are done at once: a drive is never seen busy. Sources: ATA/ATAPI-6 (T13/1410D);
// for packets SFF-8020i, MMC-3 and SPC-2.
//
// ata_drive.cpp has the registers and transfers, ata_commands.cpp a disk's commands,
// ata_identify.cpp the answers to IDENTIFY, atapi.cpp the packets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "device_ports.hpp"

namespace undercroft {

class AtaDrive {
 public:
  enum class Kind : std::uint8_t { absent, disk, cdrom };
  // A packet's answer must fit; a sector of a CD is the largest.
  static constexpr unsigned buffer_bytes = 2048;

  // Makes it the drive of this disk, as after power-on.
  void attach(unsigned disk, const DiskInformation&);
  bool present() const { return kind_ != Kind::absent; }
  std::uint32_t disk_sectors() const { return kind_ == Kind::disk ? sectors_ : 0; }

  // Power-on, software reset and EXECUTE DEVICE DIAGNOSTIC: registers get the drive's signature.
  void reset();

  // The command block, offsets 1 to 6. high_order: the value before the last written one.
  std::uint8_t read(unsigned offset, bool high_order) const;
  void write(unsigned offset, std::uint8_t value);
  std::uint8_t status() const { return status_; }
  void command(std::uint8_t code, DiskPort&);

  // The request for an interrupt, until status is read or a command comes.
  bool requests_interrupt() const { return interrupt_; }
  void acknowledge_interrupt() { interrupt_ = false; }
  void request_interrupt() { interrupt_ = interrupt_rose_ = true; }
  // Whether it has been made since this was asked: a new edge, though the line may have been up.
  bool take_interrupt_rise() {
    const bool rose = interrupt_rose_;
    interrupt_rose_ = false;
    return rose;
  }

  // The data register, size 2 or 4. Ones if there is nothing to read.
  std::uint32_t read_data(unsigned size, DiskPort&);
  void write_data(std::uint32_t value, unsigned size, DiskPort&);

  // The same again and again.
  void read_data(unsigned size, std::span<std::byte>, DiskPort&);
  void write_data(unsigned size, std::span<const std::byte>, DiskPort&);

  // The transfer by DMA that the drive waits for, and the piece of its buffer that is next: filled,
  // or to be filled. Never empty while it waits. moved() says how much of it was.
  enum class Dma : std::uint8_t { none, to_memory, from_memory };
  Dma dma() const;
  std::span<std::byte> window();
  void moved(std::size_t bytes, DiskPort&);

 private:
  enum class Phase : std::uint8_t { idle, packet, in, out };
  enum class Source : std::uint8_t { buffer, disk };  // of what goes to the host

  // What a command does; the table in ata_commands.cpp says which does what.
  enum class Operation : std::uint8_t {
    transfer,
    verify,
    nothing,
    check_power,
    set_multiple,
    set_geometry,
    set_features,
    identify,
    packet,
    reset,
    refuse_with_signature,
    refuse,
  };
  // How a disk's command moves data.
  struct Way {
    bool to_disk = false;
    bool extended = false;  // a 48-bit command
    bool multiple = false;  // a data request for several sectors
    bool by_dma = false;
  };
  struct CommandRow;
  static const CommandRow commands[];

  // A register is two deep: a 48-bit command takes both values.
  struct Register {
    std::uint8_t value = 0, previous = 0;
  };
  struct SectorRange {
    std::uint32_t first = 0, count = 0;
  };

  // Transfers.
  void begin_transfer(Phase, Source, std::uint32_t bytes, std::uint32_t block, bool by_dma,
                      DiskPort&);
  void begin_block();
  void begin_chunk(DiskPort&);
  bool end_chunk(DiskPort&);
  void finish();
  void complete();
  void succeed();
  void fail(std::uint8_t error);

  // A disk's commands.
  std::optional<SectorRange> addressed(bool extended) const;
  std::optional<std::uint32_t> addressed_by_head() const;
  void transfer(const Way&, DiskPort&);
  void verify(bool extended);
  void set_multiple();
  void set_geometry();
  void set_features();
  bool set_transfer_mode(std::uint8_t mode);
  void identify(DiskPort&);
  void set_signature();

  // IDENTIFY's words.
  void put_word(unsigned index, std::uint32_t value);
  void put_text(unsigned first_word, unsigned words, const char* text);
  void identify_disk();
  void identify_cdrom();
  void put_transfer_modes();

  // Packets.
  struct PacketRow;
  static const PacketRow packets[];
  void begin_packet(DiskPort&);
  void run_packet(DiskPort&);
  void send(Source, std::uint32_t bytes, DiskPort&);
  void answer(std::uint32_t bytes, std::uint32_t allowed, DiskPort&);
  void end_packet();
  void refuse_packet(std::uint8_t key, std::uint8_t code, std::uint8_t qualifier = 0);
  std::uint32_t packet_number(unsigned offset, unsigned bytes) const;
  void put_byte(unsigned offset, std::uint32_t value);
  void put_number(unsigned offset, std::uint32_t value, unsigned bytes);
  void test_ready(DiskPort&);
  void request_sense(DiskPort&);
  void inquiry(DiskPort&);
  void start_stop(DiskPort&);
  void prevent_removal(DiskPort&);
  void read_capacity(DiskPort&);
  void seek(DiskPort&);
  void read_10(DiskPort&);
  void read_12(DiskPort&);
  void read_blocks(std::uint32_t first, std::uint32_t count, DiskPort&);
  void read_toc(DiskPort&);
  void put_track(unsigned offset, std::uint8_t track, std::uint8_t control, std::uint32_t block);
  void get_configuration(DiskPort&);
  void get_event(DiskPort&);
  void mode_sense(DiskPort&);
  unsigned put_mode_page(unsigned offset, std::uint8_t page);
  std::uint32_t blocks() const { return sectors_ / 4; }

  Kind kind_ = Kind::absent;
  std::uint8_t disk_ = 0;      // its number at the disk port
  std::uint32_t sectors_ = 0;  // of 512 bytes

  Register features_{}, count_{}, low_{}, mid_{}, high_{};
  std::uint8_t device_ = 0;
  std::uint8_t status_ = 0;
  std::uint8_t error_ = 0;
  bool interrupt_ = false, interrupt_rose_ = false;

  std::uint8_t multiple_ = 0;  // sectors in a data request of READ MULTIPLE; 0: not set
  std::uint8_t heads_ = 16, sectors_per_track_ = 63;
  std::uint8_t mode_ = 0;  // the last SET TRANSFER MODE
  bool write_cache_ = true, look_ahead_ = true;

  Phase phase_ = Phase::idle;
  Source source_ = Source::buffer;
  bool by_dma_ = false;
  bool answers_packet_ = false;
  std::uint32_t left_ = 0;         // bytes of the transfer
  std::uint32_t block_ = 0;        // bytes of a data request
  std::uint32_t block_left_ = 0;   // bytes of this one
  std::uint32_t next_sector_ = 0;  // of the disk, behind the buffer
  std::uint16_t position_ = 0;     // in the buffer
  std::uint16_t chunk_ = 0;        // bytes of the buffer that are in use
  alignas(4) std::array<std::byte, buffer_bytes> buffer_{};

  std::array<std::uint8_t, 12> packet_{};
  std::uint8_t sense_key_ = 0, sense_code_ = 0, sense_qualifier_ = 0;
  bool packet_by_dma_ = false;
  std::uint32_t packet_limit_ = 0;  // bytes of a data request
  bool ejected_ = false, removal_prevented_ = false;
  bool changed_ = false;          // the medium was put in: the next command is told
  std::uint8_t media_event_ = 0;  // what GET EVENT STATUS tells once
};

}  // namespace undercroft
