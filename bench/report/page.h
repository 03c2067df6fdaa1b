// The page's sources, put into the program by CMakeLists.txt.
#pragma once

#include <string_view>

namespace netsense::page {

extern const std::string_view kHtml;     // page.html
extern const std::string_view kStyle;    // page.css
extern const std::string_view kScript;   // page.js
extern const std::string_view kChartJs;  // Chart.js, its licence on top

}  // namespace netsense::page
