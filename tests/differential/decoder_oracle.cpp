#include "decoder_oracle.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "decoder_differences.hpp"
#include "monitor/instruction/operation_names.hpp"

namespace undercroft::differential {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  char buffer[4];
  for (std::uint8_t byte : bytes.first(std::min<std::size_t>(bytes.size(), 15))) {
    std::snprintf(buffer, sizeof buffer, "%02x ", byte);
    text += buffer;
  }
  return text;
}

bool is_one_of(ZydisMnemonic mnemonic, std::initializer_list<ZydisMnemonic> list) {
  for (ZydisMnemonic one : list)
    if (one == mnemonic) return true;
  return false;
}

bool has_register_of(const ZydisAnswer& answer, ZydisRegisterClass wanted) {
  for (unsigned i = 0; i < answer.instruction.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = answer.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == wanted)
      return true;
  }
  return false;
}

bool first_is(const ZydisAnswer& answer, ZydisRegisterClass wanted) {
  return answer.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         ZydisRegisterGetClass(answer.operands[0].reg.value) == wanted;
}

bool is_far(const ZydisAnswer& answer) {
  return answer.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

const ZydisDecodedOperand* memory_of(const ZydisAnswer& answer) {
  // The operand of ModRM or of the direct address; string operands and the stack have no encoding.
  for (unsigned i = 0; i < answer.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = answer.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
        operand.encoding != ZYDIS_OPERAND_ENCODING_NONE)
      return &operand;
  }
  return nullptr;
}

ZydisRegister zydis_register(Register r, bool is_16_bit) {
  return static_cast<ZydisRegister>((is_16_bit ? ZYDIS_REGISTER_AX : ZYDIS_REGISTER_EAX) +
                                    static_cast<int>(r));
}
ZydisRegister zydis_register(const std::optional<Register>& r, bool is_16_bit) {
  return r ? zydis_register(*r, is_16_bit) : ZYDIS_REGISTER_NONE;
}
ZydisRegister zydis_segment(Segment s) {
  return static_cast<ZydisRegister>(ZYDIS_REGISTER_ES + static_cast<int>(s));
}

// Name a memory operand that they do not access; Zydis gives it a size nevertheless.
bool accesses_nothing(Operation operation) {
  return operation == Operation::nop || operation == Operation::prefetch ||
         operation == Operation::clflush || operation == Operation::invlpg ||
         operation == Operation::undefined;
}

// Same memory operand? Returns what differs, or null.
const char* compare_memory(const Instruction& ours, const ZydisAnswer& answer) {
  const ZydisDecodedOperand* theirs = memory_of(answer);
  if (ours.has_memory != (theirs != nullptr)) return "has_memory";
  if (theirs == nullptr) return nullptr;
  const bool small = ours.memory.is_16_bit;
  if (small != (answer.instruction.address_width == 16)) return "address size";
  const auto& memory = theirs->mem;
  if (zydis_register(ours.memory.base, small) != memory.base) return "base";
  if (zydis_register(ours.memory.index, small) != memory.index) return "index";
  if (ours.memory.index && ours.memory.scale != memory.scale) return "scale";
  const std::uint32_t mask = small ? 0xffff : 0xffffffff;
  if ((ours.memory.displacement & mask) != (static_cast<std::uint32_t>(memory.disp.value) & mask))
    return "displacement";
  const bool address_only = memory.type == ZYDIS_MEMOP_TYPE_AGEN;
  if (!address_only && zydis_segment(ours.segment) != memory.segment) return "segment";
  if (ours.memory_width !=
      (address_only || accesses_nothing(ours.operation) ? 0 : theirs->size / 8))
    return "memory width";
  return nullptr;
}

const char* compare_layout(const Instruction& ours, const ZydisAnswer& answer) {
  const auto& raw = answer.instruction.raw;
  const bool modrm = answer.instruction.attributes & ZYDIS_ATTRIB_HAS_MODRM;
  if (ours.has_modrm != modrm) return "has_modrm";
  if (modrm && ours.modrm_offset != raw.modrm.offset) return "modrm offset";
  if (ours.has_sib != bool(answer.instruction.attributes & ZYDIS_ATTRIB_HAS_SIB)) return "has_sib";
  if (ours.displacement_size != raw.disp.size / 8) return "displacement size";
  if (ours.displacement_size != 0 && ours.displacement_offset != raw.disp.offset)
    return "displacement offset";
  if (ours.immediate_size != raw.imm[0].size / 8) return "immediate size";
  if (ours.immediate_size == 0) return nullptr;
  if (ours.immediate_offset != raw.imm[0].offset) return "immediate offset";
  return nullptr;
}

