// ATA and ATAPI drives by their registers, as drivers use them. With the word `disk`: the first
// channel's first drive is a disk of at least 1 MB, the second is not there. With `cdrom`: the
// second channel's first drive is a CD-ROM with a disc. Sources: ATA/ATAPI-6, SFF-8020i, Intel
// 82371SB.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/interrupt_lines.hpp"
#include "runtime/pci.hpp"

using namespace guest;

const char* const test_name = "ata";

namespace {

constexpr u8 busy = 0x80, request = 0x08, error = 0x01;
constexpr PciFunction ide{0, 1, 1};

volatile u32 interrupts;
// A region for the bus master must not cross 64 KB, its table neither.
constexpr u32 buffer_bytes = 16384;
u8 space[2 * buffer_bytes];
u8* buffer;
struct Region {
  u32 address, bytes;
};
alignas(16) Region table[2];

struct Channel {
  u16 base, control;
  u16 bus_master = 0;

  u8 status() const { return in8(base + 7); }
  u8 alternate() const { return in8(control); }
  // Waits until the drive is not busy; the alternate status.
  u8 wait() const {
    for (u32 i = 0; i < 10000000; ++i) {
      const u8 now = alternate();
      if (!(now & busy)) return now;
    }
    check(false, "a drive stays busy");
    return 0xff;
  }
  void address(u32 sector, u32 count, u8 device = 0xe0) const {
    out8(base + 6, static_cast<u8>(device | sector >> 24));
    out8(base + 2, static_cast<u8>(count));
    out8(base + 3, static_cast<u8>(sector));
    out8(base + 4, static_cast<u8>(sector >> 8));
    out8(base + 5, static_cast<u8>(sector >> 16));
  }
  void command(u8 code) const { out8(base + 7, code); }
  void read(void* to, u32 words) const {
    asm volatile("rep insw" : "+D"(to), "+c"(words) : "d"(base) : "memory");
  }
  void write(const void* from, u32 words) const {
    asm volatile("rep outsw" : "+S"(from), "+c"(words) : "d"(base) : "memory");
  }
};

Channel first{0x1f0, 0x3f6}, second{0x170, 0x376};
const Channel* of_interrupt = &first;
void note(TrapFrame& frame) {
  interrupts = interrupts + 1;
  of_interrupt->status();
  if (frame.vector >= 0x28) out8(0xa0, 0x20);
  out8(0x20, 0x20);
}

void initialise_interrupts() {
  initialise_8259s(1u << 14 | 1u << 15);
  set_handler(0x2e, note);
  set_handler(0x2f, note);
}

// Lets interrupts in until there are `count` since the last time; how many there were.
u32 wait_interrupts(u32 count) {
  for (u32 i = 0; i < 2000000 && interrupts < count; ++i) asm volatile("sti; nop; nop; cli");
  const u32 seen = interrupts;
  interrupts = 0;
  return seen;
}

u32 checksum(const u8* bytes, u32 count) {  // FNV-1a
  u32 sum = 2166136261u;
  for (u32 i = 0; i < count; ++i) sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}
void fill(u32 bytes, u32 seed) {
  for (u32 i = 0; i < bytes; ++i) buffer[i] = static_cast<u8>(i * 13 + seed + i / 512);
}
u16 word_of(u32 index) { return static_cast<u16>(buffer[2 * index] | buffer[2 * index + 1] << 8); }
u32 long_of(u32 index) { return word_of(index) | static_cast<u32>(word_of(index + 1)) << 16; }

// Reads by data requests of `per_request` sectors, with an interrupt for each.
void read_sectors(const Channel& c, u8 code, u32 sector, u32 count, u32 per_request) {
  c.address(sector, count);
  c.command(code);
  u32 seen = 0;
  for (u32 done = 0; done < count; done += per_request) {
    seen += wait_interrupts(1);
    check(c.wait() & request, "no data request");
    const u32 left = count - done;
    c.read(buffer + 512 * done, 256 * (left < per_request ? left : per_request));
  }
  line("read ", hex(code, 2), " of ", count, ": ", seen, " interrupts, status ",
       hex(c.wait() & (request | error), 2), " sum ", hex(checksum(buffer, 512 * count)));
}

void write_sectors(const Channel& c, u8 code, u32 sector, u32 count, u32 per_request, u32 seed) {
  fill(512 * count, seed);
  c.address(sector, count);
  c.command(code);
  u32 seen = 0;
  for (u32 done = 0; done < count; done += per_request) {
    check(c.wait() & request, "no data request");
    const u32 left = count - done;
    c.write(buffer + 512 * done, 256 * (left < per_request ? left : per_request));
    seen += wait_interrupts(1);
  }
  line("written ", hex(code, 2), " of ", count, ": ", seen, " interrupts, status ",
       hex(c.wait() & (request | error), 2), " sum ", hex(checksum(buffer, 512 * count)));
}

void identify(const Channel& c) {
  c.address(0, 1, 0xa0);
  c.command(0xec);
  wait_interrupts(1);
  c.wait();
  c.read(buffer, 256);
  const u32 capacity = long_of(60);
  line("identify: sectors ", capacity, " again ", long_of(100), ", geometry ", word_of(1), ' ',
       word_of(3), ' ', word_of(6), ", reached ", long_of(57));
  line("LBA and DMA ", (word_of(49) & 0x300) == 0x300, ", 48 bits ", (word_of(83) & 0x400) != 0,
       ", at most ", word_of(47) & 0xff, " in a request");
  check(word_of(54) * word_of(55) * word_of(56) == long_of(57), "the current geometry agrees");
}

void without_data(const Channel& c) {
  constexpr struct {
    const char* name;
    u8 feature, count, code;
  } rows[] = {{"nothing known", 0, 0, 0xff},  {"flush", 0, 0, 0xe7},
              {"flush 48", 0, 0, 0xea},       {"PIO 4", 3, 0x0c, 0xef},
              {"multiword 2", 3, 0x22, 0xef}, {"mode 7f", 3, 0x7f, 0xef},
              {"multiple 8", 0, 8, 0xc6},     {"multiple 3", 0, 3, 0xc6},
              {"idle", 0, 0, 0xe3},           {"standby now", 0, 0, 0xe0},
              {"packet", 0, 0, 0xa0},         {"identify packet", 0, 0, 0xa1}};
  for (const auto& row : rows) {
    out8(c.base + 1, row.feature);
    c.address(0, row.count);
    c.command(row.code);
    const u32 seen = wait_interrupts(1);
    const u8 now = c.wait();
    const u8 why = in8(c.base + 1);
    line(row.name, ": ", seen, " interrupt, error ", (now & error) != 0, ", aborted ",
         (now & error) != 0 && (why & 4) != 0);
  }
  c.address(0, 0);
  c.command(0xe5);
  wait_interrupts(1);
  line("power ", hex(in8(c.base + 2), 2));
}

// The bus master moves `bytes` to or from the buffer, in regions of unequal size.
void set_regions(const Channel& c, u32 bytes) {
  const u32 first = 1024, start = reinterpret_cast<u32>(buffer);
  table[0] = {start, first};
  table[1] = {start + first, (bytes - first) | 0x80000000};
  out32(c.bus_master + 4, reinterpret_cast<u32>(table));
  out8(c.bus_master + 2, 0x06);
}

void by_dma(const Channel& c, u8 code, u32 sector, u32 count, bool to_memory) {
  set_regions(c, 512 * count);
  c.address(sector, count);
  out8(c.bus_master, to_memory ? 8 : 0);
  c.command(code);
  out8(c.bus_master, to_memory ? 9 : 1);
  const u32 seen = wait_interrupts(1);
  const u8 now = in8(c.bus_master + 2) & 7;
  out8(c.bus_master, 0);
  line("DMA ", hex(code, 2), ": ", seen, " interrupt, bus master ", now, ", status ",
       hex(c.wait() & (request | error), 2), " sum ", hex(checksum(buffer, 512 * count)));
}

// The earlier values of the registers, for a 48-bit command.
void clear_high_order(const Channel& c) {
  for (u32 i = 2; i <= 5; ++i) out8(c.base + i, 0);
}

void reset(const Channel& c) {
  out8(c.base + 6, 0xa0);
  out8(c.control, 4);
  out8(c.control, 0);
  c.wait();
  line("reset: signature ", hex(in8(c.base + 2), 2), hex(in8(c.base + 3), 2),
       hex(in8(c.base + 4), 2), hex(in8(c.base + 5), 2), ", diagnostic ", hex(in8(c.base + 1), 2));
}

void disk(const Channel& c) {
  reset(c);
  out8(c.base + 6, 0xb0);
  line("no second drive: status ", hex(c.alternate(), 2));
  out8(c.base + 6, 0xa0);
  identify(c);
  without_data(c);
  identify(c);
  read_sectors(c, 0x20, 0, 3, 1);
  write_sectors(c, 0x30, 5, 3, 1, 1);
  read_sectors(c, 0x20, 4, 5, 1);
  write_sectors(c, 0xc5, 32, 19, 8, 2);
  read_sectors(c, 0xc4, 31, 20, 8);
  clear_high_order(c);
  read_sectors(c, 0x24, 40, 4, 1);
  by_dma(c, 0xc8, 30, 20, true);
  fill(512 * 20, 3);
  by_dma(c, 0xca, 100, 20, false);
  fill(512 * 20, 0);
  clear_high_order(c);
  by_dma(c, 0x25, 99, 20, true);
  c.address(0, 1, 0xa1);  // sector 5 of head 1, cylinder 0
  out8(c.base + 3, 5);
  c.command(0x20);
  wait_interrupts(1);
  c.read(buffer, 256);
  line("by head: sum ", hex(checksum(buffer, 512)));
  c.address(0x0fffff00, 1);
  c.command(0x20);
  wait_interrupts(1);
  line("beyond the end: error ", (c.wait() & error) != 0);
  out8(c.control, 2);
  c.address(0, 1);
  c.command(0xe7);
  c.wait();
  line("held back: ", wait_interrupts(1), " interrupts");
  c.status();
  out8(c.control, 0);
}

// Sends a packet; the status phase's error bit. Data goes into the buffer, `bytes` of it.
bool packet(const Channel& c, const u8 (&bytes)[12], u32& received, u32 limit = 2048) {
  out8(c.base + 6, 0xa0);
  out8(c.base + 1, 0);
  out8(c.base + 4, static_cast<u8>(limit));
  out8(c.base + 5, static_cast<u8>(limit >> 8));
  c.command(0xa0);
  c.wait();
  c.write(bytes, 6);
  received = 0;
  for (;;) {
    wait_interrupts(1);
    const u8 now = c.wait();
    if (!(now & request)) return (now & error) != 0;
    const u32 count = in8(c.base + 4) | static_cast<u32>(in8(c.base + 5)) << 8;
    c.read(buffer + received, (count + 1) / 2);
    received += count;
  }
}

void cdrom(const Channel& c) {
  u32 bytes = 0;
  reset(c);
  c.command(0xec);
  wait_interrupts(1);
  line("identify device: error ", (c.wait() & error) != 0, ", signature ", hex(in8(c.base + 4), 2),
       hex(in8(c.base + 5), 2));
  c.command(0xa1);
  wait_interrupts(1);
  c.wait();
  c.read(buffer, 256);
  line("identify packet device: ", hex(word_of(0), 4), ", DMA ", (word_of(49) & 0x100) != 0);
  for (u32 i = 0; i < 5 && packet(c, {0}, bytes); ++i) {  // a new medium may be told first
    packet(c, {3, 0, 0, 0, 18}, bytes);
  }
  packet(c, {0x12, 0, 0, 0, 36}, bytes);
  line("inquiry: ", bytes, " bytes, kind ", hex(buffer[0], 2), hex(buffer[1], 2));
  packet(c, {0x25}, bytes);
  line("capacity: ", bytes, " bytes, sum ", hex(checksum(buffer, 8)));
  for (const u32 limit : {2048u, 0xfffeu}) {
    const bool failed = packet(c, {0x28, 0, 0, 0, 0, 17, 0, 0, 3}, bytes, limit);
    line("read: ", bytes, " bytes, error ", failed, " sum ", hex(checksum(buffer, 3 * 2048)));
  }
  packet(c, {0x43, 2, 0, 0, 0, 0, 0, 0, 20}, bytes);
  line("contents: ", bytes, " bytes, tracks ", buffer[2], ' ', buffer[3], " sum ",
       hex(checksum(buffer + 16, 4)));
  bool failed = packet(c, {0x28, 0, 0xff, 0, 0, 0, 0, 0, 1}, bytes);
  packet(c, {3, 0, 0, 0, 18}, bytes);
  line("beyond the end: error ", failed, " sense ", hex(buffer[2] & 15, 2), hex(buffer[12], 2));
  failed = packet(c, {0xf3}, bytes);
  packet(c, {3, 0, 0, 0, 18}, bytes);
  line("nothing known: error ", failed, " sense ", hex(buffer[2] & 15, 2), hex(buffer[12], 2));

  fill(8192, 0);
  set_regions(c, 4096);
  out8(c.base + 1, 1);
  c.command(0xa0);
  c.wait();
  const u8 read_two[12] = {0x28, 0, 0, 0, 0, 9, 0, 0, 2};
  out8(c.bus_master, 9);
  c.write(read_two, 6);
  const u32 seen = wait_interrupts(1);
  const u8 now = in8(c.bus_master + 2) & 7;
  out8(c.bus_master, 0);
  line("DMA: ", seen, " interrupt, bus master ", now, " sum ", hex(checksum(buffer, 4096)));
}

}  // namespace

