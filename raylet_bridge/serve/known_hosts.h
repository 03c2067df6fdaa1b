// By which names this host is asked. A page in somebody's browser can give its own name our address (DNS rebinding) and
// read what is open to that browser; the browser then sends that name as `Host`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace netsense {

// Whether a request with that `Host` header may be answered: none (no browser), any numeric address, "localhost", this
// host's own name, and `names` (compared without case and port; "*" knows every one).
bool KnowsHost(std::string_view host_header, const std::vector<std::string>& names);

}  // namespace netsense
