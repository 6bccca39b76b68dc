// The 8 bytes of a descriptor as a value: its fields named once, code and data segments, system
// segments and gates (SDM volume 3, 3.4.5, 3.5, 5.8.3, 6.11, 7.2). What checks a use has to pass is
// left to load, far_transfer and interrupts; where descriptors live is lookup_descriptor's
// business.
#pragma once

#include <cstdint>

#include "../vcpu.hpp"

namespace undercroft {

// A selector's parts (SDM volume 3, 3.4.2).
namespace selector {
inline constexpr std::uint16_t rpl_mask = 3;
inline constexpr std::uint16_t table_indicator = 4;
constexpr unsigned rpl(std::uint16_t s) { return s & rpl_mask; }
constexpr bool in_ldt(std::uint16_t s) { return s & table_indicator; }
constexpr unsigned index(std::uint16_t s) { return s >> 3; }
constexpr bool is_null(std::uint16_t s) { return (s & ~rpl_mask) == 0; }
// What an error code shows of a selector: RPL replaced by EXT and IDT, both clear.
constexpr std::uint32_t error_code(std::uint16_t s) { return s & ~std::uint32_t{rpl_mask}; }
constexpr std::uint16_t with_rpl(std::uint16_t s, unsigned rpl) {
  return static_cast<std::uint16_t>((s & ~rpl_mask) | rpl);
}
}  // namespace selector

// Descriptor bits 40 to 43 of a system descriptor (S = 0): SDM volume 3, table 3-2.
enum class SystemType : std::uint8_t {
  reserved_0 = 0,
  tss_16_available = 1,
  ldt = 2,
  tss_16_busy = 3,
  call_gate_16 = 4,
  task_gate = 5,
  interrupt_gate_16 = 6,
  trap_gate_16 = 7,
  reserved_8 = 8,
  tss_32_available = 9,
  reserved_10 = 10,
  tss_32_busy = 11,
  call_gate_32 = 12,
  reserved_13 = 13,
  interrupt_gate_32 = 14,
  trap_gate_32 = 15,
};

// DescriptorCache::attributes, bit by bit.
namespace attribute {
inline constexpr std::uint16_t accessed = 1u << 0;  // code and data
inline constexpr std::uint16_t writable_or_readable = 1u << 1;
inline constexpr std::uint16_t conforming_or_expand_down = 1u << 2;
inline constexpr std::uint16_t code = 1u << 3;
inline constexpr std::uint16_t code_or_data = 1u << 4;  // S
inline constexpr std::uint16_t tss_busy = 1u << 1;      // of a TSS descriptor
inline constexpr unsigned dpl_shift = 5;
inline constexpr std::uint16_t dpl = 3u << dpl_shift;
inline constexpr std::uint16_t present = 1u << 7;
inline constexpr std::uint16_t available = 1u << 12;
inline constexpr std::uint16_t reserved_long = 1u << 13;
inline constexpr std::uint16_t size_32 = 1u << 14;  // D or B
inline constexpr std::uint16_t granular = 1u << 15;
// What real and virtual-8086 mode put there (SDM volume 3, 20.1.1 and 20.2.1).
inline constexpr std::uint16_t real_mode_data =
    present | code_or_data | writable_or_readable | accessed;
inline constexpr std::uint16_t virtual_8086_segment = real_mode_data | dpl;
}  // namespace attribute

class Descriptor {
 public:
  constexpr Descriptor() = default;
  constexpr explicit Descriptor(std::uint64_t raw) : raw_(raw) {}
  constexpr Descriptor(std::uint32_t low, std::uint32_t high)
      : raw_(low | std::uint64_t{high} << 32) {}
  // A segment of `limit` + 1 bytes; a limit above 1 MB - 1 must end in 0xfff and sets G. The G bit
  // of `attributes` is ignored: it follows from the limit.
  static constexpr Descriptor segment(std::uint32_t base, std::uint32_t limit,
                                      std::uint16_t attributes) {
    const bool pages = limit > 0xfffff;
    return from_parts(base, pages ? limit >> 12 : limit, static_cast<std::uint8_t>(attributes),
                      static_cast<std::uint8_t>(((attributes >> 8) & 0x70) | (pages ? 0x80 : 0)));
  }
  static constexpr Descriptor gate(SystemType type, unsigned dpl, std::uint16_t target,
                                   std::uint32_t offset, unsigned parameters = 0) {
    const std::uint32_t access = 0x80u | dpl << 5 | static_cast<std::uint32_t>(type);
    return Descriptor((offset & 0xffff) | std::uint32_t{target} << 16,
                      (offset & 0xffff0000) | access << 8 | (parameters & 31));
  }

  constexpr std::uint64_t raw() const { return raw_; }
  constexpr std::uint32_t low() const { return static_cast<std::uint32_t>(raw_); }
  constexpr std::uint32_t high() const { return static_cast<std::uint32_t>(raw_ >> 32); }

  // Bits common to all descriptors.
  constexpr unsigned type() const { return (high() >> 8) & 0xf; }
  constexpr bool is_code_or_data() const { return high() & 1u << 12; }  // S
  constexpr unsigned dpl() const { return (high() >> 13) & 3; }
  constexpr bool present() const { return high() & 1u << 15; }
  constexpr SystemType system_type() const { return static_cast<SystemType>(type()); }
  constexpr bool is_system(SystemType t) const { return !is_code_or_data() && system_type() == t; }

