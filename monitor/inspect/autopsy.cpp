#include "autopsy.hpp"

#include <string_view>

#include "format.hpp"

namespace undercroft {
namespace {

constexpr std::array<std::string_view, 8> register_names{"eax", "ecx", "edx", "ebx",
                                                         "esp", "ebp", "esi", "edi"};
constexpr std::array<std::string_view, 6> segment_names{"es", "cs", "ss", "ds", "fs", "gs"};

void print_segment(Console& out, std::string_view name, const DescriptorCache& cache) {
  print(out, "  {} {x4} base {x8} limit {x8} attributes {x4}{}\n", name, cache.selector, cache.base,
        cache.limit, cache.attributes, cache.usable ? "" : " unusable");
}

void print_registers(Console& out, const Vcpu& vcpu) {
  for (unsigned r = 0; r < vcpu.general.size(); ++r)
    print(out, "  {} {x8}{}", register_names[r], vcpu.general[r], r == 3 ? "\n" : "");
  print(out, "\n  eip {x8}  eflags {x8}  cpl {}\n", vcpu.eip, vcpu.eflags, vcpu.cpl);
  print(out, "  cr0 {x8}  cr2 {x8}  cr3 {x8}  cr4 {x8}\n", vcpu.cr0, vcpu.cr2, vcpu.cr3, vcpu.cr4);
  for (unsigned s = 0; s < vcpu.segments.size(); ++s)
    print_segment(out, segment_names[s], vcpu.segments[s]);
  print_segment(out, "ldtr", vcpu.ldtr);
  print_segment(out, "tr", vcpu.tr);
  print(out, "  gdtr {} limit {x4}  idtr {} limit {x4}\n", vcpu.gdtr.base, vcpu.gdtr.limit,
        vcpu.idtr.base, vcpu.idtr.limit);
}

void print_walk(Console& out, const Monitor& monitor, GuestLinear address) {
  const Walk walk = monitor.linear_memory().walk(address);
  print(out, "  page walk of {}:", address);
  for (unsigned i = 0; i < walk.entry_count; ++i)
    print(out, " [{}] = {x8}", walk.entries[i].address, walk.entries[i].entry.low());
  if (walk.mapped())
    print(out, " -> {}\n", walk.address);
  else
    print(out, walk.result == WalkResult::not_present ? " not present\n" : " reserved bit\n");
}

void print_code(Console& out, Monitor& monitor, GuestLinear address) {
  std::array<std::uint8_t, 16> bytes;
  const auto fetched = monitor.linear_memory().fetch(address, bytes, Privilege::supervisor);
  out.write("  code");
  for (unsigned i = 0; fetched && i < fetched.value(); ++i) print(out, " {x2}", bytes[i]);
  out.write(fetched ? "\n" : " cannot be read\n");
}

void print_event(Console& out, const Event& event) {
  print(out, "  to be delivered: vector {}", event.vector);
  if (event.kind == Event::Kind::exception) {
    const Exception& e = event.exception;
    print(out, " error code {x} address {}", e.error_code, e.fault_address);
  }
  out.write("\n");
}

}  // namespace

void print_state(Console& out, Monitor& monitor) {
  const Vcpu& vcpu = monitor.vcpu();
  print_registers(out, vcpu);
  const GuestLinear at(vcpu[Segment::cs].base + vcpu.eip);
  print_walk(out, monitor, at);
  print_code(out, monitor, at);
}

void print_autopsy(Console& out, Monitor& monitor, const RunEnd& end) {
  const Vcpu& vcpu = monitor.vcpu();
  if (end.kind == RunEnd::Kind::triple_fault) {
    out.write("undercroft: triple fault of the guest\n");
    print_event(out, end.event);
    const unsigned shown =
        end.chain.faults < Delivery::max_faults ? end.chain.faults : Delivery::max_faults;
    for (unsigned i = 0; i < shown; ++i) {
      const Exception& fault = end.chain.chain[i];
      print(out, "  fault {}: vector {} error code {x} address {}\n", i,
            static_cast<unsigned>(fault.vector), fault.error_code, fault.fault_address);
    }
  } else {
    print(out, "undercroft: the guest was stopped: {}\n", end.reason);
  }
  print_state(out, monitor);
  if (vcpu.cr2 != 0) print_walk(out, monitor, GuestLinear(vcpu.cr2));
  monitor.print_history(out);
}

}  // namespace undercroft
