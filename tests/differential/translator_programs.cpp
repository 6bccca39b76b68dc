#include "translator_programs.hpp"

#include <cstring>

namespace undercroft::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append_word(Bytes& bytes, std::uint32_t word) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::uint8_t>(word >> shift));
  }
}
template <class... T>
Bytes of(T... values) {
  return {static_cast<std::uint8_t>(values)...};
}

}  // namespace

std::uint32_t ProgramMaker::data_address() {
  const std::uint32_t size = guest_map::data_end - guest_map::data;
  if (one_in(24)) return guest_map::data - 8 + random(16);
  if (one_in(24)) return guest_map::data_end - 12 + random(16);
  return guest_map::data + 64 + random(size - 128);
}

std::uint32_t ProgramMaker::value() {
  constexpr std::uint32_t values[] = {0,    1,    2,      0x7f,       0x80,       0xff,
                                      8,    0x10, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
                                      0x18, 0x20, 0x246,  0x46};
  return one_in(2) ? values[random(16)] : static_cast<std::uint32_t>(random_());
}

// Seldom one that addresses memory, so that programs get far.
unsigned ProgramMaker::any_register() { return one_in(30) ? 4 + random(4) : random(4); }

Program ProgramMaker::make() {
  items_.clear();
  const unsigned count = 4 + random(40);
  while (items_.size() < count) {
    switch (random(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
        add_arithmetic();
        break;
      case 4:
      case 5:
      case 6:
        add_memory_access();
        break;
      case 7:
      case 8:
        add_stack_access();
        break;
      case 9:
        add_string();
        break;
      case 10:
      case 11:
      case 12:
        add_flags();
        break;
      case 13:
        add_segment();
        break;
      case 14:
      case 15:
      case 16:
        add_direct_branch();
        break;
      case 17:
      case 18:
        add_indirect_branch();
        break;
      case 19:
        add_emulated();
        break;
    }
  }
  constexpr std::uint8_t halt = 0xf4;
  add({halt});

  Program program;
  program.code.assign(guest_map::code_size, halt);
  // Often over the end of the page.
  std::uint32_t at = one_in(2) ? random(0x100) : 0x1000 - random(150);
  for (const Item& item : items_) {
    program.entries.push_back(guest_map::code + at);
    at += static_cast<std::uint32_t>(item.bytes.size());
  }
  for (std::size_t i = 0; i < items_.size(); ++i) {
    Bytes& bytes = items_[i].bytes;
    const std::uint32_t end = program.entries[i] + static_cast<std::uint32_t>(bytes.size());
    std::size_t other = random(static_cast<std::uint32_t>(items_.size()));
    if (!one_in(3) && other < i) other = i + random(static_cast<std::uint32_t>(items_.size() - i));
    std::uint32_t target = program.entries[other];
    if (items_[i].label == Label::relative_8) {
      while (static_cast<std::int32_t>(target - end) > 127) target = program.entries[--other];
      while (static_cast<std::int32_t>(target - end) < -128) target = program.entries[++other];
      bytes.back() = static_cast<std::uint8_t>(target - end);
    } else if (items_[i].label != Label::none) {
      if (items_[i].label == Label::relative_32) target -= end;
      std::memcpy(&bytes[bytes.size() - 4], &target, 4);
    }
    std::memcpy(&program.code[program.entries[i] - guest_map::code], bytes.data(), bytes.size());
  }
  return program;
}

void ProgramMaker::add_memory_operand(Bytes& bytes, unsigned reg) {
  constexpr unsigned bases[] = {5, 6, 7};  // EBP, ESI, EDI
  switch (random(4)) {
    case 0:
      bytes.push_back(static_cast<std::uint8_t>(0x05 | reg << 3));
      return append_word(bytes, data_address());
    case 1:  // [esp + disp8]
      bytes.push_back(static_cast<std::uint8_t>(0x44 | reg << 3));
      bytes.push_back(0x24);
      return bytes.push_back(static_cast<std::uint8_t>(random(0x40)));
    default:
      bytes.push_back(static_cast<std::uint8_t>(0x40 | reg << 3 | bases[random(3)]));
      return bytes.push_back(static_cast<std::uint8_t>(random(0x80) - 0x40));
  }
}

void ProgramMaker::add_arithmetic() {
  Bytes bytes;
  if (one_in(6)) bytes.push_back(0x66);
  const unsigned a = any_register(), b = random(8);
  const auto modrm = [&](unsigned reg, unsigned rm) {
    bytes.push_back(static_cast<std::uint8_t>(0xc0 | reg << 3 | rm));
  };
  switch (random(9)) {
    case 0:  // add to cmp, of 32 or 16 bits
      bytes.push_back(static_cast<std::uint8_t>(random(8) << 3 | 3));
      return modrm(a, b), add(bytes);
    case 1:
      bytes.push_back(0x83);
      modrm(random(8), a);
      bytes.push_back(static_cast<std::uint8_t>(random(256)));
      return add(bytes);
    case 2:
      bytes.push_back(static_cast<std::uint8_t>((one_in(2) ? 0x40 : 0x48) | a));
      return add(bytes);
    case 3:  // not, neg
      bytes.push_back(0xf7);
      return modrm(2 + random(2), a), add(bytes);
    case 4:  // setcc, cmovcc
      bytes.push_back(0x0f);
      bytes.push_back(static_cast<std::uint8_t>((one_in(2) ? 0x90 : 0x40) | random(16)));
      return modrm(random(4), random(4)), add(bytes);
    case 5: {  // movzx, movsx, xadd, cmpxchg
      constexpr std::uint8_t opcodes[] = {0xb6, 0xb7, 0xbe, 0xbf, 0xc1, 0xb1};
      bytes.push_back(0x0f);
      bytes.push_back(opcodes[random(6)]);
      return modrm(random(4), random(4)), add(bytes);
    }
    case 6:
      bytes = of(0xb8 | random(4));
      append_word(bytes, value());
      return add(bytes);
    case 7: {  // lea reg, [base + index * scale + disp8], with any segment named
      if (one_in(3)) bytes.push_back(one_in(2) ? 0x65 : 0x2e);
      bytes.push_back(0x8d);
      bytes.push_back(static_cast<std::uint8_t>(0x44 | a << 3));
      bytes.push_back(static_cast<std::uint8_t>(random(256)));
      bytes.push_back(static_cast<std::uint8_t>(random(256)));
      return add(bytes);
    }
    default:  // xchg, mov, test
      constexpr std::uint8_t opcodes[] = {0x87, 0x8b, 0x85};
      bytes.push_back(opcodes[random(3)]);
      return modrm(random(4), random(4)), add(bytes);
  }
}

void ProgramMaker::add_memory_access() {
  constexpr std::uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
  constexpr std::uint8_t opcodes[] = {0x03, 0x01, 0x8b, 0x89, 0x87, 0x33, 0x31,
                                      0x3b, 0x85, 0x88, 0x8a, 0x8b, 0x89, 0x89};
  Bytes bytes;
  if (one_in(5)) bytes.push_back(segments[random(6)]);
  if (one_in(8)) bytes.push_back(0x66);
  if (one_in(16)) {
    bytes.insert(bytes.end(), {0x0f, 0xc7});  // cmpxchg8b
    add_memory_operand(bytes, 1);
  } else if (one_in(8)) {
    bytes.push_back(0x0f);
    bytes.push_back(one_in(2) ? 0xb1 : 0xc1);  // cmpxchg, xadd
    add_memory_operand(bytes, random(4));
  } else {
    bytes.push_back(opcodes[random(14)]);
    add_memory_operand(bytes, random(4));
  }
  add(bytes);
}

void ProgramMaker::add_stack_access() {
  Bytes bytes;
  switch (random(6)) {
    case 0:
    case 1:
      return add(of(0x50 | random(8)));
    case 2:
      return add(of(0x58 | any_register()));
    case 3:
      return add(of(0x6a, random(256)));
    case 4:
      bytes = of(0xff);
      add_memory_operand(bytes, 6);
      return add(bytes);
    default:
      bytes = of(0x8f);
      add_memory_operand(bytes, 0);
      return add(bytes);
  }
}

void ProgramMaker::add_string() {
  constexpr std::uint8_t opcodes[] = {0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xa6};
  constexpr std::uint8_t segments[] = {0x26, 0x2e, 0x64, 0x65};
  if (one_in(2)) add(of(0xb9, random(6), 0, 0, 0));  // mov ecx, n
  Bytes bytes;
  if (one_in(6)) bytes.push_back(segments[random(4)]);
  if (one_in(2)) bytes.push_back(one_in(2) ? 0xf3 : 0xf2);
  bytes.push_back(opcodes[random(8)]);
  add(bytes);
}

void ProgramMaker::add_flags() {
  switch (random(12)) {
    case 0:
    case 1:
      return add(of(0xfa));  // cli
    case 2:
    case 3:
      return add(of(0xfb));  // sti
    case 4:
    case 5:
    case 6:
      return add(of(0x9c));
    case 7:
      return add(of(0x9d));
    case 8:
    case 9: {
      Bytes bytes = of(0x68);
      append_word(bytes, 2 | (value() & 0xed5) | (one_in(8) ? value() & 0x247000 : 0));
      add(bytes);
      return add(of(0x9d));
    }
    case 10:
      return add(of(one_in(2) ? 0x9e : 0x9f));  // sahf, lahf
    default:
      constexpr std::uint8_t opcodes[] = {0xf5, 0xf8, 0xf9, 0xfc, 0xfc, 0xfd};
      return add(of(opcodes[random(6)]));
  }
}

void ProgramMaker::add_segment() {
  constexpr unsigned loadable[] = {0, 3, 4, 5};
  constexpr std::uint8_t pushes[] = {0x06, 0x0e, 0x16, 0x1e}, pops[] = {0x07, 0x1f};
  const auto selector = one_in(8)   ? 0
                        : one_in(2) ? guest_map::data_selector
                                    : guest_map::other_selector;
  const unsigned reg = random(4);
  switch (random(6)) {
    case 0:
      return add(of(0x8c, 0xc0 | random(6) << 3 | any_register()));
    case 1:
      return add(of(0x66, 0x8c, 0xc0 | random(6) << 3 | reg));
    case 2:
      return one_in(2) ? add(of(pushes[random(4)])) : add(of(0x0f, one_in(2) ? 0xa0 : 0xa8));
    case 3:
      add(of(0xb8 | reg, selector, 0, 0, 0));
      return add(of(0x8e, 0xc0 | loadable[random(4)] << 3 | reg));
    case 4:
      add(of(0x6a, selector));
      return one_in(2) ? add(of(pops[random(2)])) : add(of(0x0f, one_in(2) ? 0xa1 : 0xa9));
    default:
      add(of(pushes[random(4)]));
      return add(of(pops[random(2)]));
  }
}

void ProgramMaker::add_direct_branch() {
  switch (random(8)) {
    case 0:
    case 1:
    case 2:
      return add(of(0x70 | random(16), 0), Label::relative_8);
    case 3:
      return add(of(0x0f, 0x80 | random(16), 0, 0, 0, 0), Label::relative_32);
    case 4:
      return add(of(0xe9, 0, 0, 0, 0), Label::relative_32);
    case 5:
      return add(of(0xe8, 0, 0, 0, 0), Label::relative_32);
    case 6:
      return add(of(0xeb, 0), Label::relative_8);
    default:
      if (one_in(2)) add(of(0xb9, random(4), 0, 0, 0));
      if (one_in(4)) return add(of(0x67, 0xe0 | random(4), 0), Label::relative_8);
      return add(of(0xe0 | random(4), 0), Label::relative_8);
  }
}

void ProgramMaker::add_indirect_branch() {
  const unsigned reg = random(4);
  const auto load = [&] { add(of(0xb8 | reg, 0, 0, 0, 0), Label::absolute); };
  const auto push = [&] { add(of(0x68, 0, 0, 0, 0), Label::absolute); };
  switch (random(8)) {
    case 7: {  // iret, to the same privilege
      Bytes flags = of(0x68);
      append_word(flags, 2 | (value() & 0xed5) | (one_in(6) ? value() & 0x257000 : 0));
      one_in(3) ? add(of(0x9c)) : add(flags);
      add(of(0x6a, one_in(12) ? guest_map::data_selector : guest_map::code_selector));
      return push(), add(of(0xcf));
    }
    case 0:
      return load(), add(of(0xff, 0xe0 | reg));
    case 1:
      return load(), add(of(0xff, 0xd0 | reg));
    case 2:
      return push(), add(of(0xc3));
    case 3:
      return push(), add(of(0xc2, random(4) * 4, 0));
    case 4:
      return push(), add(of(0xff, one_in(2) ? 0x24 : 0x14, 0x24));  // jmp, call [esp]
    case 5:
      return add(of(0xc3));
    default: {
      Bytes bytes = one_in(4) ? of(one_in(2) ? 0x65 : 0x26, 0xff) : of(0xff);
      add_memory_operand(bytes, one_in(2) ? 2 : 4);
      return add(bytes);
    }
  }
}

void ProgramMaker::add_emulated() {
  switch (random(10)) {
    case 0:
    case 1:
      return add(of(0x0f, 0xa2));  // cpuid
    case 2:
      return add(of(0xec | random(4)));  // in, out
    case 3:
      return add(of(0x0f, 0x20, 0xc0 | random(4)));  // mov reg, cr0
    case 4:
      return add(of(0x0f, 0x01, 0xe0 | random(4)));  // smsw
    case 5: {
      Bytes bytes = of(0x0f, 0x01);  // sgdt, sidt
      add_memory_operand(bytes, random(2));
      return add(bytes);
    }
    case 6: {
      Bytes bytes = of(0x8c);  // mov [mem], sreg
      add_memory_operand(bytes, random(6));
      return add(bytes);
    }
    case 7:
      return one_in(4) ? add(of(0x0f, 0x0b)) : add(of(0x66, 0x9c));
    case 8:
      return one_in(4) ? add(of(0xcd, 0x80)) : add(of(0x66, 0x9d));
    default:
      return one_in(4) ? add(of(0xf4)) : add(of(0x0f, 0x00, 0xc0 | random(4)));  // sldt
  }
}

}  // namespace undercroft::test