const char* compare_immediate(const Instruction& ours, const ZydisDecodedOperand& theirs,
                              const Operand& operand) {
  const std::uint32_t mask = operand.width == 1 ? 0xff : operand.width == 2 ? 0xffff : 0xffffffff;
  const std::uint32_t value =
      operand.kind == OperandKind::second_immediate ? ours.second_immediate : ours.immediate;
  const auto wanted = static_cast<std::uint32_t>(theirs.imm.value.u);
  return (value & mask) == (wanted & mask) ? nullptr : "immediate value";
}

ZydisRegister general(unsigned number, unsigned width) {
  const int base = width == 1   ? ZYDIS_REGISTER_AL
                   : width == 2 ? ZYDIS_REGISTER_AX
                                : ZYDIS_REGISTER_EAX;
  return static_cast<ZydisRegister>(base + static_cast<int>(number));
}

ZydisRegister register_of(const Instruction& ours, const Operand& operand) {
  switch (operand.kind) {
    case OperandKind::rm:
      return general(ours.rm(), operand.width);
    case OperandKind::reg:
      return general(ours.reg(), operand.width);
    case OperandKind::opcode_register:
      return general(ours.opcode_register(), operand.width);
    case OperandKind::accumulator:
      return general(0, operand.width);
    case OperandKind::count:
      return ZYDIS_REGISTER_CL;
    case OperandKind::port:
      return ZYDIS_REGISTER_DX;
    case OperandKind::segment_register:
      return zydis_segment(ours.segment_register);
    case OperandKind::control_register:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_CR0 + static_cast<int>(ours.reg()));
    case OperandKind::debug_register:
      return static_cast<ZydisRegister>(ZYDIS_REGISTER_DR0 + static_cast<int>(ours.reg()));
    default:
      return ZYDIS_REGISTER_NONE;
  }
}

const char* compare_operand(const Instruction& ours, const Operand& operand,
                            const ZydisDecodedOperand& theirs) {
  switch (theirs.type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
      // Only the low word counts; Zydis writes the register in its full width.
      if ((ours.operation == Operation::lar || ours.operation == Operation::lsl) &&
          operand.kind == OperandKind::rm)
        return static_cast<int>(ours.rm()) == ZydisRegisterGetId(theirs.reg.value)
                   ? nullptr
                   : "operand register";
      return register_of(ours, operand) == theirs.reg.value ? nullptr : "operand register";
    case ZYDIS_OPERAND_TYPE_MEMORY:
      if (operand.kind != OperandKind::rm && operand.kind != OperandKind::memory)
        return "operand kind (memory)";
      if (theirs.mem.type == ZYDIS_MEMOP_TYPE_AGEN) return nullptr;
      return operand.width == theirs.size / 8 ? nullptr : "operand width";
    case ZYDIS_OPERAND_TYPE_POINTER:
      if (operand.kind != OperandKind::far_pointer) return "operand kind (pointer)";
      return ours.immediate == theirs.ptr.offset && ours.second_immediate == theirs.ptr.segment
                 ? nullptr
                 : "far pointer";
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
      if (operand.kind == OperandKind::one) return theirs.imm.value.u == 1 ? nullptr : "one";
      if (theirs.imm.is_relative != (operand.kind == OperandKind::relative)) return "relative";
      return compare_immediate(ours, theirs, operand);
    default:
      return "operand type";
  }
}

