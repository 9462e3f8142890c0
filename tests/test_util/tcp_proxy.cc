#include "tests/test_util/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace attune::test {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

}  // namespace

TcpProxy::TcpProxy(const std::string& server)
    : server_port_(std::atoi(server.substr(server.rfind(':') + 1).c_str())) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) !=
          0) {
    std::abort();
  }
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  acceptor_ = std::thread([this] { Accept(); });
}

TcpProxy::~TcpProxy() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  CutAll();
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  absl::MutexLock lock(&mutex_);
  for (const int descriptor : sockets_) close(descriptor);
}

void TcpProxy::CutAll() {
  absl::MutexLock lock(&mutex_);
  // They stay open, so that no number is given away again meanwhile.
  for (const int descriptor : sockets_) shutdown(descriptor, SHUT_RDWR);
}

void TcpProxy::Accept() {
  while (true) {
    const int client = accept(listener_, nullptr, nullptr);
    absl::MutexLock lock(&mutex_);
    if (stopping_ || client < 0) {
      if (client >= 0) close(client);
      return;
    }
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    sockets_.push_back(client);
    sockets_.push_back(server);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
      shutdown(client, SHUT_RDWR);
      continue;
    }
    threads_.emplace_back(
        [=, this] { Forward(client, server, &bytes_to_server_); });
    threads_.emplace_back([=, this] { Forward(server, client, nullptr); });
  }
}

void TcpProxy::Forward(int from, int to, std::atomic<int64_t>* count) {
  std::vector<char> buffer(64 << 10);
  while (true) {
    const ssize_t received = recv(from, buffer.data(), buffer.size(), 0);
    if (received <= 0) break;
    if (count != nullptr) count->fetch_add(received);
    for (ssize_t sent = 0; sent < received;) {
      const ssize_t size =
          send(to, buffer.data() + sent, received - sent, MSG_NOSIGNAL);
      if (size <= 0) break;
      sent += size;
    }
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

}  // namespace attune::test
