# The Debian package, made by deploy/build-deb.sh (option STREAMGATE_PACKAGE).
set(staged ${CMAKE_BINARY_DIR}/staged)
set(package_files ${CMAKE_SOURCE_DIR}/deploy/debian)

# Copies a file of deploy/ with the paths of a package instead of those of /usr/local.
function(stage source name)
  file(READ ${CMAKE_SOURCE_DIR}/${source} text)
  string(REPLACE "/usr/local/sbin/" "/usr/sbin/" text "${text}")
  string(REPLACE "conf/streamgate.yaml is the manual"
         "/usr/share/doc/streamgate/examples/streamgate.yaml is the manual" text "${text}")
  string(REPLACE "`deploy/monitoring/`" "`/usr/share/doc/streamgate/examples/monitoring/`" text
         "${text}")
  file(WRITE ${staged}/${name} "${text}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${source})
endfunction()

# The same, compressed as Debian's policy requires, without a time in the file.
function(stage_compressed source name)
  stage(${source} ${name})
  execute_process(COMMAND gzip -9nf ${staged}/${name} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${staged})
stage(deploy/streamgate.service lib/streamgate.service)
stage(deploy/streamgate.socket lib/streamgate.socket)
stage(deploy/streamgate.yaml streamgate.yaml)
stage(deploy/default/streamgate default/streamgate)
stage(deploy/init.d/streamgate init.d/streamgate)
stage(deploy/logrotate/streamgate logrotate.d/streamgate)
foreach(document README.md CHANGELOG.md deploy/OPERATIONS.md deploy/RECIPES.md)
  get_filename_component(name ${document} NAME)
  stage_compressed(${document} doc/${name})
endforeach()
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/deploy/man/*.[1-9])
foreach(page ${pages})
  get_filename_component(name ${page} NAME)
  string(REGEX REPLACE ".*\\." "" section ${name})
  stage_compressed(deploy/man/${name} man/man${section}/${name})
endforeach()

# The time of the build; deploy/build-deb.sh sets SOURCE_DATE_EPOCH to that of the last commit.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(maintainer "Streamgate maintainers <maintainers@users.noreply.github.com>")
configure_file(${package_files}/changelog.in ${staged}/doc/changelog @ONLY)
execute_process(COMMAND gzip -9nf ${staged}/doc/changelog COMMAND_ERROR_IS_FATAL ANY)
file(READ ${CMAKE_SOURCE_DIR}/LICENSE license)
string(REGEX REPLACE "^MIT License\n\n" "" license "${license}")
string(REGEX MATCH "Copyright[^\n]*" copyright "${license}")
string(REGEX REPLACE "^Copyright[^\n]*\n\n" "" license "${license}")
string(REGEX REPLACE "^Copyright \\(c\\) " "" copyright "${copyright}")
string(REGEX REPLACE "\n+$" "" license "${license}")
string(REGEX REPLACE "\n\n" "\n.\n" license "${license}")
string(REPLACE "\n" "\n " license " ${license}")
configure_file(${package_files}/copyright.in ${staged}/doc/copyright @ONLY)

set(in_package COMPONENT deb EXCLUDE_FROM_ALL)
install(TARGETS streamgate RUNTIME DESTINATION usr/sbin ${in_package})
install(DIRECTORY ${staged}/lib/ DESTINATION lib/systemd/system ${in_package})
install(FILES ${CMAKE_SOURCE_DIR}/deploy/sysusers.d/streamgate.conf DESTINATION usr/lib/sysusers.d
        ${in_package})
install(FILES ${staged}/streamgate.yaml DESTINATION etc/streamgate ${in_package})
install(DIRECTORY ${staged}/default ${staged}/logrotate.d DESTINATION etc ${in_package})
install(PROGRAMS ${staged}/init.d/streamgate DESTINATION etc/init.d ${in_package})
# The name of the service for needrestart, with systemd and without.
foreach(service streamgate.service streamgate)
  install(PROGRAMS ${CMAKE_SOURCE_DIR}/deploy/needrestart/streamgate RENAME ${service}
          DESTINATION etc/needrestart/restart.d ${in_package})
endforeach()
install(DIRECTORY ${staged}/man DESTINATION usr/share ${in_package})
install(DIRECTORY ${staged}/doc/ DESTINATION usr/share/doc/streamgate ${in_package})
install(FILES ${CMAKE_SOURCE_DIR}/conf/streamgate.yaml
        DESTINATION usr/share/doc/streamgate/examples ${in_package})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/monitoring
        DESTINATION usr/share/doc/streamgate/examples ${in_package})
install(FILES ${CMAKE_SOURCE_DIR}/deploy/completion/streamgate.bash RENAME streamgate
        DESTINATION usr/share/bash-completion/completions ${in_package})
install(FILES ${package_files}/lintian-overrides RENAME streamgate
        DESTINATION usr/share/lintian/overrides ${in_package})

set(CPACK_GENERATOR DEB)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};streamgate;deb;/")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_PACKAGE_NAME streamgate)
set(CPACK_PACKAGE_CONTACT "${maintainer}")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, logrotate")
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "streaming proxy for media players
A player requests /stream?url=<any upstream URL> and receives the upstream's
bytes from one origin: streamed, seekable, with CORS. HLS playlists are
rewritten, so that the player requests everything through the proxy.

Configuration and program are replaced while streams run: reloading the
service, and upgrading this package, cuts no stream.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${package_files}/conffiles ${package_files}/postinst
    ${package_files}/prerm ${package_files}/postrm)
include(CPack)
