// The definition block of the DSDT without its header: what an operating system cannot find out by
// itself about this PC, in ACPI Machine Language.
#pragma once

#include <cstdint>
#include <span>

namespace undercroft {

std::span<const std::uint8_t> dsdt_definitions(bool hpet);

}  // namespace undercroft