// String operands are hidden in Zydis: memory by ESI in a segment that can be overridden, or by EDI
// in ES.
const char* compare_string(const Instruction& ours, const ZydisAnswer& answer) {
  bool data_segment = false, es = false;
  unsigned width = 0;
  for (unsigned i = 0; i < answer.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& theirs = answer.operands[i];
    if (theirs.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    width = theirs.size / 8u;
    if (theirs.mem.base == ZYDIS_REGISTER_ESI || theirs.mem.base == ZYDIS_REGISTER_SI) {
      data_segment = true;
      if (theirs.mem.segment != zydis_segment(ours.segment)) return "string segment";
    } else {
      es = true;
    }
  }
  if (ours.accesses_data_segment() != data_segment) return "string source";
  if (ours.accesses_es() != es) return "string destination";
  for (const Operand& operand : ours.operands)
    if ((operand.kind == OperandKind::implicit || operand.kind == OperandKind::accumulator) &&
        operand.width != width)
      return "string width";
  return nullptr;
}

// Operands one by one, in the manual's order. Zydis shows what an assembler would write; string
// operands and fixed registers are among them or not as the assembler likes.
const char* compare_operands(const Instruction& ours, const ZydisAnswer& answer) {
  if (ours.is_native() || accesses_nothing(ours.operation)) return nullptr;
  if (ours.is_string()) return compare_string(ours, answer);
  unsigned count = 0;
  for (unsigned i = 0; i < answer.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& theirs = answer.operands[i];
    if (theirs.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) continue;
    if (count == 3 || ours.operands[count].kind == OperandKind::none) {
      if (theirs.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT) return "operand missing";
      continue;
    }
    if (const char* what = compare_operand(ours, ours.operands[count], theirs)) return what;
    ++count;
  }
  // LDS and its kin: the segment register is hidden in Zydis.
  const unsigned expected = ours.operation == Operation::load_far_pointer ? 2 : 3;
  if (count < expected && ours.operands[count].kind != OperandKind::none) return "operand too many";
  return nullptr;
}

// PUSH, CALL and their kin: a hidden memory operand by ESP. Zydis shows none for software
// interrupts, which push by way of the IDT.
const char* compare_stack(const Instruction& ours, const ZydisAnswer& answer) {
  bool stack = false;
  for (unsigned i = 0; i < answer.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& theirs = answer.operands[i];
    stack |= theirs.type == ZYDIS_OPERAND_TYPE_MEMORY &&
             theirs.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
             ours.operation != Operation::xlat && !ours.is_string() && !ours.is_native() &&
             theirs.mem.segment == ZYDIS_REGISTER_SS;
  }
  stack |= answer.instruction.meta.category == ZYDIS_CATEGORY_INTERRUPT &&
           ours.operation != Operation::bound;
  return ours.accesses_stack() == stack ? nullptr : "stack";
}

const char* compare_prefixes(const Instruction& ours, const ZydisAnswer& answer) {
  const auto attributes = answer.instruction.attributes;
  if (ours.lock != bool(attributes & ZYDIS_ATTRIB_HAS_LOCK)) return "lock";
  if (ours.address_size * 8 != answer.instruction.address_width) return "effective address size";
  bool operand_size_prefix = false;
  for (unsigned i = 0; i < answer.instruction.raw.prefix_count; ++i)
    operand_size_prefix |= answer.instruction.raw.prefixes[i].value == 0x66;
  if (ours.operand_size_prefix != operand_size_prefix) return "operand size prefix";
  if (ours.prefix_count != answer.instruction.raw.prefix_count) return "prefix count";
  return nullptr;
}

// The memory operand that an assembler would write, or null. Hidden operands name one too.
const ZydisDecodedOperand* visible_memory(const ZydisAnswer& answer) {
  for (unsigned i = 0; i < answer.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = answer.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
        operand.visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
      return &operand;
  }
  return nullptr;
}

// SSE wants aligned operands (SDM volume 1, 11.4.1), but for the moves named unaligned and the
// string comparisons (volume 2, table 2-21, class 4).
bool wants_alignment(const ZydisAnswer& answer, const ZydisDecodedOperand& memory) {
  constexpr unsigned vector_bits = 128;
  if (memory.size < vector_bits) return false;
  switch (answer.instruction.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
      return false;
    default:
      return answer.instruction.meta.isa_ext != ZYDIS_ISA_EXT_X87;
  }
}

const char* compare_native(const Instruction& ours, const ZydisAnswer& answer) {
  if (!ours.is_native() || !ours.has_memory || ours.memory_width == 0) return nullptr;
  const ZydisDecodedOperand* memory = visible_memory(answer);
  if (memory == nullptr) return "memory operand of x87 or SSE";
  const bool reads = memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
  if (ours.operation != Operation::fxsave && ours.stores_memory() == reads) return "store";
  if (ours.needs_alignment() != wants_alignment(answer, *memory)) return "alignment";
  return nullptr;
}

const char* compare_all(const Instruction& ours, const ZydisAnswer& answer) {
  if (ours.length != answer.instruction.length) return "length";
  if (ours.instruction_class != class_of(answer)) return "class";
  if (name(ours.operation) != operation_name_of(answer)) return "operation";
  if ((answer.instruction.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) &&
      ours.instruction_class != InstructionClass::privileged &&
      ours.instruction_class != InstructionClass::sensitive)
    return "privileged";
  if (const char* what = compare_prefixes(ours, answer)) return what;
  if (const char* what = compare_stack(ours, answer)) return what;
  if (const char* what = compare_layout(ours, answer)) return what;
  if (const char* what = compare_memory(ours, answer)) return what;
  if (const char* what = compare_native(ours, answer)) return what;
  return compare_operands(ours, answer);
}

}  // namespace

