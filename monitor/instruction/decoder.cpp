#include "decoder.hpp"

#include <cstring>

#include "opcode_tables.hpp"

namespace undercroft {
namespace {

using opcode::Row;

constexpr std::size_t longest = 15;  // SDM volume 2, 2.3.11

enum class Prefix : std::uint8_t {
  none,
  segment,
  operand_size,
  address_size,
  lock,
  repne,
  repe,
};

struct PrefixByte {
  Prefix prefix = Prefix::none;
  Segment segment = Segment::ds;
};

// SDM volume 2, 2.1.1.
constexpr std::array<PrefixByte, 256> prefix_bytes = [] {
  std::array<PrefixByte, 256> bytes{};
  bytes[0x26] = {Prefix::segment, Segment::es};
  bytes[0x2e] = {Prefix::segment, Segment::cs};
  bytes[0x36] = {Prefix::segment, Segment::ss};
  bytes[0x3e] = {Prefix::segment, Segment::ds};
  bytes[0x64] = {Prefix::segment, Segment::fs};
  bytes[0x65] = {Prefix::segment, Segment::gs};
  bytes[0x66] = {Prefix::operand_size};
  bytes[0x67] = {Prefix::address_size};
  bytes[0xf0] = {Prefix::lock};
  bytes[0xf2] = {Prefix::repne};
  bytes[0xf3] = {Prefix::repe};
  return bytes;
}();

// ModRM with 16-bit addresses (SDM volume 2, table 2-1): base and index by rm.
struct Pair {
  std::optional<Register> base, index;
};
constexpr std::array<Pair, 8> pairs_16{{
    {Register::ebx, Register::esi},
    {Register::ebx, Register::edi},
    {Register::ebp, Register::esi},
    {Register::ebp, Register::edi},
    {Register::esi, {}},
    {Register::edi, {}},
    {Register::ebp, {}},
    {Register::ebx, {}},
}};

// One pass over the bytes, part by part. Each step returns whether to go on; if not, error_ says
// why.
class Decoder {
 public:
  Decoder(std::span<const std::uint8_t> bytes, bool code_is_32_bit)
      : bytes_(bytes.data()), available_(bytes.size() < longest ? bytes.size() : longest) {
    decoded_.operand_size = decoded_.address_size = code_is_32_bit ? 4 : 2;
  }

  Result<Instruction, DecodeError> run() {
    if (prefixes() && opcode() && select() && check() && address() && immediate()) {
      finish();
      return decoded_;
    }
    return Failure{error_};
  }

 private:
  bool fail(DecodeError error) {
    error_ = error;
    return false;
  }
  bool need(std::size_t count) {
    if (position_ + count <= available_) return true;
    return fail(available_ == longest ? DecodeError::too_long : DecodeError::truncated);
  }
  std::uint8_t here() const { return static_cast<std::uint8_t>(position_); }

  // Little-endian, as the host is. The bytes must be there.
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, bytes_ + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }
  std::uint32_t take_signed_byte() {
    return static_cast<std::uint32_t>(std::int32_t{take<std::int8_t>()});
  }

  bool prefixes();
  void prefix(PrefixByte);
  bool opcode();
  bool opcode_in(const Row* rows, const opcode::Group* groups, std::uint16_t map);
  bool select();
  bool select_fpu();
  bool check();
  bool check_form();
  bool address();
  bool address_16();
  bool address_32();
  bool sib();
  bool displacement(std::uint8_t size);
  bool immediate();
  bool immediate_of_size(std::uint8_t size);
  void finish();
  void finish_form();
  unsigned prefix_index() const {
    if (decoded_.repeat == Repeat::repe) return 2;
    if (decoded_.repeat == Repeat::repne) return 3;
    return decoded_.operand_size_prefix ? 1 : 0;
  }
  unsigned size_index() const { return decoded_.operand_size == 4 ? 1 : 0; }

