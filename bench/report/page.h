// The report's page as npm built it (built/), put into the program by CMakeLists.txt.
#pragma once

#include <string_view>

namespace netsense::page {

extern const std::string_view kHtml;    // index.html
extern const std::string_view kStyle;   // page.css
extern const std::string_view kScript;  // page.js

}  // namespace netsense::page