Oracle::Oracle(bool code_is_32_bit) : code_is_32_bit_(code_is_32_bit) {
  ZydisDecoderInit(&decoder_,
                   code_is_32_bit ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                   code_is_32_bit ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
  // The processor modelled has none of these; their opcodes are what they were before.
  for (ZydisDecoderMode mode :
       {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT,
        ZYDIS_DECODER_MODE_TZCNT, ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE})
    ZydisDecoderEnableMode(&decoder_, mode, ZYAN_FALSE);
}

void Oracle::note(std::span<const std::uint8_t> bytes, const std::string& kind) {
  Mismatch& mismatch = mismatches_[kind];
  if (mismatch.count++ == 0) mismatch.example = hex(bytes);
}

unsigned Oracle::compare(std::span<const std::uint8_t> bytes) {
  ++compared_;
  ZydisAnswer answer;
  answer.status = ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &answer.instruction,
                                         answer.operands);
  answer.valid = ZYAN_SUCCESS(answer.status);
  const auto ours = decode(bytes, code_is_32_bit_);
  const unsigned length = answer.valid ? answer.instruction.length : 0;
  if (ours.ok() && answer.valid) {
    ++valid_;
    const char* what = compare_all(ours.value(), answer);
    if (what == nullptr) what = check_bounds(bytes, ours.value());
    if (what != nullptr)
      note(bytes, std::string(what) + ": " + ZydisMnemonicGetString(answer.instruction.mnemonic) +
                      " / " + std::string(name(ours.value().operation)));
    return length;
  }
  if (ours.ok())
    note(bytes, "defined here only: " + std::string(name(ours.value().operation)));
  else if (answer.valid && !justify(answer))
    note(bytes, std::string("undefined here: ") +
                    ZydisMnemonicGetString(answer.instruction.mnemonic) + " " +
                    ZydisISAExtGetString(answer.instruction.meta.isa_ext));
  return length;
}

bool Oracle::justify(const ZydisAnswer& answer) {
  unsigned index = 0;
  for (const Difference& difference : differences()) {
    if (difference.concerns(answer)) {
      ++justified_[index];
      return true;
    }
    ++index;
  }
  return false;
}

// One byte less is truncated; prefixes up to 15 bytes change nothing, one more is too long.
const char* Oracle::check_bounds(std::span<const std::uint8_t> bytes, const Instruction& ours) {
  const auto cut = decode(bytes.first(ours.length - 1u), code_is_32_bit_);
  if (cut.ok() || cut.error() != DecodeError::truncated) return "not truncated";
  std::uint8_t padded[32];
  for (unsigned extra : {15u - ours.length, 16u - ours.length}) {
    std::memset(padded, 0x3e, extra);
    std::memcpy(padded + extra, bytes.data(), ours.length);
    const auto grown = decode({padded, extra + ours.length}, code_is_32_bit_);
    if (extra + ours.length == 15 && !(grown.ok() && grown.value().length == 15)) return "not 15";
    if (extra + ours.length == 16 && (grown.ok() || grown.error() != DecodeError::too_long))
      return "not too long";
  }
  return nullptr;
}

std::string Oracle::report() const {
  std::string text;
  for (const auto& [kind, mismatch] : mismatches_)
    text += kind + ": " + std::to_string(mismatch.count) + ", e.g. " + mismatch.example + "\n";
  return text;
}

