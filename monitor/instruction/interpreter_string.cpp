// String instructions and port input and output. A repeated one runs up to a bound of iterations
// and then lets the caller look for interrupts: EIP stays at it, with RF set, and the count and
// index registers say how far it is. A fault leaves them as after the last finished iteration.
#include <algorithm>
#include <array>
#include <span>

#include "../breakpoints.hpp"
#include "execution.hpp"

namespace undercroft::execute {

namespace {

namespace math = undercroft::arithmetic;

constexpr unsigned most_iterations = 4096;

// SI and DI as the address size sees them.
struct Index {
  Execution& x;
  Register name;

  std::uint32_t value() const { return x.vcpu[name] & x.address_mask(); }
  void advance(std::uint32_t step) {
    x.set_register(static_cast<unsigned>(name), x.vcpu[name] + step, x.instruction.address_size);
  }
};

struct StringRun {
  Execution& x;
  unsigned width;
  std::uint32_t step;  // added to the index registers: width, or -width if DF is set
  Index source{x, Register::esi};
  Index destination{x, Register::edi};

  Guarded<std::uint32_t> read_source() const {
    return x.load(x.instruction.segment, source.value(), width);
  }
  Guarded<std::uint32_t> read_destination() const {
    return x.load(Segment::es, destination.value(), width);
  }
  Guarded<Done> write_destination(std::uint32_t value) const {
    return x.store(Segment::es, destination.value(), value, width);
  }
};

Guarded<Done> move_string(StringRun& run) {
  const std::uint32_t value = TRY(run.read_source());
  TRY(run.write_destination(value));
  run.source.advance(run.step);
  run.destination.advance(run.step);
  return Done{};
}

Guarded<Done> store_string(StringRun& run) {
  TRY(run.write_destination(run.x.accumulator(run.width)));
  run.destination.advance(run.step);
  return Done{};
}

Guarded<Done> load_string(StringRun& run) {
  run.x.set_accumulator(TRY(run.read_source()), run.width);
  run.source.advance(run.step);
  return Done{};
}

Guarded<Done> compare_strings(StringRun& run) {
  // ES:EDI first, as processors do.
  const std::uint32_t b = TRY(run.read_destination());
  const std::uint32_t a = TRY(run.read_source());
  run.x.set_flags(math::subtract(a, b, 0, run.width).flags);
  run.source.advance(run.step);
  run.destination.advance(run.step);
  return Done{};
}

Guarded<Done> scan_string(StringRun& run) {
  const std::uint32_t b = TRY(run.read_destination());
  run.x.set_flags(math::subtract(run.x.accumulator(run.width), b, 0, run.width).flags);
  run.destination.advance(run.step);
  return Done{};
}

Guarded<Done> input_string(StringRun& run) {
  Execution& x = run.x;
  const auto port_number = static_cast<std::uint16_t>(x.vcpu[Register::edx]);
  // A port read has effects: whatever the write would raise comes first.
  const GuestLinear address =
      TRY(x.linear(Segment::es, run.destination.value(), run.width, Access::write));
  TRY(x.memory.probe_write(address, run.width, x.privilege()));
  const std::uint32_t value = x.environment.port_read(port_number, run.width);
  TRY(x.memory.write(address, value, run.width, x.privilege()));
  run.destination.advance(run.step);
  return Done{};
}

Guarded<Done> output_string(StringRun& run) {
  Execution& x = run.x;
  const auto port_number = static_cast<std::uint16_t>(x.vcpu[Register::edx]);
  const std::uint32_t value = TRY(run.read_source());
  x.environment.port_write(port_number, value, run.width);
  run.source.advance(run.step);
  return Done{};
}

// Repeats `iteration` while the count lasts and, for CMPS and SCAS, ZF is as the prefix wants.
template <class F>
Guarded<Done> repeat(StringRun& run, bool compares, F iteration) {
  Execution& x = run.x;
  const Repeat kind = x.instruction.repeat;
  if (kind == Repeat::none) return iteration(run);
  const unsigned address_size = x.instruction.address_size;
  std::uint32_t count = x.register_value(1, address_size);
  // A debug trap comes after the iteration that it is for.
  const bool traps = x.flag(eflags::trap) || breakpoints_armed(x.vcpu);
  const unsigned bound = traps ? 1 : most_iterations;
  for (unsigned done = 0; count != 0; ++done) {
    if (done == bound) {
      x.unfinished = true;
      return Done{};
    }
    TRY(iteration(run));
    x.set_register(1, --count, address_size);
    if (compares && x.flag(eflags::zero) != (kind == Repeat::repe)) break;
  }
  return Done{};
}

// What one run of port accesses may be: as many elements as one page of memory takes and the buffer
// holds, without a wrap of the index.
constexpr std::uint32_t most_run_bytes = 512;
unsigned run_length(const StringRun& run, const Index& index, GuestLinear address, unsigned most) {
  const std::uint32_t left_in_page = page_size - address.page_offset();
  const std::uint32_t before_wrap = run.x.address_mask() - index.value();
  const std::uint32_t bytes = std::min({left_in_page, before_wrap, most_run_bytes});
  return std::min(bytes / run.width, most);
}

std::uint32_t element(const std::uint8_t* bytes, unsigned width) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i) value |= std::uint32_t{bytes[i]} << 8 * i;
  return value;
}