  const std::uint8_t* bytes_;
  std::size_t available_;
  std::size_t position_ = 0;
  const Row* row_ = nullptr;
  const opcode::Group* groups_ = nullptr;
  opcode::Form form_ = 0;
  DecodeError error_ = DecodeError::undefined;
  Instruction decoded_{};
};

void Decoder::prefix(PrefixByte byte) {
  switch (byte.prefix) {
    case Prefix::none:
      break;
    case Prefix::segment:
      decoded_.segment_override = byte.segment;
      break;
    case Prefix::operand_size:
      decoded_.operand_size_prefix = true;
      break;
    case Prefix::address_size:
      decoded_.address_size_prefix = true;
      break;
    case Prefix::lock:
      decoded_.lock = true;
      break;
    case Prefix::repne:
      decoded_.repeat = Repeat::repne;
      break;
    case Prefix::repe:
      decoded_.repeat = Repeat::repe;
      break;
  }
}

bool Decoder::prefixes() {
  for (;;) {
    if (!need(1)) return false;
    const PrefixByte byte = prefix_bytes[bytes_[position_]];
    if (byte.prefix == Prefix::none) break;
    prefix(byte);
    ++position_;
  }
  decoded_.prefix_count = here();
  if (decoded_.operand_size_prefix) decoded_.operand_size ^= 2 ^ 4;
  if (decoded_.address_size_prefix) decoded_.address_size ^= 2 ^ 4;
  return true;
}

bool Decoder::opcode_in(const Row* rows, const opcode::Group* groups, std::uint16_t map) {
  if (!need(1)) return false;
  const auto byte = take<std::uint8_t>();
  decoded_.opcode = static_cast<std::uint16_t>(map | byte);
  row_ = &rows[byte];
  groups_ = groups;
  return true;
}

bool Decoder::opcode() {
  using namespace opcode_map;
  if (bytes_[position_] != 0x0f)
    return opcode_in(opcode::one_byte.rows.data(), opcode::one_byte.groups.data(), one_byte);
  ++position_;
  if (!opcode_in(opcode::two_byte.rows.data(), opcode::two_byte.groups.data(), two_byte))
    return false;
  if (decoded_.opcode == 0x0f38)
    return opcode_in(opcode::three_byte_38.rows.data(), opcode::three_byte_38.groups.data(),
                     three_byte_38);
  if (decoded_.opcode == 0x0f3a)
    return opcode_in(opcode::three_byte_3a.rows.data(), opcode::three_byte_3a.groups.data(),
                     three_byte_3a);
  return true;
}

// Reads ModRM and follows groups to the row that is meant.
bool Decoder::select() {
  if (row_->has(opcode::has_modrm)) {
    if (!need(1)) return false;
    decoded_.has_modrm = true;
    decoded_.modrm_offset = here();
    decoded_.modrm = take<std::uint8_t>();
    if (row_->has(opcode::escape)) return select_fpu();
  }
  while (row_->selector != opcode::Selector::none) {
    unsigned index = 0;
    switch (row_->selector) {
      case opcode::Selector::none:
        break;
      case opcode::Selector::reg:
        index = decoded_.reg() + (decoded_.mod() == 3 ? 8 : 0);
        break;
      case opcode::Selector::rm:
        index = decoded_.rm();
        break;
      case opcode::Selector::prefix:
        index = prefix_index();
        break;
    }
    row_ = &groups_[row_->group][index];
  }
  return true;
}

bool Decoder::select_fpu() {
  const unsigned low = decoded_.opcode & 7;
  if (decoded_.mod() != 3) {
    row_ = &opcode::fpu_memory_forms[low][decoded_.reg()];
    return true;
  }
  if (opcode::fpu_register_forms[low] >> (decoded_.modrm & 0x3f) & 1) return true;
  return fail(DecodeError::undefined);
}

bool Decoder::check() {
  const Row& row = *row_;
  if (row.operation == Operation::invalid) return fail(DecodeError::undefined);
  decoded_.has_memory = decoded_.has_modrm && decoded_.mod() != 3 && !row.has(opcode::ignores_mod);
  const bool memory = decoded_.has_memory;
  if (row.has(opcode::memory_only) && !memory) return fail(DecodeError::undefined);
  if (decoded_.lock && !(row.has(opcode::lockable) && memory)) return fail(DecodeError::undefined);
  return !row.has(opcode::prefixed) || check_form();
}

bool Decoder::check_form() {
  form_ = row_->forms[prefix_index()];
  const auto forbidden =
      decoded_.has_memory ? opcode::form_register_only : opcode::form_memory_only;
  if (form_ == 0 || (form_ & forbidden)) return fail(DecodeError::undefined);
  return true;
}

bool Decoder::displacement(std::uint8_t size) {
  if (!need(size)) return false;
  decoded_.displacement_offset = here();
  decoded_.displacement_size = size;
  MemoryOperand& memory = decoded_.memory;
  if (size == 1)
    memory.displacement = take_signed_byte();
  else if (size == 2)
    memory.displacement = static_cast<std::uint32_t>(take<std::int16_t>());
  else
    memory.displacement = take<std::uint32_t>();
  return true;
}

bool Decoder::address() {
  if (!decoded_.has_memory) return true;
  return decoded_.address_size == 4 ? address_32() : address_16();
}

// SDM volume 2, table 2-1.
bool Decoder::address_16() {
  const unsigned mod = decoded_.mod();
  const unsigned rm = decoded_.rm();
  decoded_.memory.is_16_bit = true;
  if (mod == 0 && rm == 6) return displacement(2);
  decoded_.memory.base = pairs_16[rm].base;
  decoded_.memory.index = pairs_16[rm].index;
  if (pairs_16[rm].base == Register::ebp) decoded_.default_segment = Segment::ss;
  return mod == 0 || displacement(mod == 1 ? 1 : 2);
}

// SDM volume 2, table 2-2.
bool Decoder::address_32() {
  const unsigned mod = decoded_.mod();
  const unsigned rm = decoded_.rm();
  if (rm == 4) return sib();
  if (mod == 0 && rm == 5) return displacement(4);
  decoded_.memory.base = static_cast<Register>(rm);
  if (rm == 5) decoded_.default_segment = Segment::ss;
  return mod == 0 || displacement(mod == 1 ? 1 : 4);
}

// SDM volume 2, table 2-3: index 4 is none; base 5 under mod 0 is a displacement alone.
bool Decoder::sib() {
  if (!need(1)) return false;
  const auto byte = take<std::uint8_t>();
  const unsigned mod = decoded_.mod();
  const unsigned index = (byte >> 3) & 7;
  const unsigned base = byte & 7;
  decoded_.has_sib = true;
  if (index != 4) {
    decoded_.memory.index = static_cast<Register>(index);
    decoded_.memory.scale = static_cast<std::uint8_t>(1u << (byte >> 6));
  }
  if (mod == 0 && base == 5) return displacement(4);
  decoded_.memory.base = static_cast<Register>(base);
  if (base == 4 || base == 5) decoded_.default_segment = Segment::ss;
  return mod == 0 || displacement(mod == 1 ? 1 : 4);
}

bool Decoder::immediate_of_size(std::uint8_t size) {
  if (!need(size)) return false;
  decoded_.immediate_offset = here();
  decoded_.immediate_size = size;
  if (size == 1)
    decoded_.immediate = take<std::uint8_t>();
  else if (size == 2)
    decoded_.immediate = take<std::uint16_t>();
  else
    decoded_.immediate = take<std::uint32_t>();
  return true;
}

bool Decoder::immediate() {
  switch (row_->immediate) {
    case opcode::Immediate::none:
      return true;
    case opcode::Immediate::byte:
      return immediate_of_size(1);
    case opcode::Immediate::byte_signed:
      if (!immediate_of_size(1)) return false;
      decoded_.immediate =
          static_cast<std::uint32_t>(std::int32_t{static_cast<std::int8_t>(decoded_.immediate)});
      return true;
    case opcode::Immediate::word:
      return immediate_of_size(2);
    case opcode::Immediate::full:
      return immediate_of_size(decoded_.operand_size);
    case opcode::Immediate::word_byte:
      if (!immediate_of_size(2) || !need(1)) return false;
      decoded_.second_immediate = take<std::uint8_t>();
      return true;
    case opcode::Immediate::far:
      if (!immediate_of_size(decoded_.operand_size) || !need(2)) return false;
      decoded_.second_immediate = take<std::uint16_t>();
      return true;
    case opcode::Immediate::direct:
      decoded_.has_memory = true;
      decoded_.memory.is_16_bit = decoded_.address_size == 2;
      return displacement(decoded_.address_size);
  }
  return fail(DecodeError::undefined);
}

void Decoder::finish_form() {
  constexpr unsigned aligned_width = 16;
  decoded_.memory_width = opcode::form_widths[form_ & opcode::form_width];
  if (form_ & opcode::form_store) decoded_.facts |= instruction_fact::native_store;
  if (decoded_.memory_width >= aligned_width && !(form_ & opcode::form_unaligned))
    decoded_.facts |= instruction_fact::aligned;
}

void Decoder::finish() {
  const Row& row = *row_;
  decoded_.operation = row.operation;
  decoded_.instruction_class = row.instruction_class;
  decoded_.facts = row.facts;
  decoded_.segment_register = row.segment_register;
  decoded_.operands = row.operands[size_index()];
  decoded_.length = here();
  decoded_.segment = decoded_.segment_override.value_or(decoded_.default_segment);
  if (row.has(opcode::wide_register) && !decoded_.has_memory)
    decoded_.operands[0].width = decoded_.operand_size;
  if (row.has(opcode::prefixed)) {
    if (row.operation == Operation::sse && (form_ & opcode::form_mmx))
      decoded_.operation = Operation::mmx;
    if (decoded_.has_memory) finish_form();
  } else if (decoded_.has_memory && !row.has(opcode::no_access)) {
    decoded_.memory_width = row.memory_width[size_index()];
  }
  if (decoded_.memory_width != 0 || row.has(opcode::implicit_data))
    decoded_.facts |= instruction_fact::data_segment;
}

}  // namespace

Result<Instruction, DecodeError> decode(std::span<const std::uint8_t> bytes, bool code_is_32_bit) {
  return Decoder(bytes, code_is_32_bit).run();
}

}  // namespace undercroft
