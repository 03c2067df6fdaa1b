// The page as npm built it (page/built/), put into the program by CMakeLists.txt.
#pragma once

#include <string_view>

namespace netsense::page_files {

extern const std::string_view kHtml;    // index.html
extern const std::string_view kScript;  // page.js
extern const std::string_view kStyle;   // page.css

}  // namespace netsense::page_files
