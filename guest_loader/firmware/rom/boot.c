// INT 19h starts the boot sector of the first disk; INT 18h is what a boot sector calls that has
// found nothing.
#include "rom.h"

static ROM char nothing_to_boot[] = "There is nothing to boot.\r\n";

void no_boot_service(struct Registers* r) {
  (void)r;
  put_text(nothing_to_boot);
  for (;;) asm volatile("cli; hlt");
}

void boot_service(struct Registers* r) {
  enum { first_drive = 0x80, load_at = 0x7c00, mark_at = 0x7dfe, mark = 0xaa55 };
  for (u32 i = 0; i < 4; ++i) {
    ROM struct Disk* const disk = &facts.disks[i];
    if (disk->port == 0) continue;
    if (read_disk_sector(disk, 0, 0, load_at) || far_read16(0, mark_at) != mark) break;
    asm volatile(
        "xorw %%ax, %%ax; movw %%ax, %%ds; movw %%ax, %%es; movw %%ax, %%ss; movl $0x7c00, %%esp;"
        "sti; ljmpw $0, $0x7c00"
        :
        : "d"(first_drive)
        : "memory");
  }
  no_boot_service(r);
}
