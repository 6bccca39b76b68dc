#include "boot/disk_modules.hpp"

#include <gtest/gtest.h>

#include <string>

namespace undercroft::boot {
namespace {

TEST(DiskModules, TheFirstWordSaysIt) {
  struct {
    const char* line;
    DiskKind kind;
    bool save;
  } const rows[] = {
      {"undercroft.disk=virtio", DiskKind::virtio, false},
      {"undercroft.disk=ata", DiskKind::ata, false},
      {"undercroft.disk=cdrom", DiskKind::cdrom, false},
      {"undercroft.disk=virtio,save", DiskKind::virtio, true},
      {"undercroft.disk=ata,save more words", DiskKind::ata, true},
  };
  for (const auto& row : rows) {
    const auto module = read_disk_module(row.line);
    ASSERT_TRUE(module.ok()) << row.line;
    EXPECT_TRUE(module.value().is_disk) << row.line;
    EXPECT_EQ(module.value().kind, row.kind) << row.line;
    EXPECT_EQ(module.value().save, row.save) << row.line;
  }
}

TEST(DiskModules, OtherModulesAreTheGuests) {
  for (const char* line : {"", "root=/dev/sda1", "quiet undercroft.disk=virtio", "undercroft.disk",
                           "Undercroft.disk=ata"}) {
    const auto module = read_disk_module(line);
    ASSERT_TRUE(module.ok()) << line;
    EXPECT_FALSE(module.value().is_disk) << line;
  }
}

TEST(DiskModules, WhatIsWrongIsNamed) {
  for (const char* line : {"undercroft.disk=", "undercroft.disk=scsi", "undercroft.disk=virtio2",
                           "undercroft.disk=virtio,", "undercroft.disk=virtio,keep",
                           "undercroft.disk=virtio,save,save", "undercroft.disk=cdrom,save"}) {
    const auto module = read_disk_module(line);
    ASSERT_FALSE(module.ok()) << line;
    EXPECT_NE(std::string(module.error()).find("undercroft.disk="), std::string::npos);
  }
}

TEST(DiskModules, PlacesAreCounted) {
  DiskPlaces places;
  for (unsigned i = 0; i < max_virtio_disks; ++i) EXPECT_TRUE(places.take(DiskKind::virtio).ok());
  EXPECT_FALSE(places.take(DiskKind::virtio).ok());
  for (unsigned i = 0; i < max_ide_disks; ++i) {
    EXPECT_TRUE(places.take(i % 2 ? DiskKind::ata : DiskKind::cdrom).ok());
  }
  EXPECT_FALSE(places.take(DiskKind::ata).ok());
  EXPECT_FALSE(places.take(DiskKind::cdrom).ok());
}

}  // namespace
}  // namespace undercroft::boot
