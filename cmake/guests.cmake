# The test kernels: tests/guests/NAME.cpp becomes guests/NAME.elf, an ordinary multiboot 1 kernel
# that runs on the bare machine and under Undercroft alike.
set(GUEST_FLAGS -m32 -march=i686 -O2 -ffreestanding -fno-pic -fno-exceptions -fno-rtti
    -fno-threadsafe-statics -fno-stack-protector -fno-asynchronous-unwind-tables -mgeneral-regs-only
    -fcf-protection=none -fno-delete-null-pointer-checks -Wall -Wextra -Werror)

add_library(guest_runtime OBJECT tests/guests/runtime/start.S tests/guests/runtime/runtime.cpp
    tests/guests/runtime/paging.cpp tests/guests/runtime/rings.cpp)
target_compile_options(guest_runtime PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${GUEST_FLAGS}>" "$<$<COMPILE_LANGUAGE:ASM>:-m32>")

add_custom_target(guests)
file(GLOB guest_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/guests/*.cpp)
foreach(source ${guest_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(guest_${name} ${source} $<TARGET_OBJECTS:guest_runtime>)
  target_compile_options(guest_${name} PRIVATE ${GUEST_FLAGS})
  target_link_options(guest_${name} PRIVATE -m32 -static -nostdlib -no-pie -Wl,--build-id=none
      -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T ${CMAKE_SOURCE_DIR}/tests/guests/guest.ld)
  target_link_libraries(guest_${name} PRIVATE gcc)
  set_target_properties(guest_${name} PROPERTIES OUTPUT_NAME ${name}.elf
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/guests
      LINK_DEPENDS ${CMAKE_SOURCE_DIR}/tests/guests/guest.ld)
  add_dependencies(guests guest_${name})
endforeach()
