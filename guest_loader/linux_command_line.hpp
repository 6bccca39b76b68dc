// What a boot loader has to understand of Linux's command line (boot.rst, "Special Command Line
// Options"): mem= only. vga= and initrd= are for loaders that set modes and read files.
#pragma once

#include <cstdint>
#include <string_view>

namespace undercroft {

// The end of memory by the last mem=<size> of the line, in bytes; all ones if there is none, or
// none that is a number. A size may end in K, M or G; "mem=size@start" is no limit.
std::uint64_t memory_limit(std::string_view command_line);

}  // namespace undercroft
