#include "engine/inventory/xml_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace netsense::inventory {
namespace {

// The largest machines' files are a few megabytes and some dozen levels deep.
constexpr off_t kMaxBytes = 16 << 20;
constexpr int kMaxDepth = 100;
constexpr int kMaxElements = 200'000;
constexpr size_t kMaxAttributeBytes = 64 << 10;

absl::Status Bad(const std::string& path, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  // A pipe must not hold us up.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) return Bad(path, strerror(errno));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return Bad(path, strerror(errno));
  if (!S_ISREG(info.st_mode)) return Bad(path, "neither a file nor a folder");
  if (info.st_size > kMaxBytes) return Bad(path, absl::StrCat("larger than ", kMaxBytes >> 20, " MiB: no topology is"));
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    ssize_t part = read(fd.get(), text.data() + done, text.size() - done);
    if (part < 0) return Bad(path, strerror(errno));
    if (part == 0) break;
    done += static_cast<size_t>(part);
  }
  text.resize(done);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Bad(path, "empty");
  return text;
}

size_t LineOf(const std::string& text, ptrdiff_t offset) {
  size_t line = 1;
  for (ptrdiff_t i = 0; i < offset && i < static_cast<ptrdiff_t>(text.size()); ++i)
    if (text[static_cast<size_t>(i)] == '\n') ++line;
  return line;
}

// Without recursion: the depth is what is to be checked.
absl::Status CheckBounds(const std::string& path, const pugi::xml_document& document) {
  int depth = 0, elements = 0;
  pugi::xml_node node = document.first_child();
  while (node) {
    if (++elements > kMaxElements) return Bad(path, "more elements than any machine has");
    for (pugi::xml_attribute attribute : node.attributes())
      if (strlen(attribute.value()) > kMaxAttributeBytes) return Bad(path, "an attribute longer than any machine's");
    if (node.first_child()) {
      if (++depth > kMaxDepth) return Bad(path, "nested deeper than any machine");
      node = node.first_child();
      continue;
    }
    while (node && !node.next_sibling()) {
      node = node.parent();
      --depth;
    }
    if (node) node = node.next_sibling();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<XmlFile> ReadXmlFile(const std::string& path) {
  ASSIGN_OR_RETURN(auto text, ReadText(path));
  XmlFile file{.text = std::move(text), .document = std::make_unique<pugi::xml_document>()};
  size_t first = file.text.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string::npos || file.text[first] != '<')
    return Bad(path, "not XML; a topology file is XML of hwloc (lstopo x.xml) or of NCCL (NCCL_TOPO_DUMP_FILE)");
  pugi::xml_parse_result result = file.document->load_buffer(file.text.data(), file.text.size());
  if (!result)
    return Bad(path, absl::StrCat("not whole XML: ", result.description(), " at line ",
                                  LineOf(file.text, result.offset), "; was the file cut off?"));
  RETURN_IF_ERROR(CheckBounds(path, *file.document));
  return file;
}

}  // namespace netsense::inventory
