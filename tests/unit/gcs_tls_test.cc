// The GCS client and the embedded GCS by mutual TLS, with a certificate made here.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "raylet_bridge/gcs/embedded_gcs.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/gcs/tls.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

// Writes <stem>.key and <stem>.crt: a self-signed certificate for 127.0.0.1 that is its own authority.
void WriteIdentity(const std::string& stem) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const std::string common = std::filesystem::path(stem).filename();
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate.get(), name);
  const std::pair<int, const char*> extensions[] = {{NID_basic_constraints, "critical,CA:TRUE"},
                                                    {NID_subject_alt_name, "IP:127.0.0.1"}};
  for (const auto& [kind, text] : extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, text);
    ASSERT_NE(extension, nullptr);
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  ASSERT_GT(X509_sign(certificate.get(), key.get(), EVP_sha256()), 0);
  std::unique_ptr<FILE, decltype(&fclose)> key_file(fopen((stem + ".key").c_str(), "w"), fclose);
  std::unique_ptr<FILE, decltype(&fclose)> certificate_file(fopen((stem + ".crt").c_str(), "w"), fclose);
  ASSERT_EQ(PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
  ASSERT_EQ(PEM_write_X509(certificate_file.get(), certificate.get()), 1);
}

class GcsTls : public testing::Test {
 protected:
  GcsTls() {
    std::string name = (std::filesystem::temp_directory_path() / "netsense_tls_XXXXXX").string();
    directory_ = mkdtemp(name.data());
    WriteIdentity(directory_ + "/ours");
    WriteIdentity(directory_ + "/foreign");
  }
  ~GcsTls() override {
    for (const char* variable : {"RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT"})
      unsetenv(variable);
    std::filesystem::remove_all(directory_);
  }

  void Use(const std::string& who, const std::string& authority) {
    setenv("RAY_USE_TLS", "1", 1);
    setenv("RAY_TLS_SERVER_CERT", (directory_ + "/" + who + ".crt").c_str(), 1);
    setenv("RAY_TLS_SERVER_KEY", (directory_ + "/" + who + ".key").c_str(), 1);
    setenv("RAY_TLS_CA_CERT", (directory_ + "/" + authority + ".crt").c_str(), 1);
  }

  absl::Status Put(uint16_t port) {
    auto client =
        GcsClient::Create({.address = absl::StrCat("127.0.0.1:", port), .token_file = "", .timeout = pace::Patience()});
    return client.ok() ? (*client)->Put("k", "v") : client.status();
  }

  std::string directory_;
};

TEST_F(GcsTls, BothSidesShowACertificate) {
  Use("ours", "ours");
  auto gcs = EmbeddedGcs::Start({.listen = "127.0.0.1:0", .token = ""});
  ASSERT_TRUE(gcs.ok()) << gcs.status();
  EXPECT_TRUE(Put((*gcs)->port()).ok()) << Put((*gcs)->port());

  Use("foreign", "ours");  // a client that the server does not know
  EXPECT_EQ(Put((*gcs)->port()).code(), absl::StatusCode::kUnavailable);
  Use("ours", "foreign");  // a server that the client does not know
  EXPECT_EQ(Put((*gcs)->port()).code(), absl::StatusCode::kUnavailable);
  unsetenv("RAY_USE_TLS");
  EXPECT_EQ(Put((*gcs)->port()).code(), absl::StatusCode::kUnavailable);
}

TEST_F(GcsTls, AKeyThatOthersMayReadIsTakenAndSaid) {
  std::ostringstream said;
  auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said)));
  Use("ours", "ours");
  chmod((directory_ + "/ours.key").c_str(), 0644);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(TlsFromEnvironment().ok());
  chmod((directory_ + "/foreign.key").c_str(), 0600);
  Use("foreign", "ours");
  EXPECT_TRUE(TlsFromEnvironment().ok());
  spdlog::set_default_logger(before);
  const std::string words = said.str();
  EXPECT_EQ(std::count(words.begin(), words.end(), '\n'), 1) << "once a process: " << words;
  EXPECT_NE(words.find("chmod 600 " + directory_ + "/ours.key"), std::string::npos) << words;
}

TEST_F(GcsTls, AFileThatIsMissingIsNamed) {
  Use("ours", "absent");
  EXPECT_EQ(Put(1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(Put(1).message()).find("RAY_TLS_CA_CERT"), std::string::npos);
  EXPECT_EQ(EmbeddedGcs::Start({.listen = "127.0.0.1:0", .token = ""}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace netsense