// By hand: how long a megabyte takes, in ticks of the time stamp counter.
u32 ticks() {
  u32 low;
  asm volatile("rdtsc" : "=a"(low) : : "edx");
  return low;
}
void speed(const Channel& c) {
  constexpr u32 requests = 2048 / 16;
  c.address(0, 16);
  c.command(0xc6);
  const u32 begin = ticks();
  for (u32 i = 0; i < requests; ++i) {
    c.address(16 * i, 16);
    c.command(0xc4);
    c.wait();
    c.read(buffer, 256 * 16);
  }
  const u32 middle = ticks();
  for (u32 i = 0; i < requests; ++i) {
    set_regions(c, 512 * 16);
    c.address(16 * i, 16);
    c.command(0xc8);
    out8(c.bus_master, 9);
    while (!(in8(c.bus_master + 2) & 4)) {
    }
    out8(c.bus_master, 0);
  }
  line("a megabyte: by the processor ", middle - begin, ", by DMA ", ticks() - middle);
}

void test() {
  const bool with_disk = option("disk"), with_cdrom = option("cdrom");
  line("disk ", with_disk, " CD-ROM ", with_cdrom);
  if (!with_disk && !with_cdrom) return;
  write_config_16(ide, 4, static_cast<u16>(read_config_16(ide, 4) | 5));
  first.bus_master = static_cast<u16>(read_config(ide, 0x20) & 0xfff0);
  second.bus_master = static_cast<u16>(first.bus_master + 8);
  const u32 start = reinterpret_cast<u32>(space);
  buffer = reinterpret_cast<u8*>((start + buffer_bytes - 1) & ~(buffer_bytes - 1));
  initialise_interrupts();
  if (with_disk) disk(first);
  if (option("speed")) speed(first);
  of_interrupt = &second;
  if (with_cdrom) cdrom(second);
}
