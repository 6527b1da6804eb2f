# Embeds the page of worker/pages/page/ in streamgate_worker. With STREAMGATE_PAGE_PLAYERS also the
# players of worker/pages/players/package-lock.json, which npm installs in the build directory.
set(page_source ${CMAKE_SOURCE_DIR}/worker/pages)
set(page_build ${CMAKE_BINARY_DIR}/page)
find_program(GZIP_PROGRAM gzip REQUIRED)
file(GLOB page_files CONFIGURE_DEPENDS ${page_source}/page/*.css ${page_source}/page/*.js
     ${page_source}/page/*.svg)

set(page_assets "=${page_source}/page/index.html")
foreach(file ${page_files})
  get_filename_component(name ${file} NAME)
  list(APPEND page_assets page/${name}=${file})
endforeach()

# players.js tells the page which players are there.
set(PAGE_PLAYERS "")
if(STREAMGATE_PAGE_PLAYERS)
  find_program(NPM_PROGRAM npm)
  if(NOT NPM_PROGRAM)
    message(FATAL_ERROR "STREAMGATE_PAGE_PLAYERS needs npm (Debian: nodejs, npm)")
  endif()
  file(READ ${page_source}/players/package.json manifest)
  foreach(player hls.js mpegts.js dash.js)
    string(REPLACE dash.js dashjs package ${player})
    string(JSON version GET ${manifest} dependencies ${package})
    string(APPEND PAGE_PLAYERS "\n  '${player}': '${version}',")
  endforeach()
  string(APPEND PAGE_PLAYERS "\n")
  set(modules ${page_build}/node_modules)
  set(player_assets hls.mjs=${modules}/hls.js/dist/hls.min.mjs
      hls.worker.js=${modules}/hls.js/dist/hls.worker.js
      mpegts.js=${modules}/mpegts.js/dist/mpegts.js
      dash.mjs=${modules}/dashjs/dist/modern/esm/dash.all.min.js
      hls.js.license.txt=${page_build}/hls.js.license.txt
      mpegts.js.license.txt=${page_build}/mpegts.js.license.txt
      dash.js.license.txt=${page_build}/dash.js.license.txt)
  set(player_files "")
  foreach(asset ${player_assets})
    string(REGEX REPLACE "^[^=]*=" "" file ${asset})
    list(APPEND player_files ${file})
    list(APPEND page_assets page/players/${asset})
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page_source}/players/package.json)
  add_custom_command(
    OUTPUT ${player_files}
    DEPENDS ${page_source}/players/package.json ${page_source}/players/package-lock.json
    WORKING_DIRECTORY ${page_build}
    COMMAND ${CMAKE_COMMAND} -E copy ${page_source}/players/package.json
            ${page_source}/players/package-lock.json .
    COMMAND ${NPM_PROGRAM} ci --ignore-scripts --no-audit --no-fund --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E copy ${modules}/hls.js/LICENSE hls.js.license.txt
    COMMAND ${CMAKE_COMMAND} -E copy ${modules}/mpegts.js/LICENSE mpegts.js.license.txt
    COMMAND ${CMAKE_COMMAND} -E copy ${modules}/dashjs/LICENSE.md dash.js.license.txt
    COMMAND ${CMAKE_COMMAND} -E touch ${player_files}  # newer than the lock file
    COMMENT "Installing the players of the page with npm"
    VERBATIM)
endif()
configure_file(${page_source}/players/players.js.in ${page_build}/players.js)
list(APPEND page_assets page/players.js=${page_build}/players.js)

list(TRANSFORM page_assets REPLACE "^[^=]*=" "" OUTPUT_VARIABLE page_sources)
add_custom_command(
  OUTPUT ${page_build}/page_assets.cc
  DEPENDS ${page_sources} ${page_source}/embed_page.cmake
  COMMAND ${CMAKE_COMMAND} -D OUTPUT=${page_build}/page_assets.cc -D GZIP=${GZIP_PROGRAM}
          -D "ASSETS=${page_assets}" -P ${page_source}/embed_page.cmake
  COMMENT "Embedding the page"
  VERBATIM)
target_sources(streamgate_worker PRIVATE ${page_build}/page_assets.cc)
# clang warns of literals beyond 64 KiB, which all our compilers accept.
set_source_files_properties(${page_build}/page_assets.cc PROPERTIES
                            COMPILE_OPTIONS -Wno-overlength-strings)
