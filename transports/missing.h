// Stands for a backend that this build lacks, so that it is listed with the reason.
#pragma once

#include <memory>
#include <string>

#include "transports/transport.h"

namespace netsense {

std::unique_ptr<Transport> MakeMissingTransport(std::string name, std::string reason);

}  // namespace netsense
