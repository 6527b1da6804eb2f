# Writes page_assets.cc: the files of the page, compressed, as string literals.
#   cmake -D OUTPUT=page_assets.cc -D GZIP=/usr/bin/gzip -D ASSETS=path=file;... -P embed_page.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_mjs "${type_js}")
set(type_svg "image/svg+xml")
set(type_txt "text/plain; charset=utf-8")

set(rows "")
foreach(asset ${ASSETS})
  string(REGEX MATCH "^([^=]*)=(.*)$" unused "${asset}")
  set(path ${CMAKE_MATCH_1})
  set(file ${CMAKE_MATCH_2})
  string(REGEX MATCH "[a-z]+$" extension ${file})
  if(NOT type_${extension})
    message(FATAL_ERROR "${file}: no content type for .${extension}")
  endif()
  file(SHA256 ${file} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  # -n: the same file gives the same bytes.
  set(compressed ${OUTPUT}.gz)
  execute_process(COMMAND ${GZIP} -9nc ${file} OUTPUT_FILE ${compressed} COMMAND_ERROR_IS_FATAL ANY)
  file(SIZE ${compressed} size)
  file(READ ${compressed} bytes HEX)
  file(REMOVE ${compressed})
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" bytes "${bytes}")
  string(APPEND rows "    {\"${path}\", \"${type_${extension}}\", \"${hash}\",\n"
         "     std::string_view(\"${bytes}\", ${size})},\n")
endforeach()
file(WRITE ${OUTPUT} "// Written by worker/pages/embed_page.cmake.
#include \"worker/pages/page_assets.h\"

namespace streamgate {
namespace {

constexpr PageAsset kAssets[] = {
${rows}};

}  // namespace

std::span<const PageAsset> page_assets() { return kAssets; }

}  // namespace streamgate
")
