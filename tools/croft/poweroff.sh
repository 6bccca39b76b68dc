#!/bin/busybox sh
# Ends the run. QEMU's isa-debug-exit (port 0xf4, value 0x10) is the first way, since a kernel
# without ACPI can only halt; on a machine without that device the kernel's own way follows.
sync
printf '\020' | dd of=/dev/port bs=1 seek=244 count=1 2>/dev/null
exec /bin/busybox poweroff -f
