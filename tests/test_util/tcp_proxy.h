#ifndef ATTUNE_TESTS_TEST_UTIL_TCP_PROXY_H_
#define ATTUNE_TESTS_TEST_UTIL_TCP_PROXY_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace attune::test {

// Stands between a client and a server on loopback, and cuts their connections
// when a test asks for it. Thread-safe.
class TcpProxy {
 public:
  // Forwards what comes to address() to `server`, 127.0.0.1:PORT.
  explicit TcpProxy(const std::string& server);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  const std::string& address() const { return address_; }

  // Ends every connection that there is, without a farewell. New ones work.
  void CutAll();

  int64_t bytes_to_server() const { return bytes_to_server_.load(); }

 private:
  void Accept();
  void Forward(int from, int to, std::atomic<int64_t>* count);

  const int server_port_;
  int listener_ = -1;
  std::string address_;
  std::atomic<int64_t> bytes_to_server_ = 0;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<int> sockets_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace attune::test

#endif  // ATTUNE_TESTS_TEST_UTIL_TCP_PROXY_H_
