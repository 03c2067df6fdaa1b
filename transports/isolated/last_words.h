// A child that crashes says in whose session: the library that it runs aborts on the thread that carries the session,
// while it works on what that peer has sent.
#pragma once

#include <string>

namespace netsense::isolated {

// From now on a crash of this process is told on `control`, and then goes its way. Once, before any session.
void TellOfCrashes(int control);

// While it lives, this thread carries a session with that peer.
class CarriesSession {
 public:
  explicit CarriesSession(const std::string& peer_address);
  ~CarriesSession();
  CarriesSession(const CarriesSession&) = delete;
  CarriesSession& operator=(const CarriesSession&) = delete;

 private:
  const std::string words_;
};

}  // namespace netsense::isolated
