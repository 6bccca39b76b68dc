// Segments as memory accesses see them: bases that matter, 16-bit code and stacks, addresses that
// wrap. With "limits" on the command line, since not every emulated processor looks at them: byte
// and page limits, expand-down, null and read-only segments, code that runs off its end, and the
// stack instructions at the edge of a stack; each in the kernel and in user code.
#include <initializer_list>

#include "runtime/console.hpp"
#include "runtime/paging.hpp"
#include "runtime/rings.hpp"

using namespace guest;

const char* const test_name = "segment_limits";

namespace {

constexpr u8 data = 0x92, read_only = 0x90, expand_down = 0x96, code = 0x9a, execute_only = 0x98;
constexpr u8 flat = 0xc, bytes_32 = 4, bytes_16 = 0, pages_16 = 8;
constexpr u8 level(u8 access, unsigned dpl) { return static_cast<u8>(access | dpl << 5); }
constexpr unsigned rings_tried[] = {0, 1, 3};

asm(R"(
.text
// FS from the arguments, an offset, and one access of each kind. EAX tells how far it came.
l_byte:      mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             movb %fs:(%ebx), %cl
             int $0x80
l_word:      mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             movw %fs:(%ebx), %cx
             int $0x80
l_long:      mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             movl %fs:(%ebx), %ecx
             int $0x80
l_write:     mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             movl %ebx, %fs:(%ebx)
             int $0x80
l_modify:    mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             addl $1, %fs:(%ebx)
             int $0x80
l_read_only: mov ring_arguments, %eax
             mov %eax, %fs
             mov ring_arguments + 4, %ebx
             testl $1, %fs:(%ebx)
             int $0x80
// ES gets the end of a copy; ECX is what is left of it.
l_copy:      mov ring_arguments, %eax
             mov %eax, %es
             mov ring_arguments + 4, %edi
             mov $ring_arguments, %esi
             mov $4, %ecx
             cld
             rep movsl
             int $0x80
l_fill_back: mov ring_arguments, %eax
             mov %eax, %es
             mov ring_arguments + 4, %edi
             mov $3, %ecx
             mov $0x41, %al
             std
             rep stosb
             cld
             int $0x80
// A stack with an edge: ESP from the arguments.
l_push:      mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             push %ebx
             jmp l_stack_done
l_push_16:   mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             pushw %bx
             jmp l_stack_done
l_pop:       mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             pop %ecx
             jmp l_stack_done
l_pusha:     mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             pusha
             jmp l_stack_done
l_enter:     mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             mov %ebx, %ebp
             enter $4, $2
             jmp l_stack_done
l_leave:     mov ring_arguments, %eax
             mov ring_arguments + 4, %ebp
             mov %eax, %ss
             mov $0x100, %esp
             leave
             jmp l_stack_done
l_call:      mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             call l_stack_done
l_ret:       mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             ret
l_by_ebp:    mov ring_arguments, %eax
             mov ring_arguments + 4, %ebp
             mov %eax, %ss
             mov $0x100, %esp
             mov (%ebp), %ecx
             jmp l_stack_done
// Reads a page that is not in use on a stack of 16 bits.
l_touch:     mov ring_arguments, %eax
             mov ring_arguments + 4, %ebx
             mov %eax, %ss
             mov %ebx, %esp
             mov room, %ecx
             nop
             mov room + 4096, %ecx
// Only the kernel's stack is known to be good for INT in ring 0.
l_stack_done: mov %esp, %edx
             mov ring_arguments + 8, %eax
             mov %eax, %ss
             mov ring_arguments + 12, %esp
             int $0x80
// Code with a base and an end.
l_jump:      ljmp *ring_arguments
l_code:      inc %eax
             jmp l_code_2
             nop
l_code_2:    mov $0x12345678, %ebx
             int $0x80
             jmp .+0x2000
l_code_end:
)");
extern "C" char l_byte[], l_word[], l_long[], l_write[], l_modify[], l_read_only[], l_copy[],
    l_fill_back[], l_push[], l_push_16[], l_pop[], l_pusha[], l_enter[], l_leave[], l_call[],
    l_ret[], l_by_ebp[], l_jump[], l_stack_done[], l_touch[], l_code[], l_code_end[];

}  // namespace
extern "C" {
alignas(4096) u8 room[3 * 4096];
}
namespace {

u32 room_base() { return reinterpret_cast<u32>(room) + 4096; }

void print_outcome(const Trap& trap) {
  if (trap.frame.vector == 0x80) return put(" ok");
  print(' ', trap.frame.vector, ':', hex(trap.frame.error, 4));
}

// Every kind of access at every offset, in every ring.
void accesses(const char* name, u8 access, u32 limit, u8 granularity,
              std::initializer_list<u32> offsets) {
  const struct {
    const char* name;
    const char* code;
  } forms[] = {{"byte", l_byte},   {"word", l_word},     {"long", l_long},
               {"write", l_write}, {"modify", l_modify}, {"test", l_read_only}};
  for (const unsigned ring : rings_tried) {
    test_entry(0) = make_segment(room_base(), limit, level(access, ring), granularity);
    ring_arguments[0] = test_selector(0, ring);
    for (const auto& form : forms) {
      print(name, ", ring ", ring, ", ", form.name, ':');
      for (const u32 offset : offsets) {
        ring_arguments[1] = offset;
        print_outcome(run_in_ring(ring, form.code));
      }
      put('\n');
    }
  }
}

void limits() {
  accesses("bytes", data, 0xff, bytes_32, {0, 0xfc, 0xfd, 0xfe, 0xff, 0x100, 0xfffffffc, ~0u});
  accesses("no byte more", data, 0, bytes_32, {0, 1});
  accesses("pages", data, 0, flat, {0, 0xffc, 0xffd, 0xfff, 0x1000});
  accesses("16-bit segment", data, 0xff, bytes_16, {0xfc, 0xff, 0x100});
  accesses("expand-down", expand_down, 0xff, bytes_32, {0xfc, 0xfe, 0xff, 0x100, 0x101, 0x1ffc});
  accesses("expand-down, 16 bits", expand_down, 0x1ff, bytes_16,
           {0x1ff, 0x200, 0x201, 0x1000, 0xfffd, 0xffff, 0x10000});
  accesses("expand-down, pages", expand_down, 0, flat, {0xfff, 0x1000, 0x1001});
  accesses("expand-down, nothing", expand_down, 0xffff, pages_16, {0, 0xffff});
  accesses("read-only", read_only, 0xfffff, flat, {0});
  accesses("code", code, 0xfffff, flat, {0});
  for (const unsigned ring : rings_tried) {
    print("null, ring ", ring, ':');
    ring_arguments[0] = 0;
    ring_arguments[1] = address_of(l_byte);
    for (const char* form : {l_byte, l_long, l_write}) print_outcome(run_in_ring(ring, form));
    put('\n');
  }
}

void strings() {
  for (const unsigned ring : rings_tried) {
    test_entry(0) = make_segment(room_base(), 0xff, level(data, ring), bytes_32);
    ring_arguments[0] = test_selector(0, ring);
    print("copy to the end, ring ", ring, ':');
    for (const u32 offset : {0xf0u, 0xf4u, 0xf6u, 0xfcu, 0xfeu, 0x100u}) {
      ring_arguments[1] = offset;
      const Trap trap = run_in_ring(ring, l_copy);
      print_outcome(trap);
      print('/', trap.frame.ecx, '/', hex(trap.frame.edi, 3));
    }
    put('\n');
    print("fill backwards, ring ", ring, ':');
    for (const u32 offset : {2u, 1u, 0u, 0x100u}) {
      ring_arguments[1] = offset;
      const Trap trap = run_in_ring(ring, l_fill_back);
      print_outcome(trap);
      print('/', trap.frame.ecx, '/', hex(trap.frame.edi));
    }
    put('\n');
  }
}

void fill_room() {
  for (u32 i = 0; i < sizeof room / 4; ++i) {
    reinterpret_cast<u32*>(room)[i] = reinterpret_cast<u32>(l_stack_done);
  }
}

// In ring 0 an exception has to find a stack, so the edges are tried in the others only.
void stacks(const char* name, u8 access, u32 limit, u8 granularity,
            std::initializer_list<u32> offsets) {
  const struct {
    const char* name;
    const char* code;
  } forms[] = {{"push", l_push},   {"push 16", l_push_16}, {"pop", l_pop},
               {"pusha", l_pusha}, {"enter", l_enter},     {"leave", l_leave},
               {"call", l_call},   {"ret", l_ret},         {"by ebp", l_by_ebp}};
  for (const unsigned ring : {1u, 3u}) {
    test_entry(0) = make_segment(room_base(), limit, level(access, ring), granularity);
    ring_arguments[0] = test_selector(0, ring);
    ring_arguments[2] = ring_data(ring);
    ring_arguments[3] = ring_stack_top(ring);
    for (const auto& form : forms) {
      fill_room();
      print(name, ", ring ", ring, ", ", form.name, ':');
      for (const u32 offset : offsets) {
        // Half of two words leads nowhere; and EBP is not cut to 16 bits.
        if (form.code == l_ret && offset % 4 != 0) continue;
        if (form.code == l_by_ebp && offset > 0xffff && !option("limits")) continue;
        ring_arguments[1] = offset;
        const Trap trap = run_in_ring(ring, form.code);
        print_outcome(trap);
        if (trap.frame.vector == 0x80) {
          print('/', hex(trap.frame.edx));
        } else {
          print('/', hex(trap.frame.esp));
        }
      }
      put('\n');
    }
  }
}

// Bases, and 16-bit stacks, without an edge: any processor.
void bases_and_short_stacks() {
  stacks("32-bit stack with a base", data, 0xfffff, flat, {0x400});
  stacks("16-bit stack", data, 0xffff, bytes_16, {0x400, 0xabcd0400});
}
// The processor does not restore it on the way to such a stack, but nobody leaves user code here.
void upper_half_of_esp() {
  for (const unsigned ring : {1u, 3u}) {
    test_entry(0) = make_segment(room_base(), 0xffff, level(data, ring), bytes_16);
    ring_arguments[0] = test_selector(0, ring);
    ring_arguments[1] = 0xabcd0400;
    ring_arguments[2] = ring_data(ring);
    ring_arguments[3] = ring_stack_top(ring);
    set_cr3(directory.address());
    const Trap trap = run_in_ring(ring, l_touch);
    line("16-bit stack, ring ", ring, ": ", trap.frame.vector, " esp ", hex(trap.frame.edx));
  }
}
void edges_of_stacks() {
  stacks("stack", data, 0xff, bytes_32, {0, 2, 4, 0x1e, 0x20, 0xfc, 0xfe, 0x100, 0x104});
  stacks("16-bit stack at its top", data, 0xffff, bytes_16, {0, 2, 0xfffc, 0xfffe, 0xffff});
  stacks("expand-down stack", expand_down, 0xff, bytes_32, {0x100, 0x102, 0x104, 0x11e, 0x120});
  stacks("expand-down stack of 16 bits", expand_down, 0xff, bytes_16,
         {0x100, 0x104, 0x120, 0xfffe});
}

// A code segment that ends inside and between instructions.
void ends_of_code() {
  const u32 length = l_code_end - l_code;
  for (const unsigned ring : rings_tried) {
    print("code with a base, ring ", ring, ':');
    for (const u32 limit : {length - 1, 0u, 1u, 2u, 3u, 8u, 9u, 10u, 11u}) {
      if (limit != length - 1 && !option("limits")) continue;
      test_entry(0) = make_segment(address_of(l_code), limit, level(code, ring), bytes_32);
      ring_arguments[0] = 0;
      ring_arguments[1] = test_selector(0, ring);
      // Written, so that no processor goes on with what it has decoded under another limit.
      for (char* byte = l_code; byte < l_code_end; ++byte)
        *const_cast<volatile char*>(byte) = *byte;
      const Trap trap = run_in_ring(ring, l_jump);
      print_outcome(trap);
      print('/', hex(trap.frame.eip, 4));
    }
    put('\n');
    if (!option("limits")) continue;
    // Jumps behind the end, and a far jump.
    test_entry(0) = make_segment(address_of(l_code), length - 1, level(code, ring), bytes_32);
    print("  beyond it:");
    for (const u32 offset : {length - 5, length - 1, length, length + 0x1000, ~0u}) {
      ring_arguments[0] = offset;
      const Trap trap = run_in_ring(ring, l_jump);
      print_outcome(trap);
      print('/', hex(trap.frame.cs & 0xffff, 4), ':', hex(trap.frame.eip & 0xffff, 4));
    }
    put('\n');
  }
}

asm(R"(
.text
.code16
// 16-bit code in any ring, with a base: registers, stack, branches and memory.
w_start:     mov $0x1234, %ax
             add $0xf000, %ax
             pushf
             pop %bx
             and $0x8d5, %bx
             push %ax
             push $0x55
             pop %cx
             pop %dx
             call w_near
             pushl $0x89abcdef
             popl %esi
             mov $3, %edi
1:           inc %ax
             dec %di
             jnz 1b
             mov w_word - w_start, %bp
             cs mov w_word - w_start, %bp
             lea 0x7fff(%bx), %bx
             int $0x80
w_near:      inc %dx
             ret
w_word:      .word 0x4321
.code32
w_call:      pushl ring_arguments + 4
             pushl ring_arguments
             lret
)");
extern "C" char w_start[], w_call[];

void short_code() {
  for (const unsigned ring : rings_tried) {
    test_entry(0) = make_segment(address_of(w_start), 0xffff, level(code, ring), bytes_16);
    ring_arguments[1] = test_selector(0, ring);
    ring_arguments[0] = 0;
    const Trap trap = run_in_ring(ring, w_call);
    line("16-bit code, ring ", ring, ": ", trap.frame.vector, " eax ", hex(trap.frame.eax), " ebx ",
         hex(trap.frame.ebx & 0xffff, 4), " ecx ", hex(trap.frame.ecx), " edx ",
         hex(trap.frame.edx & 0xffff, 4), " esi ", hex(trap.frame.esi), " edi ",
         hex(trap.frame.edi), " ebp ", hex(trap.frame.ebp & 0xffff, 4), " at ",
         hex(trap.frame.cs & 0xffff, 4), ':', hex(trap.frame.eip));
  }
}

// Bases that take an address over the end of linear space.
void wrapping_bases() {
  for (const unsigned ring : rings_tried) {
    for (const u32 back : {0x10u, 0x1000u, 0x80000000u}) {
      test_entry(0) = make_segment(room_base() + back, 0xfffff, level(data, ring), flat);
      ring_arguments[0] = test_selector(0, ring);
      ring_arguments[1] = 0 - back;
      *reinterpret_cast<u32*>(room_base()) = 0xfeedf00d;
      const Trap trap = run_in_ring(ring, l_long);
      line("base beyond, ring ", ring, ": ", trap.frame.vector, ' ', hex(trap.frame.ecx));
    }
  }
}

}  // namespace

void test() {
  map_low_memory();
  enable_paging();
  prepare_rings();
  bases_and_short_stacks();
  upper_half_of_esp();
  wrapping_bases();
  short_code();
  ends_of_code();
  if (!option("limits")) return;
  limits();
  strings();
  edges_of_stacks();
}
