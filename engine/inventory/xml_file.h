// A topology file: read within bounds, parsed as XML by pugixml, checked to be no bomb. For .cc files of this folder.
#pragma once

#include <memory>
#include <pugixml.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace netsense::inventory {

struct XmlFile {
  std::string text;
  std::unique_ptr<pugi::xml_document> document;
};

// InvalidArgument, in words and with the path, when it is no plain file, empty, too large, not XML, cut off, or nested
// or filled beyond any real machine.
absl::StatusOr<XmlFile> ReadXmlFile(const std::string& path);

}  // namespace netsense::inventory
