/* A boot sector: tells on COM1 which drive it was started from, reads the second sector by INT 13h and
   tells the line that is in there, writes it to the screen by INT 10h, and ends the machine as the test
   kernels do. Assembled, linked at 0x7c00 and put into an image by tests/system/test_bios.py. */
.code16
.global start
start:
  ljmp $0, $1f
1: xor %ax, %ax
  mov %ax, %ds
  mov %ax, %es
  mov %ax, %ss
  mov $0x7c00, %sp
  sti
  mov %dl, drive
  mov $begins, %si
  call tell
  mov drive, %al
  shr $4, %al
  call digit
  mov drive, %al
  and $15, %al
  call digit
  mov $end_of_line, %si
  call tell
  mov $0x0201, %ax
  mov $0x8000, %bx
  mov $0x0002, %cx
  mov drive, %dl
  xor %dh, %dh
  int $0x13
  jc failed
  mov $0x8000, %si
  call tell
  mov $0x8000, %si
2: lodsb
  or %al, %al
  jz 3f
  mov $0x0e, %ah
  mov $7, %bx
  int $0x10
  jmp 2b
3: mov $0x20, %al
  jmp finish
failed:
  mov $0x21, %al
finish:
  out %al, $0xf4
  cli
  hlt

digit:
  add $'0', %al
  jmp send
tell:
  lodsb
  or %al, %al
  jz 9f
  call send
  jmp tell
9: ret
send:
  mov %al, %ah
  mov $0x3fd, %dx
8: in %dx, %al
  test $0x20, %al
  jz 8b
  mov %ah, %al
  mov $0x3f8, %dx
  out %al, %dx
  ret

begins: .asciz "| boot sector: drive "
end_of_line: .asciz "\n"
drive: .byte 0
.org 510
.word 0xaa55
