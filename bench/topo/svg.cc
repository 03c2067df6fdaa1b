#include "bench/topo/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace netsense {
namespace {

std::string Escape(const std::string& text) {
  std::string escaped;
  for (unsigned char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c < 0x20 || c >= 0x7f ? '?' : static_cast<char>(c);
    }
  }
  return escaped;
}

}  // namespace

void Svg::Rect(double x, double y, double width, double height, const Style& style) {
  absl::StrAppendFormat(&body_,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.1f\" fill=\"%s\" "
                        "stroke=\"%s\"%s/>\n",
                        x, y, width, height, style.corner, style.fill, style.stroke,
                        style.dashed ? " stroke-dasharray=\"5 4\"" : "");
}

void Svg::Text(double x, double y, const std::string& text, const Font& font, double width) {
  std::string shown = text;
  if (width > 0 && TextWidth(shown, font.size) > width) {
    const size_t fits = static_cast<size_t>(width / TextWidth("x", font.size));
    shown = shown.substr(0, fits > 3 ? fits - 3 : 0) + "...";
  }
  absl::StrAppendFormat(&body_, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" fill=\"%s\"%s>%s</text>\n", x, y,
                        font.size, font.fill, font.bold ? " font-weight=\"bold\"" : "", Escape(shown));
}

void Svg::OpenGroup(const std::string& tooltip) {
  absl::StrAppend(&body_, "<g><title>", Escape(tooltip), "</title>\n");
}

void Svg::CloseGroup() { body_ += "</g>\n"; }

std::string Svg::Finish(double width, double height, const std::string& title) const {
  return absl::StrFormat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"'DejaVu Sans', Verdana, sans-serif\" role=\"img\">\n<title>%s</title>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n%s</svg>\n",
      width, height, width, height, Escape(title), body_);
}

}  // namespace netsense
