// What the guest has changed on disks that are to be saved, as a stream of checked records for
// whoever keeps the disks' files (tools/croft/disks.py reads it). All numbers are little endian:
//
//   magic "UDSK", disk, block, bytes, check: 32 bits each; then the block's bytes.
//
// disk counts the disks of the machine from 0, block counts 4096 bytes from the disk's start; a
// disk's last block may be shorter. check is the CRC-32 (ISO 3309) of the first 16 bytes of the
// record and of the block. The last record has disk 0xffffffff, the number of records before it as
// its block, and no bytes. A stream without it is not whole.
#pragma once

#include <cstdint>

#include "device_ports.hpp"
#include "disk_store.hpp"

namespace undercroft {

// How many blocks of how many disks were sent.
struct SavedDisks {
  std::uint32_t disks = 0, blocks = 0;
};
SavedDisks save_disks(DiskStore&, CharacterSink&);

}  // namespace undercroft
