// The names of operations, for reports. The order is that of Operation.
#pragma once

#include <array>
#include <string_view>

#include "instruction.hpp"

namespace undercroft {

// clang-format off
inline constexpr std::array operation_names = std::to_array<std::string_view>({
  "invalid",
  "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp",
  "rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar",
  "inc", "dec", "not", "neg", "test", "mul", "imul", "div", "idiv",
  "shld", "shrd", "bt", "bts", "btr", "btc", "bsf", "bsr", "bswap", "popcnt", "crc32",
  "cbw", "cwd",
  "daa", "das", "aaa", "aas", "aam", "aad",
  "mov", "movzx", "movsx", "lea", "xchg", "xadd", "cmpxchg", "cmpxchg8b", "cmovcc", "setcc", "xlat",
  "movbe", "movnti",
  "push", "pop", "pusha", "popa", "enter", "leave",
  "movs", "cmps", "stos", "lods", "scas",
  "lahf", "sahf", "salc", "clc", "stc", "cmc", "cld", "std",
  "nop", "pause", "prefetch", "fence", "clflush", "bound", "arpl",
  "jcc", "jcxz", "loop", "loope", "loopne", "jmp", "call", "ret",
  "jmp far", "call far", "ret far", "iret", "int", "int3", "int1", "into", "sysenter", "sysexit",
  "mov from sreg", "mov to sreg", "push sreg", "pop sreg", "load far pointer",
  "pushf", "popf", "cli", "sti",
  "in", "out", "ins", "outs",
  "sgdt", "sidt", "lgdt", "lidt", "sldt", "str", "lldt", "ltr", "smsw", "lmsw", "clts",
  "lar", "lsl", "verr", "verw",
  "mov from cr", "mov to cr", "mov from dr", "mov to dr",
  "hlt", "invd", "wbinvd", "invlpg", "rdmsr", "wrmsr", "rdtsc", "rdtscp", "rdpmc", "cpuid", "rsm",
  "monitor", "mwait", "xgetbv", "xsetbv",
  "x87", "x87 environment", "fwait", "mmx", "sse", "fxsave", "fxrstor", "undefined",
});
// clang-format on
static_assert(operation_names.size() == static_cast<std::size_t>(Operation::undefined) + 1);

constexpr std::string_view name(Operation operation) {
  return operation_names[static_cast<std::size_t>(operation)];
}

}  // namespace undercroft
