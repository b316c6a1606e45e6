# What `cmake --install` puts where. The components are those of the Debian packages.
include(CMakePackageConfigHelpers)

install(TARGETS tiny DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tiny)
install(TARGETS tiny_shared EXPORT tinyTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtiny NAMELINK_COMPONENT libtiny-dev)
install(TARGETS tiny_static EXPORT tinyTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtiny-dev)
install(FILES runtime/tiny.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT libtiny-dev)

# Both find the rest from where they lie themselves, so any prefix will do.
file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(runtime/cmake/tiny.pc.in ${PROJECT_BINARY_DIR}/tiny.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tiny.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libtiny-dev)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tiny)
install(EXPORT tinyTargets NAMESPACE tiny:: DESTINATION ${config_folder} COMPONENT libtiny-dev)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tinyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES runtime/cmake/tinyConfig.cmake ${PROJECT_BINARY_DIR}/tinyConfigVersion.cmake
  DESTINATION ${config_folder} COMPONENT libtiny-dev)

# Manual pages are made from the documentation.
function(tiny_manual page section name what)
  set(file ${PROJECT_BINARY_DIR}/man/${name}.${section})
  add_custom_command(
    OUTPUT ${file}.gz
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
    COMMAND ${LUAJIT_PROGRAM} docs/man.lua docs/${page} ${file} ${name} ${section} ${what}
    COMMAND gzip -9nf ${file}
    DEPENDS docs/man.lua docs/${page}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    VERBATIM
    COMMENT "Making the manual page ${name}(${section})")
  add_custom_target(man-${name} ALL DEPENDS ${file}.gz)
  install(FILES ${file}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT tiny)
endfunction()
tiny_manual(commands.md 1 tiny "run servers written in Lua")
tiny_manual(conf.md 5 conf.lua "configuration of a server run by tiny")

install(FILES runtime/command/completions/tiny.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME tiny
  COMPONENT tiny)
install(FILES runtime/command/completions/_tiny DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions COMPONENT tiny)
install(FILES runtime/command/completions/tiny.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT tiny)
foreach(component tiny libtiny libtiny-dev)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${component} RENAME copyright COMPONENT ${component})
endforeach()

# Debian packages: cpack --config BUILD/CPackConfig.cmake
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the authors of Tiny")
set(CPACK_PACKAGE_CONTACT "the authors of Tiny <tiny@localhost>")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_COMPONENTS_ALL tiny libtiny libtiny-dev)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(version "(= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TINY_PACKAGE_NAME tiny)
set(CPACK_DEBIAN_TINY_PACKAGE_DEPENDS "libtiny ${version}")
set(CPACK_DEBIAN_TINY_PACKAGE_SUGGESTS "lua-busted")
set(CPACK_COMPONENT_TINY_DESCRIPTION "The command that runs a server, reloads its code while it runs, watches over it and tells how it is.")
set(CPACK_DEBIAN_LIBTINY_PACKAGE_NAME libtiny)
set(CPACK_DEBIAN_LIBTINY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBTINY_PACKAGE_DEPENDS "lua-cjson") # scripts may count on it
set(CPACK_DEBIAN_LIBTINY_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_COMPONENT_LIBTINY_DESCRIPTION "The library by which C programs run such servers inside themselves, and the plugins that it opens
when they are needed: mail, monitor feed, ZeroMQ, HTTP, TLS.")
set(CPACK_DEBIAN_LIBTINY-DEV_PACKAGE_NAME libtiny-dev)
set(CPACK_DEBIAN_LIBTINY-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBTINY-DEV_PACKAGE_DEPENDS
  "libtiny ${version}, libluajit2-5.1-dev | libluajit-5.1-dev, libuv1-dev, libjansson-dev, zlib1g-dev")
set(CPACK_COMPONENT_LIBTINY-DEV_DESCRIPTION "The header, the static library, and what pkg-config and CMake need to find them.")
include(CPack)
