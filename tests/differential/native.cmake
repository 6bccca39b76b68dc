# The interpreter against the processor: 32-bit, optimised, without sanitizers, since its signal
# handlers and its code page are not theirs to watch.
file(GLOB native_logic CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/monitor/instruction/*.cpp
     ${CMAKE_SOURCE_DIR}/monitor/segment/*.cpp ${CMAKE_SOURCE_DIR}/monitor/interrupts.cpp)
add_executable(native_differential native_test.cpp native_processor.cpp ${native_logic})
target_include_directories(native_differential PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_options(native_differential PRIVATE -m32 -O2 -g -fno-exceptions -fno-rtti -Wall
                       -Wextra -Werror)
target_link_options(native_differential PRIVATE -m32)
add_test(NAME native_differential COMMAND native_differential 200000)
