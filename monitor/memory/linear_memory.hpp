// Guest memory by linear address, as one instruction of the guest sees it: guest page walk, rights,
// accessed and dirty bits, devices and watchers behind it. The interface that the interpreter and
// segment/ are written against; shadow paging implements it in the monitor, tests fake it.
#pragma once

#include <cstdint>
#include <span>

#include "../address.hpp"
#include "../exception.hpp"

namespace undercroft {

// Whose rights an access has. Descriptor tables, the TSS and inner stacks are accessed as
// supervisor whatever the CPL is (SDM volume 3, 4.6).
enum class Privilege : std::uint8_t { supervisor, user };

class LinearMemory {
 public:
  // size is 1, 2 or 4 bytes; an access may cross a page. Nothing is changed if an error is
  // returned.
  virtual Guarded<std::uint32_t> read(GuestLinear address, unsigned size, Privilege) = 0;
  virtual Guarded<Done> write(GuestLinear address, std::uint32_t value, unsigned size,
                              Privilege) = 0;

  // Reads for a read-modify-write: raises what the write would raise (error code with W set).
  virtual Guarded<std::uint32_t> read_to_modify(GuestLinear address, unsigned size, Privilege) = 0;

  // Raises what a write of size bytes (1 to 4096) would raise, without writing.
  virtual Guarded<Done> probe_write(GuestLinear address, unsigned size, Privilege) = 0;

  // Fetches instruction bytes until out is full or a page cannot be read. The number of bytes
  // fetched is at least 1; if the first byte's page faults, its exception is the error.
  virtual Guarded<unsigned> fetch(GuestLinear address, std::span<std::uint8_t> out, Privilege) = 0;

  // Whether a fetch would give just these bytes and change nothing, if that can be told at a
  // glance.
  virtual bool is_code(GuestLinear, std::span<const std::uint8_t>, Privilege) { return false; }

 protected:
  ~LinearMemory() = default;
};

}  // namespace undercroft
