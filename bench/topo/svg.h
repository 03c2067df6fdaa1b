// Writes a picture as SVG: rectangles and text. Whatever a text holds, it stays text.
#pragma once

#include <string>

namespace netsense {

class Svg {
 public:
  struct Style {
    std::string fill = "none";
    std::string stroke = "none";
    double corner = 0;
    bool dashed = false;
  };
  struct Font {
    double size = 11;
    std::string fill = "#222222";
    bool bold = false;
  };

  void Rect(double x, double y, double width, double height, const Style& style);
  // At the baseline's left end. Longer than `width` (0 = any) it is cut and ends in "...".
  void Text(double x, double y, const std::string& text, const Font& font, double width = 0);
  // What a pointer over everything until CloseGroup() shows.
  void OpenGroup(const std::string& tooltip);
  void CloseGroup();

  // How wide a text is, about.
  static double TextWidth(const std::string& text, double size) {
    return static_cast<double>(text.size()) * size * 0.58;
  }

  std::string Finish(double width, double height, const std::string& title) const;

 private:
  std::string body_;
};

}  // namespace netsense