InstructionClass class_of(const ZydisAnswer& answer) {
  const ZydisMnemonic mnemonic = answer.instruction.mnemonic;
  if (is_one_of(mnemonic, {ZYDIS_MNEMONIC_UD0, ZYDIS_MNEMONIC_UD1, ZYDIS_MNEMONIC_UD2}))
    return InstructionClass::undefined;
  if (has_register_of(answer, ZYDIS_REGCLASS_CONTROL) ||
      has_register_of(answer, ZYDIS_REGCLASS_DEBUG))
    return InstructionClass::privileged;
  if (is_one_of(mnemonic, {ZYDIS_MNEMONIC_HLT, ZYDIS_MNEMONIC_CLTS, ZYDIS_MNEMONIC_INVD,
                           ZYDIS_MNEMONIC_WBINVD, ZYDIS_MNEMONIC_INVLPG, ZYDIS_MNEMONIC_RDMSR,
                           ZYDIS_MNEMONIC_WRMSR, ZYDIS_MNEMONIC_LGDT, ZYDIS_MNEMONIC_LIDT,
                           ZYDIS_MNEMONIC_LLDT, ZYDIS_MNEMONIC_LTR, ZYDIS_MNEMONIC_LMSW,
                           ZYDIS_MNEMONIC_SYSEXIT, ZYDIS_MNEMONIC_RSM, ZYDIS_MNEMONIC_MONITOR,
                           ZYDIS_MNEMONIC_MWAIT, ZYDIS_MNEMONIC_XSETBV}))
    return InstructionClass::privileged;
  if (has_register_of(answer, ZYDIS_REGCLASS_SEGMENT) ||
      is_one_of(mnemonic, {ZYDIS_MNEMONIC_LDS, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LSS,
                           ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS}))
    return InstructionClass::sensitive;
  if (is_one_of(mnemonic, {ZYDIS_MNEMONIC_PUSHF,  ZYDIS_MNEMONIC_PUSHFD,  ZYDIS_MNEMONIC_POPF,
                           ZYDIS_MNEMONIC_POPFD,  ZYDIS_MNEMONIC_IRET,    ZYDIS_MNEMONIC_IRETD,
                           ZYDIS_MNEMONIC_CLI,    ZYDIS_MNEMONIC_STI,     ZYDIS_MNEMONIC_SGDT,
                           ZYDIS_MNEMONIC_SIDT,   ZYDIS_MNEMONIC_SLDT,    ZYDIS_MNEMONIC_STR,
                           ZYDIS_MNEMONIC_SMSW,   ZYDIS_MNEMONIC_LAR,     ZYDIS_MNEMONIC_LSL,
                           ZYDIS_MNEMONIC_VERR,   ZYDIS_MNEMONIC_VERW,    ZYDIS_MNEMONIC_IN,
                           ZYDIS_MNEMONIC_OUT,    ZYDIS_MNEMONIC_INSB,    ZYDIS_MNEMONIC_INSW,
                           ZYDIS_MNEMONIC_INSD,   ZYDIS_MNEMONIC_OUTSB,   ZYDIS_MNEMONIC_OUTSW,
                           ZYDIS_MNEMONIC_OUTSD,  ZYDIS_MNEMONIC_INT,     ZYDIS_MNEMONIC_INT1,
                           ZYDIS_MNEMONIC_INT3,   ZYDIS_MNEMONIC_INTO,    ZYDIS_MNEMONIC_CPUID,
                           ZYDIS_MNEMONIC_RDTSC,  ZYDIS_MNEMONIC_RDTSCP,  ZYDIS_MNEMONIC_RDPMC,
                           ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_SYSENTER}))
    return InstructionClass::sensitive;
  if (is_far(answer)) return InstructionClass::sensitive;
  if (answer.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE)
    return InstructionClass::branch;
  return InstructionClass::plain;
}

