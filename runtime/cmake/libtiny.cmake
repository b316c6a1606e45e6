# libtiny, shared and static. Both show what tiny.h declares and nothing else.
add_library(tiny_shared SHARED $<TARGET_OBJECTS:tiny_objects>)
add_library(tiny::tiny ALIAS tiny_shared)
set_target_properties(tiny_shared PROPERTIES
  OUTPUT_NAME tiny EXPORT_NAME tiny VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/runtime/tiny.map)
target_link_options(tiny_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/runtime/tiny.map)
if(NOT TINY_SANITIZE) # their own functions are found only when a program runs
  target_link_options(tiny_shared PRIVATE -Wl,-z,defs)
endif()
target_link_libraries(tiny_shared PRIVATE ${tiny_needs})

# One object, so that its inner names can be made local before anybody links with it.
set(whole ${PROJECT_BINARY_DIR}/libtiny.o)
add_custom_command(
  OUTPUT ${whole}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${whole} $<TARGET_OBJECTS:tiny_objects>
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${whole}
  DEPENDS tiny_objects $<TARGET_OBJECTS:tiny_objects>
  COMMAND_EXPAND_LISTS VERBATIM
  COMMENT "Joining libtiny into one object")
add_library(tiny_static STATIC ${whole})
add_library(tiny::static ALIAS tiny_static)
set_target_properties(tiny_static PROPERTIES OUTPUT_NAME tiny EXPORT_NAME static LINKER_LANGUAGE C)
target_link_libraries(tiny_static PRIVATE ${tiny_needs})

foreach(library tiny_shared tiny_static)
  target_include_directories(${library} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

# Where the plugins are, as seen from the folder of a program; and if all else fails.
file(RELATIVE_PATH plugins ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR}/tiny)
set_source_files_properties(runtime/core/plugin.c PROPERTIES COMPILE_DEFINITIONS
  "TINY_PLUGINS=\"${plugins}\";TINY_PLUGINS_FULL=\"${CMAKE_INSTALL_FULL_LIBDIR}/tiny\"")