// Inputs some elements at once, if all of their place can be written; the number of them. 0: it is
// to be done one by one, which finds out why.
unsigned input_run(StringRun& run, unsigned most) {
  Execution& x = run.x;
  const std::uint32_t offset = run.destination.value();
  const auto address = x.linear(Segment::es, offset, run.width, Access::write);
  if (!address) return 0;
  const unsigned count = run_length(run, run.destination, address.value(), most);
  if (count < 2) return 0;
  const unsigned bytes = count * run.width;
  if (!x.linear(Segment::es, offset, bytes, Access::write, run.width)) return 0;
  if (!x.memory.probe_write(address.value(), bytes, x.privilege())) return 0;
  std::array<std::uint8_t, most_run_bytes> buffer;
  x.environment.port_read_string(static_cast<std::uint16_t>(x.vcpu[Register::edx]), run.width,
                                 std::span(buffer).first(bytes));
  for (unsigned done = 0; done < count; ++done) {
    const std::uint32_t value = element(buffer.data() + done * run.width, run.width);
    if (!run.write_destination(value)) return done;
    run.destination.advance(run.step);
  }
  return count;
}

// Likewise for output: as many elements as can be read.
unsigned output_run(StringRun& run, unsigned most) {
  Execution& x = run.x;
  const auto address = x.linear(x.instruction.segment, run.source.value(), run.width, Access::read);
  if (!address) return 0;
  const unsigned count = run_length(run, run.source, address.value(), most);
  std::array<std::uint8_t, most_run_bytes> buffer;
  unsigned read = 0;
  for (; read < count; ++read) {
    const auto value = run.read_source();
    if (!value) break;
    for (unsigned i = 0; i < run.width; ++i) {
      buffer[read * run.width + i] = static_cast<std::uint8_t>(value.value() >> 8 * i);
    }
    run.source.advance(run.step);
  }
  x.environment.port_write_string(static_cast<std::uint16_t>(x.vcpu[Register::edx]), run.width,
                                  std::span(buffer).first(read * run.width));
  return read;
}

