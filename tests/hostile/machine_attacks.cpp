// Descriptors and selectors by chance, and accesses to ports by chance.
#include "attacks.hpp"

namespace guest {
namespace {

// Ports whose use ends the machine, and the serial line that the report goes to.
bool spared(u16 port) {
  return (port >= 0x3f8 && port < 0x400) || port == 0xf4 || port == 0x64 || port == 0x92 ||
         port == 0xcf9 || port == 0x8900 || (port >= 0x600 && port < 0x640) || port == 0xb004;
}

u16 random_selector() {
  const u32 index = one_in(4) ? random(8192) : random(descriptor_count);
  return static_cast<u16>(index << 3 | (random() & 7));
}

constexpr u32 use_as_task = 3, use_as_stack = 7;

void use_selector(u16 selector) {
  u32 how = random(9);
  // These two take the ground away from the next trap; seldom, so that other things are met too.
  if ((how == use_as_task || how == use_as_stack) && !one_in(16)) how = 4;
  breathe();
  attempt([&] {
    switch (how) {
      case 0:
        asm volatile("mov %0, %%fs\n mov %%fs:0, %%al" : : "r"(selector) : "eax", "memory");
        return;
      case 1:
        asm volatile("mov %0, %%gs\n movb $1, %%gs:16" : : "r"(selector) : "memory");
        return;
      case 2:
        asm volatile("lldt %0" : : "r"(selector));
        return;
      case use_as_task:
        asm volatile("ltr %0" : : "r"(selector));
        return;
      case 4:
        asm volatile("lar %0, %%eax\n lsl %0, %%eax" : : "r"(u32{selector}) : "eax", "cc");
        return;
      case 5:
        asm volatile("verr %0\n verw %0" : : "r"(selector) : "cc");
        return;
      case 6: {
        const struct [[gnu::packed]] {
          u32 offset;
          u16 selector;
        } target = {reinterpret_cast<u32>(spoil_page()), selector};
        asm volatile("lcall *%0" : : "m"(target) : "memory", "cc", "eax", "ecx", "edx");
        return;
      }
      case use_as_stack:
        asm volatile("mov %0, %%ss" : : "r"(selector));
        return;
      default:
        asm volatile("mov %0, %%es\n stosl" : : "r"(selector), "D"(64) : "memory");
        return;
    }
  });
}

}  // namespace

void attack_descriptors() {
  for (u32 i = 0; i < 120; ++i) {
    const u32 index = first_free_descriptor + random(descriptor_count - first_free_descriptor);
    u64 descriptor = u64{random()} << 32 | random();
    if (one_in(2)) {
      descriptor = make_segment(one_in(2) ? spoil_begin : random_word(), random_word(),
                                static_cast<u8>(random() | (one_in(4) ? 0 : 0x80)),
                                static_cast<u8>(random() & 15));
    }
    gdt()[index] = descriptor;
    if (one_in(10)) {
      set_gate(0x30 + random(0xd0), u64{random()} << 32 | random() | u64{random_selector()} << 16);
      attempt([] { asm volatile("int $0x30\n int $0x55\n int $0x80"); });
    }
    use_selector(random_selector());
    if (one_in(12)) {
      UserState state;
      state.cs = static_cast<u16>(one_in(2) ? user_code : random_selector() | 3);
      state.ss = static_cast<u16>(one_in(2) ? user_data : random_selector() | 3);
      state.ds = one_in(2) ? user_data : random_selector();
      state.eip = reinterpret_cast<u32>(spoil_page());
      state.esp = state.eip + 2048;
      state.eflags = 0x202;
      run_wild_user(state);
    }
  }
  attempt([] { asm volatile("lldt %0" : : "r"(u16{0})); });
  gdt()[tss_selector / 8] &= ~(u64{2} << 40);  // not busy
  attempt([] { asm volatile("ltr %0" : : "r"(tss_selector)); });
}

void attack_ports() {
  for (u32 i = 0; i < 600; ++i) {
    const u16 port = static_cast<u16>(one_in(3) ? random() : random(0x400));
    if (spared(port) || spared(static_cast<u16>(port + 3))) continue;
    const u32 value = random_word();
    breathe();
    switch (random(6)) {
      case 0:
        out8(port, static_cast<u8>(value));
        break;
      case 1:
        in8(port);
        break;
      case 2:
        asm volatile("outl %0, %w1" : : "a"(value), "d"(port));
        break;
      case 3:
        asm volatile("inl %w1, %0" : "=a"(random_state) : "d"(port), "0"(random_state));
        random_state |= 1;
        break;
      case 4:
        asm volatile("outw %w0, %w1" : : "a"(value), "d"(port));
        break;
      default: {
        u32 at = reinterpret_cast<u32>(spoil_page()), count = 8;
        asm volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
        break;
      }
    }
  }
}

}  // namespace guest
