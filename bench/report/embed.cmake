# cmake -DOUTPUT=page.cc -DkName=file ... -P embed.cmake: writes the files as the string constants of bench/report/page.h.
set(source "#include \"bench/report/page.h\"\n\nnamespace netsense::page {\n")
foreach(name kHtml kStyle kScript kChartJs)
  file(READ "${${name}}" text)
  string(APPEND source "const std::string_view ${name} = R\"~netsense~(${text})~netsense~\";\n")
endforeach()
file(WRITE "${OUTPUT}" "${source}}  // namespace netsense::page\n")