// INS and OUTS. A sector of a disk comes in 256 elements, and each access by itself costs the time
// of day and a look at all interrupt lines.
Guarded<Done> repeat_port(StringRun& run, bool is_output) {
  Execution& x = run.x;
  const bool by_runs = x.instruction.repeat != Repeat::none && !x.flag(eflags::trap) &&
                       !breakpoints_armed(x.vcpu) && !x.flag(eflags::direction);
  if (!by_runs) return repeat(run, false, is_output ? output_string : input_string);
  const unsigned address_size = x.instruction.address_size;
  std::uint32_t count = x.register_value(1, address_size);
  for (unsigned done = 0; count != 0;) {
    if (done >= most_iterations) {
      x.unfinished = true;
      return Done{};
    }
    unsigned moved = is_output ? output_run(run, count) : input_run(run, count);
    if (moved == 0) {
      TRY(is_output ? output_string(run) : input_string(run));
      moved = 1;
    }
    count -= moved;
    done += moved;
    x.set_register(1, count, address_size);
  }
  return Done{};
}

}  // namespace

Guarded<Done> string(Execution& x) {
  // OUTS has the port first.
  const bool is_output = x.instruction.operation == Operation::outs;
  const unsigned width = x.instruction.operands[is_output ? 1 : 0].width;
  StringRun run{x, width, x.flag(eflags::direction) ? 0 - width : width};
  switch (x.instruction.operation) {
    case Operation::movs:
      return repeat(run, false, move_string);
    case Operation::stos:
      return repeat(run, false, store_string);
    case Operation::lods:
      return repeat(run, false, load_string);
    case Operation::cmps:
      return repeat(run, true, compare_strings);
    case Operation::scas:
      return repeat(run, true, scan_string);
    case Operation::ins:
    case Operation::outs:
      // The permission is asked for even if the count is 0.
      TRY(check_port(x, static_cast<std::uint16_t>(x.vcpu[Register::edx]), width));
      return repeat_port(run, is_output);
    default:
      return x.unknown();
  }
}

namespace {

// SDM volume 1, 18.5.2: the bitmap of a 32-bit TSS; the processor reads two bytes of it always.
Guarded<Done> check_bitmap(const Execution& x, std::uint16_t port_number, unsigned size) {
  constexpr std::uint32_t bitmap_base_offset = 0x66;
  const DescriptorCache& tr = x.vcpu.tr;
  const Exception denied = Exception::general_protection();
  const bool is_32_bit_tss = tr.usable && (tr.type() & 0xd) == 9;
  if (!is_32_bit_tss || tr.limit < bitmap_base_offset + 1) return Failure{denied};
  const std::uint32_t base =
      TRY(x.memory.read(GuestLinear(tr.base + bitmap_base_offset), 2, Privilege::supervisor));
  const std::uint32_t offset = base + port_number / 8;
  if (offset + 1 > tr.limit) return Failure{denied};
  const std::uint32_t map =
      TRY(x.memory.read(GuestLinear(tr.base + offset), 2, Privilege::supervisor));
  const std::uint32_t wanted = (1u << size) - 1;
  if (map >> (port_number % 8) & wanted) return Failure{denied};
  return Done{};
}

}  // namespace

Guarded<Done> check_port(const Execution& x, std::uint16_t port_number, unsigned size) {
  const Vcpu& vcpu = x.vcpu;
  if (!vcpu.protected_mode()) return Done{};
  // In V86 mode the bitmap decides alone.
  if (!vcpu.virtual_8086() && vcpu.cpl <= vcpu.iopl()) return Done{};
  return check_bitmap(x, port_number, size);
}

Guarded<Done> port(Execution& x) {
  const bool is_input = x.instruction.operation == Operation::in;
  const Operand& number_operand = x.operand(is_input ? 1 : 0);
  const unsigned width = x.operand(is_input ? 0 : 1).width;
  const auto number = static_cast<std::uint16_t>(TRY(x.read(number_operand)));
  TRY(check_port(x, number, width));
  if (is_input) {
    x.set_accumulator(x.environment.port_read(number, width), width);
  } else {
    x.environment.port_write(number, x.accumulator(width), width);
  }
  return Done{};
}

}  // namespace undercroft::execute
