#!/bin/busybox sh
# The guest's first process: a BusyBox shell on the serial line, or one command for croft.
#
# The kernel parameter croft.exec=BASE64 holds a shell command. Its output stands between two
# lines that begin with the byte 0x1e; the second carries its status. croft.console=NAME has another
# terminal than ttyS0, such as hvc0 with its driver.
/bin/busybox mkdir -p /proc /sys /dev /tmp /root /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

command=
console=ttyS0
session='setsid cttyhack' # on the kernel's last console
for word in $(cat /proc/cmdline); do
  case $word in
    croft.exec=*) command=${word#croft.exec=} ;;
    croft.console=*) console=${word#croft.console=} session='setsid -c' ;;
  esac
done
wait_for() { # until the test holds, for half a minute
  tries=0
  until [ $1 /dev/$2 ] || [ $tries -ge 300 ]; do
    usleep 100000
    tries=$((tries + 1))
  done
}

hostname undercroft
export PATH=/croft:/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=vt100 PS1='undercroft# '
cd /root

# BusyBox's poweroff, halt and reboot are signals to the first process. It hears them while it waits
# for croft's command; the interactive shell has aliases, since it prefers applets to PATH.
echo "alias poweroff=/croft/poweroff halt=/croft/poweroff reboot='/bin/busybox reboot -f'" >/croft/aliases
export ENV=/croft/aliases
trap /croft/poweroff USR1 USR2
trap '/bin/busybox reboot -f' TERM

# Only with disks: their drivers, and some time for the drivers to find them.
if [ -f /croft/load ]; then
  echo >/proc/sys/kernel/modprobe # all that is needed is in the list
  # With the kernel command line's words for it, as modprobe has them.
  for module in $(cat /croft/load); do
    insmod /croft/modules/$module $(tr ' ' '\n' </proc/cmdline | sed -n "s/^${module%.ko}\.//p")
  done
  for device in $(cat /croft/devices); do
    wait_for -b $device
  done
  rm -r /croft/modules
fi
wait_for -c $console
exec </dev/$console >/dev/$console 2>&1

if [ -n "$command" ]; then
  dmesg -n 1
  echo "$command" | base64 -d >/tmp/exec
  stty raw -echo
  printf '\036croft exec begin\n'
  sh /tmp/exec </dev/null &
  wait $!
  status=$?
  printf '\036croft exec status %d\n' $status
else
  dmesg -n 4
  echo
  echo "BusyBox on $(uname -sr), $(awk '/^MemTotal/ { printf "%d MB", $2 / 1024 }' /proc/meminfo)."
  echo "exit or poweroff ends the run; Ctrl-A X leaves at once."
  # Not in the background: a shell without job control starts programs there with SIGINT ignored.
  $session sh </dev/$console
fi
/croft/poweroff
