#include "guest_walk.hpp"

namespace undercroft {

Paging paging_of(const Vcpu& vcpu) {
  Paging paging;
  paging.root = GuestPhysical(vcpu.cr3).page();
  paging.a20_masked = vcpu.a20_masked;
  if (!vcpu.paging()) return paging;
  if (vcpu.cr4 & cr4::physical_address_extension) {
    paging.mode = PagingMode::pae;
    paging.root = GuestPhysical(vcpu.cr3 & ~(pae_pointer_table_bytes - 1));
    paging.pdptes = vcpu.pdptes;
  } else if (vcpu.cr4 & cr4::page_size_extensions) {
    paging.mode = PagingMode::two_level_large;
  } else {
    paging.mode = PagingMode::two_level;
  }
  return paging;
}

}  // namespace undercroft