  // Segments.
  constexpr std::uint32_t base() const {
    return static_cast<std::uint32_t>((raw_ >> 16) & 0xffffff) | (high() & 0xff000000);
  }
  constexpr std::uint32_t raw_limit() const { return (low() & 0xffff) | (high() & 0xf0000); }
  constexpr bool available() const { return high() & 1u << 20; }
  constexpr bool size_32() const { return high() & 1u << 22; }  // D or B
  constexpr bool granular() const { return high() & 1u << 23; }
  constexpr std::uint32_t limit() const {
    return granular() ? raw_limit() << 12 | 0xfff : raw_limit();
  }
  // Type, S, DPL, P, AVL, D/B, G in DescriptorCache's layout.
  constexpr std::uint16_t attributes() const {
    return static_cast<std::uint16_t>((high() >> 8) & 0xf0ff);
  }
  constexpr bool accessed() const { return high() & 1u << 8; }
  constexpr bool is_code() const { return (high() & 0x1800) == 0x1800; }
  constexpr bool is_data() const { return (high() & 0x1800) == 0x1000; }
  constexpr bool is_writable_data() const { return (high() & 0x1a00) == 0x1200; }
  constexpr bool is_readable_code() const { return (high() & 0x1a00) == 0x1a00; }
  constexpr bool is_conforming() const { return (high() & 0x1c00) == 0x1c00; }
  // What a data segment register may hold: data, or readable code.
  constexpr bool is_readable() const { return is_data() || is_readable_code(); }
  constexpr bool is_ldt() const { return is_system(SystemType::ldt); }
  constexpr bool is_tss() const {  // 16 or 32 bits, available or busy
    return !is_code_or_data() && (type() == 1 || type() == 3 || type() == 9 || type() == 11);
  }
  constexpr bool is_available_tss() const { return is_tss() && !(type() & 2); }
  constexpr bool is_busy_tss() const { return is_tss() && (type() & 2); }
  constexpr bool is_32_bit_tss() const { return is_tss() && (type() & 8); }

  // Gates.
  constexpr bool is_call_gate() const {
    return is_system(SystemType::call_gate_16) || is_system(SystemType::call_gate_32);
  }
  constexpr bool is_task_gate() const { return is_system(SystemType::task_gate); }
  constexpr bool is_interrupt_gate() const {
    return is_system(SystemType::interrupt_gate_16) || is_system(SystemType::interrupt_gate_32);
  }
  constexpr bool is_trap_gate() const {
    return is_system(SystemType::trap_gate_16) || is_system(SystemType::trap_gate_32);
  }
  constexpr bool is_gate() const { return !is_code_or_data() && (type() & 4) && type() != 13; }
  constexpr bool is_32_bit_gate() const { return type() & 8; }
  constexpr unsigned gate_size() const { return is_32_bit_gate() ? 4 : 2; }  // bytes per push
  constexpr std::uint16_t gate_selector() const { return static_cast<std::uint16_t>(low() >> 16); }
  constexpr std::uint32_t gate_offset() const {  // 16 bits of a 16-bit gate
    return (low() & 0xffff) | (is_32_bit_gate() ? high() & 0xffff0000 : 0);
  }
  constexpr unsigned gate_parameters() const { return high() & 31; }

  constexpr Descriptor with_accessed() const { return Descriptor(raw_ | std::uint64_t{1} << 40); }
  constexpr Descriptor with_busy(bool busy) const {
    const std::uint64_t bit = std::uint64_t{1} << 41;
    return Descriptor(busy ? raw_ | bit : raw_ & ~bit);
  }
  constexpr Descriptor with_base(std::uint32_t base) const {
    return Descriptor((low() & 0xffff) | base << 16,
                      (high() & 0x00ffff00) | (base & 0xff000000) | ((base >> 16) & 0xff));
  }
  constexpr Descriptor with_gate_selector(std::uint16_t target) const {
    return Descriptor((raw_ & ~(std::uint64_t{0xffff} << 16)) | std::uint64_t{target} << 16);
  }

  // The hidden part of a segment register loaded from this descriptor.
  constexpr DescriptorCache cache(std::uint16_t sel) const {
    return {sel, attributes(), base(), limit(), true};
  }

  constexpr bool operator==(const Descriptor&) const = default;

 private:
  static constexpr Descriptor from_parts(std::uint32_t base, std::uint32_t raw_limit,
                                         std::uint8_t access, std::uint8_t flags) {
    return Descriptor((raw_limit & 0xffff) | base << 16,
                      (base & 0xff000000) | std::uint32_t{flags & 0xf0u} << 16 |
                          (raw_limit & 0xf0000) | std::uint32_t{access} << 8 |
                          ((base >> 16) & 0xff));
  }
  std::uint64_t raw_ = 0;
};

// A register that holds a null selector.
constexpr DescriptorCache null_cache(std::uint16_t sel) { return {sel, 0, 0, 0, false}; }

}  // namespace undercroft
