// INT 13h: the disks on the IDE controller by its ports, as drives 80h to 83h, by cylinder, head
// and sector and by the extensions (EDD 1.1). No diskettes; of CD-ROMs nothing is said.
#include "rom.h"

enum { data = 0, count = 2, sector_low = 3, device = 6, command = 7, status = 7 };  // from the port
enum { busy = 0x80, wants_data = 0x08, failed = 0x21 };                             // status bits
enum { command_read = 0x20, command_write = 0x30, command_verify = 0x40 };
// What INT 13h answers in AH.
enum { bad_command = 0x01, no_sector = 0x04, drive_failed = 0x20 };
enum { sectors_per_track = 63, sector_bytes = 512 };

// Where blocks go, and how many.
struct Transfer {
  u32 sector;
  u16 count, segment, offset;
};

struct Geometry {
  u32 cylinders, heads;
};

// What the drive says of itself, and what calls count in: with few cylinders the same, else as many
// heads as bring them below 1024.
static struct Geometry physical(ROM struct Disk* disk) {
  const u32 cylinders = disk->sectors / (16 * sectors_per_track);
  return (struct Geometry){cylinders < 1 ? 1 : cylinders > 16383 ? 16383 : cylinders, 16};
}
static struct Geometry logical(ROM struct Disk* disk) {
  struct Geometry geometry = physical(disk);
  if (geometry.cylinders <= 1024) return geometry;
  const u32 tracks = disk->sectors / sectors_per_track;
  while (geometry.heads < 128 && tracks / geometry.heads > 1024) geometry.heads *= 2;
  if (tracks / geometry.heads > 1024) geometry.heads = 255;
  geometry.cylinders = tracks / geometry.heads;
  if (geometry.cylinders > 1024) geometry.cylinders = 1024;
  return geometry;
}

static ROM struct Disk* disk_of(u8 drive) {
  if (drive < 0x80) return 0;
  u8 left = drive & 0x7f;
  for (u32 i = 0; i < 4; ++i) {
    if (facts.disks[i].port != 0 && left-- == 0) return &facts.disks[i];
  }
  return 0;
}

static u8 wait_until_ready(u16 port) {
  u8 value;
  do {
    value = in8(port + status);
  } while (value & busy);
  return value;
}

static void read_data(u16 port, u16 segment, u16 offset) {
  u32 words = sector_bytes / 2, to = offset;
  asm volatile("movw %w2, %%es; rep insw; pushw %%ss; popw %%es"
               : "+D"(to), "+c"(words)
               : "r"(segment), "d"(port)
               : "memory");
}

static void write_data(u16 port, u16 segment, u16 offset) {
  u32 words = sector_bytes / 2, from = offset;
  asm volatile("movw %w2, %%ds; rep outsw; pushw %%ss; popw %%ds"
               : "+S"(from), "+c"(words)
               : "r"(segment), "d"(port)
               : "memory");
}

static u8 transfer_sector(ROM struct Disk* disk, u8 what, u32 sector, u16 segment, u16 offset) {
  const u16 port = disk->port;
  out8(port + device, (u8)(0xe0 | disk->drive << 4 | sector >> 24));
  wait_until_ready(port);
  out8(port + count, 1);
  out8(port + sector_low, (u8)sector);
  out8(port + sector_low + 1, (u8)(sector >> 8));
  out8(port + sector_low + 2, (u8)(sector >> 16));
  out8(port + command, what);
  const u8 answer = wait_until_ready(port);
  if (answer & failed) return drive_failed;
  if (what == command_verify) return 0;
  if (!(answer & wants_data)) return drive_failed;
  if (what == command_read) {
    read_data(port, segment, offset);
  } else {
    write_data(port, segment, offset);
  }
  return wait_until_ready(port) & failed ? drive_failed : 0;
}

u8 read_disk_sector(ROM struct Disk* disk, u32 sector, u16 segment, u16 offset) {
  return transfer_sector(disk, command_read, sector, segment, offset);
}

// How many sectors were done is left in the transfer's count. Segments move on, offsets stay small.
static u8 transfer(ROM struct Disk* disk, u8 what, struct Transfer* blocks) {
  const u16 wanted = blocks->count;
  if (blocks->sector >= disk->sectors || wanted > disk->sectors - blocks->sector) {
    blocks->count = 0;
    return no_sector;
  }
  for (blocks->count = 0; blocks->count < wanted; ++blocks->count) {
    const u32 at = blocks->segment * 16u + blocks->offset + blocks->count * (u32)sector_bytes;
    const u8 error =
        transfer_sector(disk, what, blocks->sector + blocks->count, (u16)(at >> 4), at & 15);
    if (error) return error;
  }
  return 0;
}

