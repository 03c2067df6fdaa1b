// The page that shows the cluster in a browser: files that hold no data, open to everybody.
#pragma once

#include <string>
#include <vector>

#include "raylet_bridge/serve/http_server.h"

namespace netsense {

struct PageFile {
  std::string path;  // as it is asked for: "/", "/page.js"
  std::string content_type;
  std::string content;
};

// The page that was put into the program when it was built.
std::vector<PageFile> EmbeddedPage();

// Nothing runs or loads but what these files hold; a browser asks again each time, and is told 304 when it has the
// newest.
std::vector<HttpRoute> PageRoutes(const std::vector<PageFile>& files);

}  // namespace netsense
