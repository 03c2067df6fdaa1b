// Texts from elsewhere: how deep, and whether UTF-8.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "base/utf8.h"

namespace netsense {
namespace {

TEST(JsonDepth, CountsWhatIsOpenAtOnce) {
  EXPECT_FALSE(IsNestedDeeper("", 0));
  EXPECT_FALSE(IsNestedDeeper("1", 0));
  EXPECT_TRUE(IsNestedDeeper("[]", 0));
  EXPECT_FALSE(IsNestedDeeper("[{},[],{}]", 2));
  EXPECT_TRUE(IsNestedDeeper("[{\"a\":[]}]", 2));
  EXPECT_FALSE(IsNestedDeeper(R"({"[[[[":"{{{{ \" [[[["})", 1));
  EXPECT_FALSE(IsNestedDeeper(R"(["\\",[]])", 2));
  EXPECT_TRUE(IsNestedDeeper(R"(["\\",[[]]])", 2));
  EXPECT_TRUE(IsNestedDeeper(std::string(1 << 20, '[')));
}

TEST(Utf8, WhatIsNoneIsReplaced) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(ToUtf8(""), "");
  EXPECT_EQ(ToUtf8("caf\xe9-07"), "caf" + r + "-07");
  EXPECT_EQ(ToUtf8("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8e"), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8e");
  EXPECT_EQ(ToUtf8("a\xe2\x82"), "a" + r);  // cut off: one for all of it
  EXPECT_EQ(ToUtf8("\xe2\x82x"), r + "x");
  EXPECT_EQ(ToUtf8("\xc0\xaf"), r + r);                  // longer than needed
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(ToUtf8("\xf4\x90\x80\x80"), r + r + r + r);  // beyond U+10FFFF
  EXPECT_EQ(ToUtf8("\x80\xff"), r + r);
}

// All pairs and many triples of bytes: as another implementation replaces them.
TEST(Utf8, AgreesWithTheJsonWriter) {
  auto check = [](const std::string& text) {
    const std::string ours = nlohmann::json(ToUtf8(text)).dump();
    ASSERT_EQ(ours, nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  };
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b) {
      check({static_cast<char>(a), static_cast<char>(b)});
      for (int c : {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xf0, 0xff})
        check({static_cast<char>(a), static_cast<char>(b), static_cast<char>(c)});
    }
}

}  // namespace
}  // namespace netsense
