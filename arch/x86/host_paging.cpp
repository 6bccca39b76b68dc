#include "host_paging.hpp"

#include "host_tables.hpp"
#include "image_layout.hpp"
#include "instructions.hpp"
#include "monitor/vcpu.hpp"

namespace undercroft::x86 {
namespace {

// Page entry bits (SDM volume 3, table 4-6). Accessed and dirty are set at once, so that the
// processor never writes to these tables.
constexpr std::uint32_t present = 0x001;
constexpr std::uint32_t writable = 0x002;
constexpr std::uint32_t user = 0x004;
constexpr std::uint32_t write_combining = 0x008;  // PWT; see Machine::initialise_processor
constexpr std::uint32_t cache_disable = 0x010;
constexpr std::uint32_t touched = 0x060;
constexpr std::uint32_t supervisor_read = present | touched;
constexpr std::uint32_t supervisor_write = present | writable | touched;
constexpr std::uint32_t user_write = present | user | writable | touched;

constexpr std::uint32_t screen_physical = 0xb8000;

struct alignas(page_size) PageTable {
  std::uint32_t entries[1024];
};

// Edited in place; the processor reads them by physical address.
PageTable window_tables[2];  // by View
PageTable root;
// Used from enable() until the monitor runs in the window.
PageTable boot_root;
PageTable identity_table;

PageTable& window_table(View view) { return window_tables[static_cast<unsigned>(view)]; }

void map_range(PageTable& table, std::uint32_t first, std::uint32_t end, HostPhysical frame,
               std::uint32_t rights) {
  for (std::uint32_t offset = first; offset < end; offset += page_size) {
    table.entries[offset / page_size] = (frame + (offset - first)).value() | rights;
  }
}

void map_image(PageTable& table) {
  const std::uint32_t read_only_end = offset_of(image_read_only_end);
  map_range(table, window::image_start, read_only_end, physical_of_offset(window::image_start),
            supervisor_read);
  map_range(table, read_only_end, offset_of(image_used_end), physical_of_offset(read_only_end),
            supervisor_write);
  table.entries[offset_of(monitor_stack_guard) / page_size] = 0;
  table.entries[offset_of(double_fault_stack_guard) / page_size] = 0;
}

// The processor writes busy bits of the monitor's TSSs into the GDT's last page.
void map_descriptor_tables(PageTable& table, View view) {
  constexpr std::uint32_t table_size = window::ldt - window::gdt;
  constexpr std::uint32_t last_page = window::ldt - page_size;
  const HostPhysical gdt = physical_of(gdt_storage(view).data());
  map_range(table, window::gdt, last_page, gdt, supervisor_read);
  map_range(table, last_page, window::ldt, gdt + (table_size - page_size), supervisor_write);
  map_range(table, window::ldt, window::ldt + table_size, physical_of(ldt_storage(view).data()),
            supervisor_read);
}

// The monitor reads them in every view; the guest only where its kernel runs.
void map_cache(PageTable& table, bool guest_may_use_it) {
  const std::uint32_t to_user = guest_may_use_it ? user : 0;
  map_range(table, window::cpu_page, window::cpu_page + page_size,
            physical_of_offset(window::cpu_page), supervisor_write | to_user);
  map_range(table, window::native_code, window::native_code + page_size,
            physical_of_offset(window::native_code), supervisor_read | to_user);
  map_range(table, window::jump_table, window::cache_end, physical_of_offset(window::jump_table),
            supervisor_read | to_user);
}

constexpr unsigned directory_index(HostLinear base) { return base.value() >> 22; }

}  // namespace

void HostPaging::build() {
  for (const View view : {View::kernel, View::user}) {
    PageTable& table = window_table(view);
    map_image(table);
    map_descriptor_tables(table, view);
    map_range(table, window::screen, window::screen + page_size, HostPhysical(screen_physical),
              supervisor_write | cache_disable);
    map_cache(table, view == View::kernel);
  }

  map_window(default_base);
  map_range(identity_table, 0, window::size, HostPhysical(0), supervisor_write);
  boot_root.entries[0] = physical_of(&identity_table).value() | supervisor_write;
  boot_root.entries[directory_index(default_base)] = window_entry(View::kernel);
}

void HostPaging::show_cache_to_user(bool shown) {
  map_descriptor_tables(window_table(View::user), shown ? View::kernel : View::user);
  map_cache(window_table(View::user), shown);
}

void HostPaging::enable() {
  write_cr3(physical_of(&boot_root).value());
  write_cr0(cr0::paging | cr0::write_protect | cr0::numeric_error | cr0::extension_type |
            cr0::protection_enable);
}

HostPhysical HostPaging::monitor_root() const { return physical_of(&root); }

// What a guest may do is said by the table's entries.
std::uint32_t HostPaging::window_entry(View view) const {
  return physical_of(&window_table(view)).value() | (user_write & ~0x40u);
}

void HostPaging::map_window(HostLinear base) {
  root.entries[directory_index(base)] = window_entry(View::kernel);
}

void HostPaging::unmap_window(HostLinear base) { root.entries[directory_index(base)] = 0; }

void HostPaging::point(unsigned slot, HostPhysical frame) {
  const std::uint32_t offset = window::mapping_slots + slot * page_size;
  for (PageTable& table : window_tables) {
    table.entries[offset / page_size] = frame.page().value() | supervisor_write;
  }
  invalidate_offset(offset);
}

void HostPaging::show_device(std::uint32_t offset, HostPhysical frame) {
  for (PageTable& table : window_tables) {
    table.entries[offset / page_size] = frame.value() | supervisor_write | cache_disable;
  }
  invalidate_offset(offset);
}

void HostPaging::point_pixels(HostPhysical frame) {
  for (unsigned page = 0; page < 2; ++page) {
    const std::uint32_t offset = window::pixels + page * page_size;
    for (PageTable& table : window_tables) {
      table.entries[offset / page_size] =
          (frame + page * page_size).value() | supervisor_write | write_combining;
    }
    invalidate_offset(offset);
  }
}

}  // namespace undercroft::x86
