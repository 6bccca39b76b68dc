// How kernels grope for a PC: serial ports by scratch register, loopback and FIFO; a screen by what
// can be written and read back; interrupt controllers by their masks; the BIOS area read whole; all
// buses of PCI; other processors, started though there are none. With the word "speed" lines tell
// what it takes, which no twin run compares.
#include <initializer_list>

#include "runtime/apic.hpp"
#include "runtime/boot.hpp"
#include "runtime/console.hpp"
#include "runtime/pci.hpp"
#include "runtime/wait.hpp"

using namespace guest;

const char* const test_name = "pc_probes";

namespace {

// The BIOS data area lies where a compiler believes a null pointer points.
u16 bios_word(u32 address) {
  asm("" : "+r"(address));
  return *reinterpret_cast<volatile u16*>(address);
}

struct SerialAnswers {
  u8 scratch[2], enable, loopback, looped, queue, line;
};

// Nothing is printed meanwhile.
SerialAnswers probe_serial(u16 port) {
  SerialAnswers a{};
  const auto out = [port](u16 r, u8 value) { out8(static_cast<u16>(port + r), value); };
  const auto in = [port](u16 r) { return in8(static_cast<u16>(port + r)); };
  comes_soon([&] { return (in(5) & 0x40) != 0; });
  out(7, 0x5a);
  a.scratch[0] = in(7);
  out(7, 0xa5);
  a.scratch[1] = in(7);
  out(1, 0);
  a.enable = in(1);
  out(4, 0x1a);
  a.loopback = in(6) & 0xf0;
  out(0, 0x3c);
  for (u32 wait = 0; wait < 1000 && !(in(5) & 1); ++wait) {
  }
  a.looped = in(0);
  out(4, 0x03);
  out(2, 0xe7);
  a.queue = in(2) & 0xc0;
  out(2, 0x07);
  a.line = in(5) & 0x60;
  return a;
}

void serial_ports() {
  for (const u16 port : {0x3f8, 0x2f8, 0x3e8}) {
    const SerialAnswers a = probe_serial(port);
    line("serial ", hex(port, 3), ": scratch ", hex(a.scratch[0], 2), ' ', hex(a.scratch[1], 2),
         " enable ", hex(a.enable, 2), " loopback ", hex(a.loopback, 2), ' ', hex(a.looped, 2),
         " queue ", hex(a.queue, 2), " line ", hex(a.line, 2));
  }
}

void screens() {
  for (const u32 address : {0xb8000u, 0xb8f9eu, 0xbfffeu, 0xb0000u, 0xb7ffeu, 0xa0000u}) {
    volatile u16& cell = *reinterpret_cast<volatile u16*>(address);
    const u16 before = cell;
    cell = 0xaa55;
    const u16 first = cell;
    cell = 0x0720;
    const u16 second = cell;
    cell = before;
    line("screen ", hex(address), ": ", hex(first, 4), ' ', hex(second, 4));
  }
  for (const u16 port : {0x3d4, 0x3b4}) {
    out8(port, 0x0f);
    const u8 before = in8(static_cast<u16>(port + 1));
    out8(static_cast<u16>(port + 1), 0x5a);
    const u8 after = in8(static_cast<u16>(port + 1));
    out8(static_cast<u16>(port + 1), before);
    line("controller ", hex(port, 3), ": ", hex(after, 2));
  }
  line("colours: ", in8(0x3cc) & 1, " columns ", bios_word(0x44a), " port ",
       hex(bios_word(0x463), 3));
}

void board() {
  u32 wrong = 0;
  for (u32 mask = 0; mask < 256; ++mask) {
    out8(0x21, static_cast<u8>(mask));
    out8(0xa1, static_cast<u8>(~mask));
    if (in8(0x21) != mask || in8(0xa1) != (~mask & 0xff)) ++wrong;
  }
  out8(0x21, 0xff);
  out8(0xa1, 0xff);
  line("masks wrong: ", wrong);
  out8(0x20, 0x0b);
  out8(0xa0, 0x0b);
  print("in service: ", hex(in8(0x20), 2), ' ', hex(in8(0xa0), 2));
  line(" again: ", hex(in8(0x20), 2));
  out8(0x20, 0x0a);
  out8(0xa0, 0x0a);
  line("requested, but for the timer's: ", hex(in8(0x20) & 0xee, 2));
  out8(0x4d0, 0xff);
  out8(0x4d1, 0xff);
  line("edge or level: ", hex(in8(0x4d0), 2), ' ', hex(in8(0x4d1), 2));
  out8(0x4d0, 0);
  out8(0x4d1, 0x0c);
  const u8 speaker = in8(0x61) & 0xc;
  out8(0x61, static_cast<u8>(speaker | 1));
  print("port 61: ", hex(in8(0x61) & 3, 2));
  out8(0x61, speaker);
  line(' ', hex(in8(0x61) & 3, 2));
  out8(0x70, 0x8f);
  const u8 shutdown = in8(0x71);
  out8(0x70, 0x8f);
  out8(0x71, 0x0a);
  out8(0x70, 0x8f);
  line("shutdown byte: ", hex(in8(0x71), 2));
  out8(0x70, 0x8f);
  out8(0x71, shutdown);
  out8(0x70, 0x32);
  line("century: ", hex(in8(0x71), 2));
  for (const u16 port : {0x100, 0x3f0, 0x1000}) line("port: ", hex(in8(port), 2));
}

u32 sum_of_firmware() {
  u32 sum = 0;
  for (u32 address = 0xc0000; address < 0x100000; address += 4) {
    sum = sum * 31 + *reinterpret_cast<volatile u32*>(address);
  }
  return sum;
}

void tell(const char* what, u64 start, u32 count) {
  if (!option("speed")) return;
  line("speed, ", what, ": ", static_cast<u32>((time_stamp() - start) / count), " ticks each");
}

void firmware() {
  u64 start = time_stamp();
  const u32 sum = sum_of_firmware();
  tell("words of firmware", start, 0x10000);
  line("firmware stays as it is: ", sum == sum_of_firmware());
  u32 signatures = 0;
  start = time_stamp();
  for (u32 address = 0xe0000; address < 0x100000; address += 16) {
    const volatile u32* words = reinterpret_cast<const volatile u32*>(address);
    if (words[0] == 0x20445352 && words[1] == 0x20525450) ++signatures;  // "RSD PTR "
  }
  tell("paragraphs of a search", start, 0x2000);
  line("ACPI pointers: ", signatures);
  const u32 extended = bios_word(0x40e) * 16u;
  line("extended area: ", extended >= 0x80000 && extended < 0xa0000);
}

void buses() {
  u32 elsewhere = 0, here = 0;
  const u64 start = time_stamp();
  for (u32 bus = 0; bus < 256; ++bus) {
    for (u32 device = 0; device < 32; ++device) {
      if (read_config({bus, device, 0}, 0) != 0xffffffff) ++(bus == 0 ? here : elsewhere);
    }
  }
  tell("PCI functions", start, 256 * 32);
  line("on bus 0: ", here > 1, " elsewhere: ", elsewhere);
  line("bridge: ", hex(read_config({0, 0, 0}, 0)), ' ', hex(read_config({0, 0, 0}, 8) >> 8, 6));
}

// The protocol by which a processor is started, and what the starter waits for.
void send(u32 command, u32 destination) {
  apic::write(apic::command_high, destination << 24);
  apic::write(apic::command, command);
  const bool idle = comes_soon([] { return !(apic::read(apic::command) & 0x1000); });
  line("sent ", hex(command), ": idle ", idle, " reads ", hex(apic::read(apic::command)));
}

void other_processors() {
  volatile u32& started = *reinterpret_cast<volatile u32*>(0x8100);
  const u8 code[] = {0x2e, 0xff, 0x06, 0x00, 0x01, 0xf4};  // incw cs:[100]; hlt
  for (u32 i = 0; i < sizeof code; ++i) *reinterpret_cast<volatile u8*>(0x8000 + i) = code[i];
  started = 0;
  apic::write(apic::spurious, 0x1ff);
  line("APIC ", apic::read(apic::id) >> 24, " entries ", apic::read(apic::version) >> 16 & 0xff);
  for (const u32 id : {1u, 7u}) {
    send(0xc500, id);  // INIT
    send(0x8500, id);  // its end
    send(0x4608, id);  // start at 0x8000
    send(0x4608, id);
  }
  send(0xc4500, 0);  // to all others
  send(0xc4608, 0);
  send(0x88500, 0);  // the end of INIT to all, this one included
  send(apic::to_others | 0x40, 0);
  line("started: ", comes_soon([&] { return started != 0; }));
  apic::write(apic::spurious, 0xff);
}

}  // namespace

void test() {
  serial_ports();
  screens();
  board();
  firmware();
  buses();
  other_processors();
}
