// Where the local APIC's registers are and what their bits mean: SDM volume 3, table 10-1 and the
// figures of chapter 10.
#pragma once

#include <cstdint>

#include "apic_message.hpp"

namespace undercroft::local_apic {

// Offsets in the page.
inline constexpr unsigned id = 0x020;
inline constexpr unsigned version = 0x030;
inline constexpr unsigned task_priority = 0x080;
inline constexpr unsigned arbitration_priority = 0x090;
inline constexpr unsigned processor_priority = 0x0a0;
inline constexpr unsigned end = 0x0b0;
inline constexpr unsigned remote_read = 0x0c0;
inline constexpr unsigned logical_destination = 0x0d0;
inline constexpr unsigned destination_format = 0x0e0;
inline constexpr unsigned spurious = 0x0f0;
inline constexpr unsigned in_service = 0x100;  // eight each
inline constexpr unsigned trigger_mode = 0x180;
inline constexpr unsigned requests = 0x200;
inline constexpr unsigned error_status = 0x280;
inline constexpr unsigned command_low = 0x300;
inline constexpr unsigned command_high = 0x310;
inline constexpr unsigned vector_table = 0x320;  // six, in the order of LocalApic::Lvt
inline constexpr unsigned vector_table_end = 0x380;
inline constexpr unsigned initial_count = 0x380;
inline constexpr unsigned current_count = 0x390;
inline constexpr unsigned divide = 0x3e0;

// IA32_APIC_BASE.
inline constexpr std::uint32_t base_boot_processor = 1u << 8;
inline constexpr std::uint32_t base_enable = 1u << 11;

// An integrated APIC of the xAPIC kind with entries 0 to 5 in its local vector table.
inline constexpr std::uint32_t version_value = 0x00050014;

inline constexpr std::uint32_t spurious_enable = 1u << 8;
inline constexpr std::uint32_t spurious_writable = 0x3ff;

inline constexpr unsigned everybody = 0xff;
inline constexpr std::uint32_t flat_model = 0xf;
inline constexpr std::uint32_t cluster_model = 0x0;

inline constexpr std::uint32_t error_sent_vector = 1u << 5;
inline constexpr std::uint32_t error_received_vector = 1u << 6;
inline constexpr std::uint32_t error_register = 1u << 7;

inline constexpr std::uint32_t command_writable = 0x000ccfff;
inline constexpr std::uint32_t command_assert = 1u << 14;
inline constexpr unsigned shorthand_shift = 18;

inline constexpr std::uint32_t timer_periodic = 1u << 17;
inline constexpr std::uint32_t nmi_mode = 4u << apic_bit::delivery_mode_shift;
inline constexpr std::uint32_t external_mode = 7u << apic_bit::delivery_mode_shift;

}  // namespace undercroft::local_apic