static void answer(struct Registers* r, u8 error) {
  bda->disk_status = error;
  r->ah = error;
  r->flags = error ? r->flags | flag_carry : r->flags & (u16)~flag_carry;
}

static void by_cylinder(struct Registers* r, ROM struct Disk* disk, u8 what) {
  const struct Geometry geometry = logical(disk);
  const u32 cylinder = r->ch | (r->cl & 0xc0u) << 2, sector = r->cl & 0x3f;
  if (r->al == 0 || sector == 0) return answer(r, bad_command);
  if (cylinder >= geometry.cylinders || r->dh >= geometry.heads) return answer(r, bad_command);
  struct Transfer blocks = {(cylinder * geometry.heads + r->dh) * sectors_per_track + sector - 1,
                            r->al, r->es, r->bx};
  const u8 error = transfer(disk, what, &blocks);
  r->al = (u8)blocks.count;
  answer(r, error);
}

// The packet at DS:SI: size, count, buffer, sector.
static void by_packet(struct Registers* r, ROM struct Disk* disk, u8 what) {
  if (far_read8(r->ds, r->si) < 16) return answer(r, bad_command);
  struct Transfer blocks = {far_read32(r->ds, r->si + 8), far_read16(r->ds, r->si + 2),
                            far_read16(r->ds, r->si + 6), far_read16(r->ds, r->si + 4)};
  if (far_read32(r->ds, r->si + 12) != 0) blocks.sector = 0xffffffff;
  const u8 error = transfer(disk, what, &blocks);
  far_write16(r->ds, r->si + 2, blocks.count);
  answer(r, error);
}

static void parameters(struct Registers* r, ROM struct Disk* disk) {
  const struct Geometry geometry = logical(disk);
  // IBM's BIOS kept the last cylinder for diagnostics, and BIOSes still do not tell of it.
  const u32 last = geometry.cylinders > 2 ? geometry.cylinders - 2 : 0;
  r->al = 0;
  r->ch = (u8)last;
  r->cl = (u8)((last >> 2 & 0xc0) | sectors_per_track);
  r->dh = (u8)(geometry.heads - 1);
  r->dl = bda->disks;
  answer(r, 0);
}

static void type(struct Registers* r, ROM struct Disk* disk) {
  const struct Geometry geometry = logical(disk);
  const u32 sectors = (geometry.cylinders - 1) * geometry.heads * sectors_per_track;
  r->cx = (u16)(sectors >> 16);
  r->dx = (u16)sectors;
  answer(r, 0);
  r->ah = 3;  // a fixed disk
}

enum { parameter_bytes = 26, geometry_valid = 0x02 };

static void extended_parameters(struct Registers* r, ROM struct Disk* disk) {
  if (far_read16(r->ds, r->si) < parameter_bytes) return answer(r, bad_command);
  const struct Geometry geometry = physical(disk);
  const u32 words[] = {geometry.cylinders, geometry.heads, sectors_per_track, disk->sectors, 0};
  far_write32(r->ds, r->si, parameter_bytes | geometry_valid << 16);
  for (u32 i = 0; i < 5; ++i) far_write32(r->ds, (u16)(r->si + 4 + 4 * i), words[i]);
  far_write16(r->ds, r->si + 24, sector_bytes);
  answer(r, 0);
}

static void installation_check(struct Registers* r) {
  if (r->bx != 0x55aa) return answer(r, bad_command);
  answer(r, 0);
  r->bx = 0xaa55;
  r->ah = 0x21;    // EDD 1.1
  r->cx = 0x0005;  // packets, and what EDD says of drives
}

void disk_service(struct Registers* r) {
  ROM struct Disk* const disk = disk_of(r->dl);
  if (r->ah == 0x01) return answer(r, bda->disk_status);
  if (!disk) return answer(r, bad_command);
  switch (r->ah) {
    case 0x02:
      return by_cylinder(r, disk, command_read);
    case 0x03:
      return by_cylinder(r, disk, command_write);
    case 0x04:
      return by_cylinder(r, disk, command_verify);
    case 0x08:
      return parameters(r, disk);
    case 0x00:  // reset, set up, seek, recalibrate and the like: nothing needs to be done
    case 0x09:
    case 0x0c:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
    case 0x47:
      return answer(r, 0);
    case 0x15:
      return type(r, disk);
    case 0x41:
      return installation_check(r);
    case 0x42:
      return by_packet(r, disk, command_read);
    case 0x43:
      return by_packet(r, disk, command_write);
    case 0x44:
      return by_packet(r, disk, command_verify);
    case 0x48:
      return extended_parameters(r, disk);
  }
  answer(r, bad_command);
}
