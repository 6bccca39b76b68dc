// Loading segment registers, LDTR and TR, in all modes (SDM volume 2, MOV, LLDT, LTR; volume
// 3, 5.6, 5.7, 20.1.1). Descriptors are read from the guest's tables as supervisor. On an error the
// Vcpu is unchanged. CS is loaded by far_transfer alone.
#pragma once

#include "../memory/linear_memory.hpp"
#include "../vcpu.hpp"
#include "descriptor.hpp"

namespace undercroft {

struct TableEntry {
  Descriptor descriptor;
  GuestLinear address;  // of its 8 bytes
};

// Where the selector's descriptor lies, or `vector`(selector) if it is beyond its table's limit or
// LDTR is null. A null selector is not treated specially.
Guarded<GuestLinear> descriptor_address(const Vcpu&, std::uint16_t selector,
                                        Vector vector = Vector::general_protection);
// Its contents as well; #PF if the table cannot be read.
Guarded<TableEntry> lookup_descriptor(const Vcpu&, LinearMemory&, std::uint16_t selector,
                                      Vector vector = Vector::general_protection);

// Sets the accessed bit in the table if it is clear. The entry is handed on as it is afterwards.
Guarded<Descriptor> mark_accessed(LinearMemory&, const TableEntry&);

// MOV/POP to ES, SS, DS, FS or GS, LDS and the like: never CS.
Guarded<Done> load_segment(Vcpu&, LinearMemory&, Segment, std::uint16_t selector);

// What load_segment would put into the register, for callers that have more to check before they
// change anything. `cpl` is the privilege level that the load is made with, `vector` the exception
// for what MOV reports as #GP (a task switch says #TS).
Guarded<DescriptorCache> data_segment_for(const Vcpu&, LinearMemory&, std::uint16_t selector,
                                          unsigned cpl, Vector = Vector::general_protection);
Guarded<DescriptorCache> stack_segment_for(const Vcpu&, LinearMemory&, std::uint16_t selector,
                                           unsigned cpl, Vector = Vector::general_protection);

// A register as real mode loads it (limit and type stay: unreal mode), and as V86 mode does.
DescriptorCache real_mode_segment(const DescriptorCache& old, std::uint16_t selector);
DescriptorCache virtual_8086_segment(std::uint16_t selector);

// LLDT and LTR past their CPL check: protected mode only. The caller tells the environment of the
// new LDTR. load_tr marks the TSS busy in the table.
Guarded<Done> load_ldtr(Vcpu&, LinearMemory&, std::uint16_t selector);
Guarded<Done> load_tr(Vcpu&, LinearMemory&, std::uint16_t selector);

}  // namespace undercroft
