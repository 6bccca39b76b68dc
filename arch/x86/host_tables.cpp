#include "host_tables.hpp"

#include "descriptors.hpp"
#include "image_layout.hpp"
#include "instructions.hpp"
#include "nexus.hpp"

namespace undercroft::x86 {
namespace {

struct alignas(page_size) Image {
  std::uint64_t entries[8192];
};
Image gdt_images[2];  // by View
Image ldt_images[2];
std::uint64_t interrupt_table[256];
TaskState double_fault_task;

constexpr unsigned view_count = 2;
constexpr std::uint16_t no_io_map = sizeof(TaskState);  // beyond the limit: every port traps

constexpr std::uint16_t selector(unsigned index) {
  return static_cast<std::uint16_t>(host_gdt::selector(index, 0));
}

// Every gate has DPL 0, so that INT n of the guest raises #GP and the monitor decodes it.
void build_interrupt_table() {
  for (unsigned vector = 0; vector < 256; ++vector) {
    interrupt_table[vector] = gate_descriptor(selector(host_gdt::monitor_code),
                                              offset_of(trap_stubs) + vector * trap_stub_size,
                                              descriptor_access::interrupt_gate);
  }
  interrupt_table[static_cast<unsigned>(Vector::double_fault)] =
      gate_descriptor(selector(host_gdt::double_fault_tss), 0, descriptor_access::task_gate);
}

}  // namespace

extern "C" TaskState monitor_task;  // nexus.S sets esp0
TaskState monitor_task;

std::span<std::uint64_t, 8192> gdt_storage(View view) {
  return gdt_images[static_cast<unsigned>(view)].entries;
}
std::span<std::uint64_t, 8192> ldt_storage(View view) {
  return ldt_images[static_cast<unsigned>(view)].entries;
}

void HostTables::build(HostPhysical monitor_root) {
  build_interrupt_table();
  monitor_task.ss0 = selector(host_gdt::monitor_data);
  monitor_task.cr3 = monitor_root.value();
  monitor_task.io_map_base = no_io_map;

  TaskState& task = double_fault_task;
  task.cr3 = monitor_root.value();
  task.eip = offset_of(reinterpret_cast<const void*>(double_fault_entry));
  task.eflags = eflags::always_one;
  task.esp = task.esp0 = offset_of(double_fault_stack_top);
  task.cs = selector(host_gdt::monitor_code);
  task.ss = task.ss0 = task.ds = task.es = selector(host_gdt::monitor_data);
  task.io_map_base = no_io_map;
}

void HostTables::write_monitor_entries(HostLinear base) {
  using namespace descriptor_access;
  const std::uint32_t at = base.value();
  const auto ldt_limit = ldt_entries_ * 8 - 1;
  for (unsigned view = 0; view < view_count; ++view) {
    std::uint64_t* gdt = gdt_images[view].entries;
    gdt[host_gdt::monitor_code] =
        segment_descriptor(at, window::size - 1, code_readable, flag_32_bit);
    gdt[host_gdt::monitor_data] =
        segment_descriptor(at, window::size - 1, data_writable, flag_32_bit);
    gdt[host_gdt::monitor_tss] =
        segment_descriptor(at + offset_of(&monitor_task), sizeof(TaskState) - 1, available_tss, 0);
    gdt[host_gdt::double_fault_tss] = segment_descriptor(at + offset_of(&double_fault_task),
                                                         sizeof(TaskState) - 1, available_tss, 0);
    gdt[host_gdt::monitor_flat] = segment_descriptor(0, 0xffffffff, data_writable, flag_32_bit);
    gdt[host_gdt::monitor_ldt] =
        ldt_entries_ ? segment_descriptor(at + window::ldt, ldt_limit, local_table, 0) : 0;
  }
  std::uint64_t* gdt = gdt_images[static_cast<unsigned>(View::kernel)].entries;
  gdt[host_gdt::cache_code] =
      segment_descriptor(at, window::cache_end - 1, code_readable | dpl_3, flag_32_bit);
  gdt[host_gdt::cpu_page] =
      segment_descriptor(at + window::cpu_page, page_size - 1, data_writable | dpl_3, flag_32_bit);
}

void HostTables::load(HostLinear base) {
  write_monitor_entries(base);
  load_descriptor_table(0xffff, (base + window::gdt).value());
  load_interrupt_table(sizeof(interrupt_table) - 1, base.value() + offset_of(interrupt_table));
  load_task_register(selector(host_gdt::monitor_tss));
  load_local_table(ldt_entries_ ? selector(host_gdt::monitor_ldt) : std::uint16_t{0});
}

void HostTables::set_ldt_entries(HostLinear base, unsigned count) {
  if (count == ldt_entries_) return;
  ldt_entries_ = count;
  const std::uint64_t entry = count
                                  ? segment_descriptor((base + window::ldt).value(), count * 8 - 1,
                                                       descriptor_access::local_table, 0)
                                  : 0;
  for (Image& image : gdt_images) image.entries[host_gdt::monitor_ldt] = entry;
  load_local_table(count ? selector(host_gdt::monitor_ldt) : std::uint16_t{0});
}

}  // namespace undercroft::x86
