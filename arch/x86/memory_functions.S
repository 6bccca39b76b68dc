/* The four functions that the compiler calls by itself, and memchr and strlen for
   <string_view>. cdecl; DF is
   clear, as the ABI has it. */
.macro function name
  .globl \name
  .type \name, @function
\name:
.endm

.text
function memcpy
  push %esi
  push %edi
  mov 12(%esp), %edi
  mov 16(%esp), %esi
  mov 20(%esp), %ecx
  mov %edi, %eax
  mov %ecx, %edx
  shr $2, %ecx
  rep movsl
  mov %edx, %ecx
  and $3, %ecx
  rep movsb
  pop %edi
  pop %esi
  ret

/* Backwards only where the destination starts within the source. */
function memmove
  mov 4(%esp), %eax
  mov %eax, %edx
  sub 8(%esp), %edx
  cmp 12(%esp), %edx
  jae memcpy
  push %esi
  push %edi
  mov 20(%esp), %ecx
  mov 16(%esp), %esi
  lea -1(%esi,%ecx), %esi
  lea -1(%eax,%ecx), %edi
  std
  rep movsb
  cld
  pop %edi
  pop %esi
  ret

function memset
  push %edi
  mov 8(%esp), %edi
  movzbl 12(%esp), %eax
  imul $0x01010101, %eax, %eax
  mov 16(%esp), %ecx
  mov %ecx, %edx
  shr $2, %ecx
  rep stosl
  mov %edx, %ecx
  and $3, %ecx
  rep stosb
  mov 8(%esp), %eax
  pop %edi
  ret

function memcmp
  push %esi
  push %edi
  mov 12(%esp), %esi
  mov 16(%esp), %edi
  mov 20(%esp), %ecx
  xor %eax, %eax
  cmp %ecx, %ecx            /* equal if there is nothing to compare */
  repe cmpsb
  je 1f
  movzbl -1(%esi), %eax
  movzbl -1(%edi), %ecx
  sub %ecx, %eax
1:
  pop %edi
  pop %esi
  ret

function memchr
  push %edi
  mov 8(%esp), %edi
  mov 12(%esp), %eax
  mov 16(%esp), %ecx
  test %ecx, %ecx
  jz 1f
  repne scasb
  jne 1f
  lea -1(%edi), %eax
  pop %edi
  ret
1:
  xor %eax, %eax
  pop %edi
  ret

function strlen
  mov 4(%esp), %edx
  mov %edx, %eax
1:
  cmpb $0, (%eax)
  je 2f
  inc %eax
  jmp 1b
2:
  sub %edx, %eax
  ret

.section .note.GNU-stack, "", @progbits
