// Emits the few instructions that translated code is made of besides copies of the guest's own.
// Knows encodings (SDM volume 2), not what they are for. None of these touches a flag, but for
// those whose comment says so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../vcpu.hpp"

namespace undercroft {

template <std::size_t capacity>
class Assembler {
 public:
  // origin: the window offset that the first byte will have in the cache. page_segment: through
  // which the code reaches the virtual CPU page.
  explicit constexpr Assembler(std::uint32_t origin, Segment page_segment = Segment::gs)
      : origin_(origin), page_prefix_(page_segment == Segment::fs ? 0x64 : 0x65) {}

  constexpr std::uint32_t size() const { return size_; }
  constexpr std::uint32_t here() const { return origin_ + size_; }
  constexpr std::span<const std::uint8_t> code() const { return {bytes_.data(), size_}; }

  constexpr void byte(std::uint32_t value) { bytes_[size_++] = static_cast<std::uint8_t>(value); }
  constexpr void bytes(std::span<const std::uint8_t> values) {
    for (std::uint8_t value : values) byte(value);
  }
  constexpr void word(std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) byte(value >> shift);
  }

  // mov page:[offset], reg / mov reg, page:[offset]
  constexpr void store_to_page(std::uint32_t offset, Register reg) {
    page(0x89, code(reg), offset);
  }
  constexpr void load_from_page(Register reg, std::uint32_t offset) {
    page(0x8b, code(reg), offset);
  }
  // mov byte page:[offset], value
  constexpr void store_byte_to_page(std::uint32_t offset, std::uint8_t value) {
    page(0xc6, 0, offset);
    byte(value);
  }
  // push dword page:[offset]
  constexpr void push_from_page(std::uint32_t offset) { page(0xff, 6, offset); }
  // xor reg, page:[offset]: changes flags
  constexpr void xor_from_page(Register reg, std::uint32_t offset) {
    page(0x33, code(reg), offset);
  }
  // test page:[offset], reg: changes flags
  constexpr void test_page(std::uint32_t offset, Register reg) { page(0x85, code(reg), offset); }

  // mov reg, [esp + displacement] / mov [esp], reg
  constexpr void load_stack(Register reg, std::uint8_t displacement) {
    bytes3(0x8b, 0x44 | code(reg) << 3, 0x24);
    byte(displacement);
  }
  // mov to, ss:[base + displacement]; base is not ESP
  constexpr void load_by_stack_segment(Register to, Register base, std::uint8_t displacement) {
    bytes3(0x36, 0x8b, 0x40 | code(to) << 3 | code(base));
    byte(displacement);
  }
  constexpr void store_top(Register reg) { bytes3(0x89, 0x04 | code(reg) << 3, 0x24); }
  // mov to, from
  constexpr void move(Register to, Register from) {
    byte(0x89);
    byte(0xc0 | code(from) << 3 | code(to));
  }
  // mov to, value
  constexpr void move(Register to, std::uint32_t value) {
    byte(0xb8 | code(to));
    word(value);
  }
  // movzx to, from (low 16 bits)
  constexpr void zero_extend_word(Register to, Register from) {
    bytes3(0x0f, 0xb7, 0xc0 | code(to) << 3 | code(from));
  }
  // lea to, [base + displacement]; base is not ESP
  constexpr void lea(Register to, Register base, std::uint32_t displacement) {
    byte(0x8d);
    byte(0x80 | code(to) << 3 | code(base));
    word(displacement);
  }
  // lea to, [base + index * scale + displacement]; scale 1, 2, 4, 8; index is not ESP
  constexpr void lea(Register to, Register base, Register index, std::uint32_t displacement,
                     unsigned scale = 1) {
    const std::uint32_t shift = scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
    bytes3(0x8d, 0x84 | code(to) << 3, shift << 6 | code(index) << 3 | code(base));
    word(displacement);
  }
  // reg = reg >> 16, without a flag; EAX, ECX, EDX or EBX:
  // bswap reg; xchg low byte, high byte; movzx reg, low 16 bits
  constexpr void take_high_half(Register reg) {
    byte(0x0f);
    byte(0xc8 | code(reg));
    byte(0x86);
    byte(0xc0 | code(reg) << 3 | (code(reg) + 4));
    zero_extend_word(reg, reg);
  }
  // reg = reg >> 24, without a flag; EAX, ECX, EDX or EBX: bswap reg; movzx reg, low byte
  constexpr void take_high_byte(Register reg) {
    byte(0x0f);
    byte(0xc8 | code(reg));
    bytes3(0x0f, 0xb6, 0xc0 | code(reg) << 3 | code(reg));
  }
  // mov low byte of reg, cs:[reg + displacement]
  constexpr void probe(Register reg, std::uint32_t displacement) {
    bytes3(0x2e, 0x8a, 0x80 | code(reg) << 3 | code(reg));
    word(displacement);
  }
  // lea esp, [esp + displacement]
  constexpr void drop_stack(std::uint32_t displacement) {
    bytes3(0x8d, 0xa4, 0x24);
    word(displacement);
  }
  constexpr void push(std::uint32_t value) {
    byte(0x68);
    word(value);
  }
  constexpr void pop(Register reg) { byte(0x58 | code(reg)); }
  // and reg, value / test reg, value: change flags
  constexpr void and_immediate(Register reg, std::uint32_t value) {
    byte(0x81);
    byte(0xe0 | code(reg));
    word(value);
  }
  constexpr void test_immediate(Register reg, std::uint32_t value) {
    byte(0xf7);
    byte(0xc0 | code(reg));
    word(value);
  }

  // jmp/jcc target (a window offset); the result is where its 32-bit displacement stands.
  constexpr std::uint32_t jump(std::uint32_t target) {
    byte(0xe9);
    return displacement(target);
  }
  constexpr std::uint32_t jump_if(unsigned condition, std::uint32_t target) {
    byte(0x0f);
    byte(0x80 | condition);
    return displacement(target);
  }
  // jecxz over the next `distance` bytes
  constexpr void jump_if_ecx_zero(std::uint8_t distance) {
    byte(0xe3);
    byte(distance);
  }
  // jmp cs:[table + 4 * eax]
  constexpr void jump_by_table(std::uint32_t table) {
    byte(0x2e);
    bytes3(0xff, 0x24, 0x85);
    word(table);
  }
  // Lets a jump emitted before go to the target.
  constexpr void land_at(std::uint32_t displacement_at, std::uint32_t target) {
    const std::uint32_t value = target - (displacement_at + 4);
    for (unsigned i = 0; i < 4; ++i)
      bytes_[displacement_at - origin_ + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }

 private:
  static constexpr std::uint32_t code(Register reg) { return static_cast<std::uint32_t>(reg); }
  constexpr void bytes3(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    byte(a);
    byte(b);
    byte(c);
  }
  constexpr void page(std::uint32_t opcode, std::uint32_t reg, std::uint32_t offset) {
    bytes3(page_prefix_, opcode, 0x05 | reg << 3);
    word(offset);
  }
  constexpr std::uint32_t displacement(std::uint32_t target) {
    const std::uint32_t at = here();
    word(target - (at + 4));
    return at;
  }

  std::uint32_t origin_;
  std::uint32_t page_prefix_;
  std::uint32_t size_ = 0;
  std::array<std::uint8_t, capacity> bytes_;
};

}  // namespace undercroft
