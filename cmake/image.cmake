# The bootable image undercroft.elf: the logic compiled freestanding, with boot/ and arch/x86/. Linked
# twice: the first link gives the function table that reports need, the second contains it.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(FREESTANDING_FLAGS -m32 -march=i686 -g -O2 -ffreestanding -fbuiltin -fno-pic -fno-pie
    -fno-stack-protector -fno-delete-null-pointer-checks -fno-omit-frame-pointer
    -fno-asynchronous-unwind-tables -mgeneral-regs-only -ffunction-sections)
set(FREESTANDING_CXX_FLAGS -std=gnu++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics)

file(GLOB IMAGE_SOURCES CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/boot/*.cpp ${CMAKE_SOURCE_DIR}/boot/*.S
     ${CMAKE_SOURCE_DIR}/arch/x86/*.cpp ${CMAKE_SOURCE_DIR}/arch/x86/*.S)
list(APPEND IMAGE_SOURCES ${UNDERCROFT_LOGIC})
list(REMOVE_DUPLICATES IMAGE_SOURCES)

add_library(image_objects OBJECT ${IMAGE_SOURCES})
target_include_directories(image_objects PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(image_objects PRIVATE ${FREESTANDING_FLAGS}
  $<$<COMPILE_LANGUAGE:CXX>:${FREESTANDING_CXX_FLAGS} ${UNDERCROFT_WARNINGS}>)

# It runs before it is known whether the processor is one of those that the rest is compiled for.
set_source_files_properties(${CMAKE_SOURCE_DIR}/boot/processor_check.cpp PROPERTIES
                            COMPILE_OPTIONS "-march=i486")

# What runs once or seldom is to be small: the image has a limit (linker.ld).
set(SELDOM "boot/|guest_loader/|monitor/inspect/|monitor/segment/task_switch|devices/real_time_clock"
    "devices/vga[.]|devices/keyboard|devices/mouse|devices/pci_|devices/virtio_console"
    "devices/virtio_entropy|arch/x86/host_vga|arch/x86/host_calendar|arch/x86/screen|arch/x86/vga_display|arch/x86/panic")
list(JOIN SELDOM "|" SELDOM)
foreach(source ${IMAGE_SOURCES})
  if(source MATCHES "/(${SELDOM}).*[.]?cpp$" AND NOT source MATCHES "processor_check")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-Os")
  endif()
endforeach()

set(IMAGE_SCRIPT ${CMAKE_SOURCE_DIR}/linker.ld)
set(SYMBOLS_SCRIPT ${CMAKE_SOURCE_DIR}/cmake/symbols.py)
set(CHECK_SCRIPT ${CMAKE_SOURCE_DIR}/cmake/check_image.py)

# image_executable(NAME SYMBOLS): one link with the given function table.
function(image_executable name symbols)
  add_executable(${name} ${symbols} $<TARGET_OBJECTS:image_objects>)
  target_compile_options(${name} PRIVATE -m32)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX LINK_DEPENDS ${IMAGE_SCRIPT})
  target_link_options(${name} PRIVATE -m32 -nostdlib -static -no-pie -Wl,--build-id=none
                      -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-z,max-page-size=4096
                      -T${IMAGE_SCRIPT})
  target_link_libraries(${name} PRIVATE gcc)
endfunction()

set(EMPTY_SYMBOLS ${CMAKE_BINARY_DIR}/symbols_none.S)
set(FULL_SYMBOLS ${CMAKE_BINARY_DIR}/symbols_full.S)
add_custom_command(OUTPUT ${EMPTY_SYMBOLS}
  COMMAND ${Python3_EXECUTABLE} ${SYMBOLS_SCRIPT} ${EMPTY_SYMBOLS} DEPENDS ${SYMBOLS_SCRIPT})
image_executable(undercroft_first ${EMPTY_SYMBOLS})
add_custom_command(OUTPUT ${FULL_SYMBOLS}
  COMMAND ${CMAKE_NM} --defined-only --demangle -n $<TARGET_FILE:undercroft_first>
          > ${CMAKE_BINARY_DIR}/symbols.txt
  COMMAND ${Python3_EXECUTABLE} ${SYMBOLS_SCRIPT} ${CMAKE_BINARY_DIR}/symbols.txt ${FULL_SYMBOLS}
  DEPENDS undercroft_first ${SYMBOLS_SCRIPT})
image_executable(undercroft.elf ${FULL_SYMBOLS})
set_target_properties(undercroft.elf PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
add_custom_command(TARGET undercroft.elf POST_BUILD
  COMMAND ${Python3_EXECUTABLE} ${CHECK_SCRIPT} $<TARGET_FILE:undercroft.elf>
  DEPENDS ${CHECK_SCRIPT})
