# The test kernels: tests/guests/NAME.cpp becomes guests/NAME.elf, an ordinary multiboot 1 kernel
# that runs on the bare machine and under Undercroft alike.
set(GUEST_FLAGS -m32 -march=i686 -O2 -ffreestanding -fno-pic -fno-exceptions -fno-rtti
    -fno-threadsafe-statics -fno-stack-protector -fno-asynchronous-unwind-tables -mgeneral-regs-only
    -fcf-protection=none -fno-delete-null-pointer-checks -Wall -Wextra -Werror)

add_library(guest_runtime OBJECT tests/guests/runtime/start.S tests/guests/runtime/runtime.cpp
    tests/guests/runtime/paging.cpp tests/guests/runtime/rings.cpp tests/guests/runtime/bios.cpp)
target_compile_options(guest_runtime PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${GUEST_FLAGS}>" "$<$<COMPILE_LANGUAGE:ASM>:-m32>")

add_custom_target(guests)
# guest_kernel(FOLDER NAME SOURCES...): FOLDER/NAME.elf in the build's folder.
function(guest_kernel folder name)
  add_executable(guest_${name} ${ARGN} $<TARGET_OBJECTS:guest_runtime>)
  target_include_directories(guest_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/guests)
  target_compile_options(guest_${name} PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:${GUEST_FLAGS}>" "$<$<COMPILE_LANGUAGE:ASM>:-m32>")
  target_link_options(guest_${name} PRIVATE -m32 -static -nostdlib -no-pie -Wl,--build-id=none
      -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T ${CMAKE_SOURCE_DIR}/tests/guests/guest.ld)
  target_link_libraries(guest_${name} PRIVATE gcc)
  set_target_properties(guest_${name} PROPERTIES OUTPUT_NAME ${name}.elf
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${folder}
      LINK_DEPENDS ${CMAKE_SOURCE_DIR}/tests/guests/guest.ld)
  add_dependencies(guests guest_${name})
endfunction()

file(GLOB guest_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/guests/*.cpp)
foreach(source ${guest_sources})
  get_filename_component(name ${source} NAME_WE)
  guest_kernel(guests ${name} ${source})
endforeach()
# The random tester's kernel; its sequences come as a boot module.
file(GLOB random_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/random/kernel/*.cpp)
guest_kernel(random random ${random_sources} tests/random/kernel/entry.S)
# The hostile kernel is one of all its files, and has no twin.
file(GLOB hostile_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/hostile/*.cpp)
guest_kernel(hostile hostile ${hostile_sources})
# The kernel that reports what its boot loader handed over, with headers that the tests write.
file(GLOB loader_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/loader/*.cpp)
guest_kernel(loader boot_report ${loader_sources})
