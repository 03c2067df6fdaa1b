#include "raylet_bridge/serve/page_routes.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "raylet_bridge/records/stable_hash.h"
#include "raylet_bridge/serve/page_files.h"

namespace netsense {
namespace {

const std::vector<std::pair<std::string, std::string>> kHeaders = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; worker-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-cache"}};

}  // namespace

std::vector<PageFile> EmbeddedPage() {
  return {{"/", "text/html; charset=utf-8", std::string(page_files::kHtml)},
          {"/page.js", "text/javascript; charset=utf-8", std::string(page_files::kScript)},
          {"/page.css", "text/css; charset=utf-8", std::string(page_files::kStyle)}};
}

std::vector<HttpRoute> PageRoutes(const std::vector<PageFile>& files) {
  std::vector<HttpRoute> routes;
  for (const PageFile& file : files) {
    HttpResponse whole{.content_type = file.content_type,
                       .headers = kHeaders,
                       .shared_body = std::make_shared<const std::string>(file.content)};
    const std::string tag = fmt::format("\"{:016x}\"", StableHash(file.content));
    whole.headers.emplace_back("ETag", tag);
    routes.push_back({file.path, true, [whole, tag](const HttpRequest& request) {
                        if (request.header("If-None-Match").value_or("") != tag) return whole;
                        return HttpResponse{.code = 304, .content_type = whole.content_type, .headers = whole.headers};
                      }});
  }
  // Browsers ask for it unasked.
  if (!files.empty())
    routes.push_back({"/favicon.ico", true, [](const HttpRequest&) { return HttpResponse{.code = 204}; }});
  return routes;
}

}  // namespace netsense
