// Names of the ATA command block: register offsets and the bits of status, error and device
// control. Source: ANSI X3.298 (ATA-3) and T13/1410D (ATA/ATAPI-6), section 7.
#pragma once

#include <cstdint>

namespace undercroft::ata {

// Offsets in the command block, 0x1f0 or 0x170. Errors are read where features are written, and
// the status where commands are.
inline constexpr unsigned reg_data = 0, reg_error = 1, reg_features = 1, reg_count = 2, reg_low = 3,
                          reg_mid = 4, reg_high = 5, reg_device = 6, reg_status = 7,
                          reg_command = 7;

namespace status {
inline constexpr std::uint8_t busy = 0x80, ready = 0x40, fault = 0x20, seek_complete = 0x10,
                              data_request = 0x08, error = 0x01;
}
namespace error {
inline constexpr std::uint8_t not_found = 0x10, aborted = 0x04, passed = 0x01;
}
namespace device {
inline constexpr std::uint8_t second = 0x10, lba = 0x40, head = 0x0f, always = 0xa0;
}
namespace control {
inline constexpr std::uint8_t no_interrupt = 0x02, reset = 0x04, high_order = 0x80;
}
// The count register during a packet command: what the data or the status phase is about.
namespace reason {
inline constexpr std::uint8_t command = 0x01, to_host = 0x02;
}

}  // namespace undercroft::ata
