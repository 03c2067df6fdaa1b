// What harnesses of protobuf messages share.
#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>

#include <string>
#include <string_view>

namespace netsense::fuzz {

// The same for equal messages, whatever order their maps have, and for those that hold what is no number.
inline std::string Canonical(const google::protobuf::MessageLite& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&out);
  out.Trim();
  return bytes;
}

// What was read until the bytes broke off is a message too.
template <typename Message>
Message ReadMessage(std::string_view bytes) {
  Message message;
  (void)message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return message;
}

}  // namespace netsense::fuzz
