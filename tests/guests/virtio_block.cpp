// A virtio block device by its legacy interface (VIRTIO 1.0, sections 2.4, 4.1.4.8, 5.2): features,
// registers, requests of every shape, errors, interrupts, and a driver that breaks the rules. With
// the word `disk` a disk of 300 sectors is at PCI 0:5.0, sector n filled with n + the byte's index;
// without it there is none, and nothing to do.
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"

using namespace guest;

const char* const test_name = "virtio_block";

namespace {

inline void out16(u16 port, u16 value) { asm volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
inline void out32(u16 port, u32 value) { asm volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }
inline u16 in16(u16 port) {
  u16 value;
  asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

constexpr unsigned device = 5;
u32 configuration(unsigned offset) {
  out32(0xcf8, 0x80000000 | device << 11 | offset);
  return in32(0xcfc);
}
void configure(unsigned offset, u32 value) {
  out32(0xcf8, 0x80000000 | device << 11 | offset);
  out32(0xcfc, value);
}

enum Register : u16 {
  offered = 0,
  accepted = 4,
  queue_page = 8,
  queue_size = 12,
  queue_select = 14,
  notify = 16,
  status = 18,
  interrupt_status = 19,
  own = 20
};
constexpr u16 flag_next = 1, flag_write = 2, flag_indirect = 4;
constexpr u32 feature_block_size = 1u << 6, feature_flush = 1u << 9, feature_indirect = 1u << 28,
              feature_event = 1u << 29;

struct Descriptor {
  u64 address;
  u32 bytes;
  u16 flags, next;
};
struct Header {
  u32 type, priority;
  u64 sector;
};

// Room for a queue of up to 1024.
alignas(4096) u8 ring[16 * 1024 + 4096 + 4096 + 8 * 1024 + 4096];
alignas(16) Descriptor table[16];
alignas(16) Header header;
volatile u8 answer;
u8 data[8192];

u16 base, size, submitted;
volatile Descriptor* descriptors;
volatile u16* available;  // flags, index, ring, used event
volatile u16* used;       // flags, index, ring of 8 bytes, available event

u32 address_of(const volatile void* at) { return reinterpret_cast<u32>(at); }

void set(volatile Descriptor& to, const volatile void* at, u32 bytes, u16 flags, u16 next) {
  to.address = address_of(at);
  to.bytes = bytes;
  to.flags = flags;
  to.next = next;
}

u32 used_bytes(u16 index) {
  return *reinterpret_cast<volatile u32*>(address_of(used) + 4 + 8 * (index % size) + 4);
}

// Reset, handshake, one queue.
void bring_up(u32 features) {
  out8(base + status, 0);
  out8(base + status, 1);
  out8(base + status, 3);
  out32(base + accepted, features);
  out16(base + queue_select, 0);
  size = in16(base + queue_size);
  for (u32 i = 0; i < sizeof ring; ++i) const_cast<volatile u8&>(ring[i]) = 0;
  descriptors = reinterpret_cast<volatile Descriptor*>(ring);
  available = reinterpret_cast<volatile u16*>(address_of(ring) + 16 * size);
  used = reinterpret_cast<volatile u16*>((address_of(available) + 6 + 2 * size + 4095) & ~4095u);
  submitted = 0;
  out32(base + queue_page, address_of(ring) / 4096);
  out8(base + status, 7);
}

void offer(u16 head) {
  available[2 + submitted % size] = head;
  ++submitted;
  asm volatile("" : : : "memory");
  available[1] = submitted;
  out16(base + notify, 0);
}

// Whether what was offered is used before long.
bool done() {
  for (u32 i = 0; i < 3000000; ++i) {
    if (used[1] == submitted) return true;
    asm volatile("pause");
  }
  return false;
}

// A request over one run of data.
u8 request(u32 type, u64 sector, const volatile void* at, u32 bytes, bool to_guest) {
  header = {type, 0, sector};
  answer = 0xee;
  set(descriptors[0], &header, sizeof header, flag_next, bytes ? 1 : 2);
  set(descriptors[1], at, bytes, static_cast<u16>(flag_next | (to_guest ? flag_write : 0)), 2);
  set(descriptors[2], &answer, 1, flag_write, 0);
  offer(0);
  return done() ? answer : 0xff;
}

u32 sum(const u8* bytes, u32 count) {
  u32 total = 0;
  for (u32 i = 0; i < count; ++i) total = total * 31 + bytes[i];
  return total;
}

void registers() {
  line("id ", hex(configuration(0)), " class ", hex(configuration(8)), " subsystem ",
       hex(configuration(0x2c)), " pin ", configuration(0x3c) >> 8 & 0xff);
  const u32 bar = configuration(0x10);
  configure(0x10, 0xffffffff);
  const u32 mask = configuration(0x10);
  configure(0x10, bar);
  check(bar == configuration(0x10), "the address register keeps its value");
  check((bar & 3) == 1 && (mask & 3) == 1 && (mask | 0xff) != 0xff, "an I/O range");
  base = static_cast<u16>(bar & ~3u);
  configure(4, (configuration(4) & 0xffff) | 5);
  out8(base + status, 0);
  line("status after reset ", hex(in8(base + status), 2));
  const u32 features = in32(base + offered);
  line("block size ", (features & feature_block_size) != 0, " flush ",
       (features & feature_flush) != 0, " indirect ", (features & feature_indirect) != 0,
       " event index ", (features & feature_event) != 0);
  line("sectors ", in32(base + own), " high ", in32(base + own + 4), " block ",
       in32(base + own + 20));
  out16(base + queue_select, 0);
  const u16 entries = in16(base + queue_size);
  check(entries >= 8 && entries <= 1024 && (entries & (entries - 1)) == 0,
        "a queue of a fair size");
  out16(base + queue_select, 7);
  line("queue 7 has ", in16(base + queue_size));
}

void reads_and_writes() {
  bring_up(feature_block_size | feature_flush);
  line("status ", hex(in8(base + status), 2));
  constexpr u32 sectors[] = {0, 1, 100, 299};
  for (const u32 sector : sectors) {
    const u8 result = request(0, sector, data, 512, true);
    line("read ", sector, ": ", result, " first ", data[0], " sum ", hex(sum(data, 512)), " used ",
         used_bytes(static_cast<u16>(submitted - 1)));
  }
  const u8 result = request(0, 4, data, 8192, true);
  line("read 16 sectors: ", result, " sum ", hex(sum(data, 8192)));
  for (u32 i = 0; i < 1536; ++i) data[i] = static_cast<u8>(i * 7 + 3);
  const u8 written = request(1, 200, data, 1536, false);
  line("write: ", written, " used ", used_bytes(static_cast<u16>(submitted - 1)));
  for (u8& byte : data) byte = 0;
  const u8 again = request(0, 199, data, 2560, true);
  line("read back: ", again, " sum ", hex(sum(data, 2560)), " first ", data[512]);
  line("flush: ", request(4, 0, data, 0, false));
  line("over the end: ", request(0, 299, data, 1024, true));
  line("beyond the end: ", request(1, 300, data, 512, false));
  line("far beyond: ", request(0, 1ull << 40, data, 512, true));
  line("half a sector: ", request(0, 0, data, 256, true));
  line("an unknown request: ", request(77, 0, data, 512, true));
  for (u8& byte : data) byte = 0;
  const u8 named = request(8, 0, data, 20, true);
  line("name: ", named, " ", reinterpret_cast<const char*>(data));
}

// Header and data in pieces, so that no sector is in one of them.
void pieces() {
  header = {0, 0, 50};
  answer = 0xee;
  for (u8& byte : data) byte = 0;
  auto* const bytes = reinterpret_cast<u8*>(&header);
  set(descriptors[3], bytes, 9, flag_next, 1);
  set(descriptors[1], bytes + 9, 7, flag_next, 4);
  set(descriptors[4], data, 1, flag_next | flag_write, 0);
  set(descriptors[0], data + 1, 1000, flag_next | flag_write, 5);
  set(descriptors[5], data + 1001, 535, flag_next | flag_write, 2);
  set(descriptors[2], &answer, 1, flag_write, 0);
  offer(3);
  const bool came = done();
  line("pieces: ", came, " ", answer, " sum ", hex(sum(data, 1536)), " used head ",
       *reinterpret_cast<volatile u32*>(address_of(used) + 4 + 8 * ((submitted - 1) % size)));
}

void indirect() {
  bring_up(feature_indirect);
  header = {0, 0, 60};
  answer = 0xee;
  set(table[0], &header, sizeof header, flag_next, 2);
  set(table[2], data, 512, flag_next | flag_write, 1);
  set(table[1], &answer, 1, flag_write, 0);
  set(descriptors[6], table, sizeof table, flag_indirect, 0);
  offer(6);
  const bool came = done();
  line("indirect: ", came, " ", answer, " sum ", hex(sum(data, 512)));
}

volatile u32 interrupts, seen_status;
void count_interrupt(TrapFrame& frame) {
  interrupts = interrupts + 1;
  seen_status = in8(base + interrupt_status);
  if (frame.vector >= 0x28) out8(0xa0, 0x20);
  out8(0x20, 0x20);
}

void wait_for_interrupts() {
  asm volatile("sti");
  for (u32 i = 0; i < 1000; ++i) asm volatile("pause");
  asm volatile("cli");
}

void with_interrupts() {
  const u32 irq = configuration(0x3c) & 0xff;
  check(irq < 16, "firmware has noted a line");
  initialise_8259s(1u << irq);
  set_handler(0x20 + irq, count_interrupt);
  bring_up(0);
  in8(base + interrupt_status);
  request(0, 0, data, 512, true);
  wait_for_interrupts();
  line("interrupts ", interrupts, " status ", seen_status, " then ", in8(base + interrupt_status));
  available[0] = 1;  // not wanted
  request(0, 1, data, 512, true);
  wait_for_interrupts();
  line("not wanted: interrupts ", interrupts, " status ", in8(base + interrupt_status));
  bring_up(feature_event);
  available[2 + size] = 2;  // after the third
  request(0, 0, data, 512, true);
  wait_for_interrupts();
  interrupts = 0;  // a device may tell of the first in any case
  for (u32 i = 1; i < 5; ++i) {
    request(0, i, data, 512, true);
    wait_for_interrupts();
    line("event index: ", i + 1, " used, interrupts ", interrupts);
  }
}

// A device that meets such a chain answers nothing any more, until it is reset.
void broken_rules() {
  bring_up(0);
  set(descriptors[0], &header, sizeof header, flag_next, 1);
  set(descriptors[1], data, 512, flag_next | flag_write, 0);
  offer(0);
  for (u32 i = 0; i < 200000; ++i) asm volatile("pause");
  line("a chain that goes round: used ", used[1]);
  line("then: ", request(0, 0, data, 512, true));
  bring_up(0);
  line("after a reset: ", request(0, 0, data, 512, true));
}

}  // namespace

void test() {
  if (!option("disk")) {
    line("no disk is asked for");
    return;
  }
  registers();
  reads_and_writes();
  pieces();
  indirect();
  with_interrupts();
  broken_rules();
}
