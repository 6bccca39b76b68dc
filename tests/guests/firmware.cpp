// What firmware leaves in memory, found as kernels find it: by signatures on 16 bytes, lengths and
// checksums. Only what every PC has is printed: that a table is there and whole, not what the board
// is made of. The word `speed` measures reads of the ACPI timer.
#include <initializer_list>

#include "runtime/boot.hpp"
#include "runtime/console.hpp"

using namespace guest;

const char* const test_name = "firmware";

namespace {

template <class T>
T at(u32 address) {
  asm("" : "+r"(address));  // low addresses are not null pointers here
  return *reinterpret_cast<const volatile T*>(address);
}

bool has_text(u32 address, const char* text) {
  for (; *text != '\0'; ++address, ++text) {
    if (at<u8>(address) != static_cast<u8>(*text)) return false;
  }
  return true;
}

bool adds_up(u32 address, u32 bytes) {
  u8 sum = 0;
  for (u32 i = 0; i < bytes; ++i) sum = static_cast<u8>(sum + at<u8>(address + i));
  return sum == 0;
}

u32 find(u32 first, u32 end, const char* signature) {
  for (u32 address = first; address < end; address += 16) {
    if (has_text(address, signature)) return address;
  }
  return 0;
}

// The places that the specifications name: the extended BIOS data area's first KB, then the ROM.
u32 find(const char* signature) {
  const u32 extended = at<u16>(0x40e) * 16u;
  const u32 found = extended >= 0x80000 ? find(extended, extended + 1024, signature) : 0;
  return found ? found : find(0xe0000, 0x100000, signature);
}

u32 table_named(u32 rsdt, const char* signature) {
  for (u32 entry = rsdt + 36; entry < rsdt + at<u32>(rsdt + 4); entry += 4) {
    if (has_text(at<u32>(entry), signature)) return at<u32>(entry);
  }
  return 0;
}

void show_table(const char* name, u32 table) {
  print(name, ": ", table ? "found" : "not there");
  if (table) print(", checksum ", adds_up(table, at<u32>(table + 4)) ? "ok" : "WRONG");
  put('\n');
}

u32 in32(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

u64 time_stamp() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

void acpi_timer(u16 port) {
  const u32 before = in32(port);
  bool moves = false, fits = true;
  for (unsigned i = 0; i < 100000 && !moves; ++i) {
    const u32 now = in32(port);
    moves = now != before;
    fits = fits && now <= 0xffffff;
  }
  line("ACPI timer: runs ", moves, ", has 24 bits ", fits);
  if (!option("speed")) return;
  constexpr u32 reads = 10000;
  const u64 start = time_stamp();
  for (u32 i = 0; i < reads; ++i) in32(port);
  // One tick is one instruction under QEMU's -icount shift=0.
  line("ticks for a read of the ACPI timer: ", static_cast<u32>((time_stamp() - start) / reads));
}

void acpi() {
  const u32 rsdp = find("RSD PTR ");
  line("RSDP: ", rsdp ? "found" : "not there");
  if (!rsdp) return;
  line("  checksum ", adds_up(rsdp, 20) ? "ok" : "WRONG");
  const u32 rsdt = at<u32>(rsdp + 16);
  show_table("RSDT", rsdt);
  const u32 fadt = table_named(rsdt, "FACP");
  show_table("FADT", fadt);
  if (!fadt) return;
  show_table("DSDT", at<u32>(fadt + 40));
  show_table("MADT", table_named(rsdt, "APIC"));
  const u32 facs = at<u32>(fadt + 36);
  line("FACS: ", has_text(facs, "FACS"), ", on 64 bytes ", facs % 64 == 0);
  line("SCI: interrupt ", at<u16>(fadt + 46));
  acpi_timer(static_cast<u16>(at<u32>(fadt + 76)));
}

// The MultiProcessor tables: one processor, one I/O APIC, and all entries by their count.
void multiprocessor() {
  const u32 pointer = find("_MP_");
  line("MP: ", pointer ? "found" : "not there");
  if (!pointer) return;
  const u32 table = at<u32>(pointer + 4);
  line("  checksum ", adds_up(pointer, 16) ? "ok" : "WRONG", ", table ",
       has_text(table, "PCMP") && adds_up(table, at<u16>(table + 4)) ? "ok" : "WRONG");
  u32 entry = table + 44, count = 0, processors = 0, io_apics = 0;
  for (; entry < table + at<u16>(table + 4); ++count) {
    const u8 kind = at<u8>(entry);
    processors += kind == 0;
    io_apics += kind == 2;
    entry += kind == 0 ? 20 : 8;
  }
  line("  whole ", entry == table + at<u16>(table + 4) && count == at<u16>(table + 34),
       ", processors ", processors, ", I/O APICs ", io_apics);
}

void smbios() {
  const u32 entry = find("_SM_");
  line("SMBIOS: ", entry ? "found" : "not there");
  if (!entry) return;
  line("  checksum ", adds_up(entry, at<u8>(entry + 5)) ? "ok" : "WRONG");
  line("  of its second half ", adds_up(entry + 0x10, 0x0f) ? "ok" : "WRONG");
  u32 structure = at<u32>(entry + 0x18);
  const u32 end = structure + at<u16>(entry + 0x16);
  u32 count = 0, last = 0;
  while (structure < end) {
    last = at<u8>(structure);
    structure += at<u8>(structure + 1);
    while (at<u16>(structure) != 0) ++structure;
    structure += 2;
    ++count;
  }
  line("  ends where it says ", structure == end && count == at<u16>(entry + 0x1c), ", with type ",
       last);
}

void bios() {
  const u32 video_bytes = at<u8>(0xc0002) * 512u;
  line("video ROM: ", at<u16>(0xc0000) == 0xaa55, ", checksum ",
       adds_up(0xc0000, video_bytes) ? "ok" : "WRONG");
  line("reset vector: jump ", at<u8>(0xffff0) == 0xea, ", date ",
       at<u8>(0xffff7) == '/' && at<u8>(0xffffa) == '/', ", model ", at<u8>(0xffffe) == 0xfc);
  for (const u32 vector : {0x08u, 0x10u, 0x13u, 0x15u, 0x1au}) {
    const u32 target = at<u16>(4 * vector) + at<u16>(4 * vector + 2) * 16u;
    line("vector ", vector, " in ROM ", target >= 0xc0000 && target < 0x100000);
  }
  line("COM1 ", at<u16>(0x400) == 0x3f8, ", CRT controller ", at<u16>(0x463) == 0x3d4,
       ", keyboard buffer empty ", at<u16>(0x41a) == at<u16>(0x41c));
  const u32 extended = at<u16>(0x40e) * 16u;
  line("extended area: ends at 640 KB ", extended + at<u8>(extended) * 1024u == 0xa0000,
       ", begins where memory ends ", at<u16>(0x413) * 1024u == extended);
}

// Writes to ROM have no effect.
void read_only() {
  auto* const byte = reinterpret_cast<volatile u8*>(0xffff0);
  const u8 before = *byte;
  *byte = static_cast<u8>(~before);
  line("ROM keeps its bytes: ", *byte == before);
}

}  // namespace

void test() {
  acpi();
  multiprocessor();
  smbios();
  bios();
  read_only();
}