namespace {

bool starts(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

// Families that Undercroft takes together.
struct Family {
  std::string_view mnemonic, operation;
};
constexpr Family families[] = {
    {"pushad", "pusha"},
    {"popad", "popa"},
    {"pushfd", "pushf"},
    {"popfd", "popf"},
    {"iretd", "iret"},
    {"cwde", "cbw"},
    {"cdq", "cwd"},
    {"jecxz", "jcxz"},
    {"lds", "load far pointer"},
    {"les", "load far pointer"},
    {"lss", "load far pointer"},
    {"lfs", "load far pointer"},
    {"lgs", "load far pointer"},
    {"movsb", "movs"},
    {"movsw", "movs"},
    {"movsd", "movs"},
    {"cmpsb", "cmps"},
    {"cmpsw", "cmps"},
    {"cmpsd", "cmps"},
    {"stosb", "stos"},
    {"stosw", "stos"},
    {"stosd", "stos"},
    {"lodsb", "lods"},
    {"lodsw", "lods"},
    {"lodsd", "lods"},
    {"scasb", "scas"},
    {"scasw", "scas"},
    {"scasd", "scas"},
    {"insb", "ins"},
    {"insw", "ins"},
    {"insd", "ins"},
    {"outsb", "outs"},
    {"outsw", "outs"},
    {"outsd", "outs"},
    {"ud0", "undefined"},
    {"ud1", "undefined"},
    {"ud2", "undefined"},
    {"lfence", "fence"},
    {"mfence", "fence"},
    {"sfence", "fence"},
    {"fwait", "fwait"},
    {"fxsave", "fxsave"},
    {"fxrstor", "fxrstor"},
    {"fisttp", "x87"},
    {"jcxz", "jcxz"},
    {"fnsave", "x87 environment"},
    {"fnstenv", "x87 environment"},
};

std::string move_name(const ZydisAnswer& answer) {
  const bool to = first_is(answer, ZYDIS_REGCLASS_CONTROL) ||
                  first_is(answer, ZYDIS_REGCLASS_DEBUG) ||
                  first_is(answer, ZYDIS_REGCLASS_SEGMENT);
  const std::string direction = to ? "mov to " : "mov from ";
  if (has_register_of(answer, ZYDIS_REGCLASS_CONTROL)) return direction + "cr";
  if (has_register_of(answer, ZYDIS_REGCLASS_DEBUG)) return direction + "dr";
  if (has_register_of(answer, ZYDIS_REGCLASS_SEGMENT)) return direction + "sreg";
  return "mov";
}

bool is_vector(const ZydisAnswer& answer) {
  switch (answer.instruction.meta.isa_ext) {
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_MMX:
      return true;
    default:
      return false;
  }
}

// MMX registers alone, or XMM among them; MXCSR counts as SSE.
std::string vector_name(const ZydisAnswer& answer) {
  bool mmx = answer.instruction.mnemonic == ZYDIS_MNEMONIC_EMMS;
  if (starts(ZydisMnemonicGetString(answer.instruction.mnemonic), "cvt")) return "sse";
  for (unsigned i = 0; i < answer.instruction.operand_count_visible; ++i) {
    if (answer.operands[i].type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    const auto register_class = ZydisRegisterGetClass(answer.operands[i].reg.value);
    if (register_class == ZYDIS_REGCLASS_XMM) return "sse";
    if (register_class == ZYDIS_REGCLASS_MMX) mmx = true;
  }
  return mmx ? "mmx" : "sse";
}

}  // namespace

std::string operation_name_of(const ZydisAnswer& answer) {
  const std::string mnemonic = ZydisMnemonicGetString(answer.instruction.mnemonic);
  const bool segment = has_register_of(answer, ZYDIS_REGCLASS_SEGMENT);
  const auto category = answer.instruction.meta.category;
  if (mnemonic == "movnti" || mnemonic == "popcnt" || mnemonic == "crc32" || mnemonic == "pause")
    return mnemonic;
  if (starts(mnemonic, "prefetch")) return "prefetch";
  const bool string_move = mnemonic == "movsd" || mnemonic == "cmpsd";  // also SSE
  for (const Family& family : families)
    if (family.mnemonic == mnemonic && !(string_move && is_vector(answer)))
      return std::string(family.operation);
  if (is_vector(answer)) return vector_name(answer);
  if (answer.instruction.meta.isa_ext == ZYDIS_ISA_EXT_X87) return "x87";
  // /6 of group 2: the same shift, under its undocumented number.
  if (mnemonic == "shl" && answer.instruction.raw.modrm.reg == 6) return "sal";
  if (mnemonic == "mov") return move_name(answer);
  if (segment && (mnemonic == "push" || mnemonic == "pop")) return mnemonic + " sreg";
  if (is_far(answer) && (mnemonic == "call" || mnemonic == "jmp" || mnemonic == "ret"))
    return mnemonic + " far";
  if (starts(mnemonic, "cmov")) return "cmovcc";
  if (starts(mnemonic, "set")) return "setcc";
  if (category == ZYDIS_CATEGORY_COND_BR && mnemonic[0] == 'j') return "jcc";
  return mnemonic;
}

}  // namespace undercroft::differential
