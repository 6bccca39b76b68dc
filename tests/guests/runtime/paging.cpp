#include "paging.hpp"

namespace guest {

PageTable directory, low[low_tables];

void map_low_memory() {
  for (unsigned table = 0; table < low_tables; ++table) {
    for (u32 page = 0; page < pages_of_a_table; ++page) {
      low[table].entries[page] = (table * pages_of_a_table + page) * page_bytes | all_rights;
    }
    directory.entries[table] = low[table].address() | all_rights;
  }
}

void enable_paging() {
  set_cr3(directory.address());
  set_cr0(cr0() | cr0_pg);
}

}  // namespace guest
