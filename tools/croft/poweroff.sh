#!/bin/busybox sh
# Ends the run. QEMU's isa-debug-exit (port 0xf4, value 0x10) is the first way, since a kernel
# without ACPI can only halt; Bochs wants a word at port 0x8900. On a machine with neither the kernel's
# own way follows.
sync
printf '\020' | dd of=/dev/port bs=1 seek=244 count=1 2>/dev/null
for letter in S h u t d o w n; do
  printf $letter | dd of=/dev/port bs=1 seek=35072 count=1 2>/dev/null
done
exec /bin/busybox poweroff -f
