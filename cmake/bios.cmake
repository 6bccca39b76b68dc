# The guest's BIOS: real-mode code in C, of which the logic gets the bytes. GCC's named address spaces
# are used, so clang does not do, whatever compiles the rest.
find_program(ROM_COMPILER gcc REQUIRED)
set(ROM_FOLDER ${CMAKE_SOURCE_DIR}/guest_loader/firmware/rom)
set(ROM_DATA ${CMAKE_BINARY_DIR}/bios_rom.cpp)
set(ROM_ELF ${CMAKE_BINARY_DIR}/bios_rom.elf)
file(GLOB ROM_SOURCES CONFIGURE_DEPENDS ${ROM_FOLDER}/*.S ${ROM_FOLDER}/*.c)
file(GLOB ROM_HEADERS CONFIGURE_DEPENDS ${ROM_FOLDER}/*.h)
# Constants lie in another segment than variables, so that the compiler may make no tables of its own.
set(ROM_FLAGS -m16 -march=i686 -Os -std=gnu17 -ffreestanding -fno-pic -fno-pie -mregparm=3
    -mpreferred-stack-boundary=2 -fno-stack-protector -fno-jump-tables -fno-tree-switch-conversion
    -fno-asynchronous-unwind-tables -fomit-frame-pointer -mgeneral-regs-only -Wall -Wextra -Werror
    -nostdlib -static -no-pie -Wl,--build-id=none)
add_custom_command(OUTPUT ${ROM_DATA}
  COMMAND ${ROM_COMPILER} ${ROM_FLAGS} -Wl,-T,${ROM_FOLDER}/rom.ld ${ROM_SOURCES} -o ${ROM_ELF}
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/bios_rom.py ${ROM_ELF} ${ROM_DATA}
  DEPENDS ${ROM_SOURCES} ${ROM_HEADERS} ${ROM_FOLDER}/rom.ld
          ${CMAKE_SOURCE_DIR}/cmake/bios_rom.py)
list(APPEND UNDERCROFT_LOGIC ${ROM_DATA})
