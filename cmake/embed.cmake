# Writes a C file that holds the files of a page, so that the program needs none at run time:
#     cmake -DOUT=web_files.c -DFOLDER=coordinator/web -DFILES="index.html app.js" -P embed.cmake
# index.html is served as "/". A file's ETag is a digest of its bytes.
separate_arguments(names UNIX_COMMAND "${FILES}")
set(types_html "text/html")
set(types_js "text/javascript")
set(types_css "text/css")
set(types_svg "image/svg+xml")

set(arrays "")
set(table "")
set(n 0)
foreach(name ${names})
    file(READ ${FOLDER}/${name} bytes HEX)
    file(SHA256 ${FOLDER}/${name} digest)
    string(SUBSTRING ${digest} 0 16 tag)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    get_filename_component(kind ${name} LAST_EXT)
    string(SUBSTRING ${kind} 1 -1 kind)
    if(NOT types_${kind})
        message(FATAL_ERROR "${name}: no content type is known for .${kind}")
    endif()
    set(path "/${name}")
    if(name STREQUAL "index.html")
        set(path "/")
    endif()
    string(APPEND arrays "static const uint8_t file_${n}[] = {${bytes}};\n")
    string(APPEND table "    {\"${path}\", \"${types_${kind}}; charset=utf-8\", \"\\\"${tag}\\\"\",\n"
                        "     {file_${n}, sizeof file_${n}}},\n")
    math(EXPR n "${n} + 1")
endforeach()

file(WRITE ${OUT} "/* Made by cmake/embed.cmake. */
#include \"coordinator/web_files.h\"

${arrays}
const struct web_file web_files[] = {
${table}};

const size_t web_files_count = ${n};
")
