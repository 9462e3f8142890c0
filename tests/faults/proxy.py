"""A TCP proxy that a test breaks: between a worker or client and the server."""

import socket
import threading


class Proxy:
  """Forwards to `target` ("HOST:PORT") from a free port.

  `mode` may be set at any time:
    pass      everything goes through
    cut       connections are reset, new ones refused
    hold      nothing goes through, connections stay (half-open)
    deaf      what the server answers is dropped, requests arrive

  `sent` counts the bytes that went to the server. What would take it beyond
  `stop_at` does not go: the connections are reset once, or with `then_hold`
  nothing goes through any more.
  """

  def __init__(self, target):
    host, port = target.rsplit(":", 1)
    self.target = (host, int(port))
    self._mode = "pass"
    self.sent = 0
    self.stop_at = None
    self.then_hold = False
    self._lock = threading.Condition()
    self._pairs = set()
    self._listener = socket.create_server(("127.0.0.1", 0))
    self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
    threading.Thread(target=self._accept, daemon=True).start()

  @property
  def mode(self):
    return self._mode

  @mode.setter
  def mode(self, mode):
    with self._lock:
      self._mode = mode
      if mode == "cut":
        self._drop_all()
      self._lock.notify_all()

  def break_connections(self):
    """Resets what is open and goes on passing."""
    with self._lock:
      self._drop_all()

  def close(self):
    self.mode = "cut"
    self._listener.close()

  def _drop_all(self):
    for pair in list(self._pairs):
      self._drop(pair)

  def _drop(self, pair):
    self._pairs.discard(pair)
    for end in pair:
      try:
        end.shutdown(socket.SHUT_RDWR)
      except OSError:
        pass
      end.close()

  def _accept(self):
    while True:
      try:
        client, _ = self._listener.accept()
      except OSError:
        return
      if self._mode == "cut":
        client.close()
        continue
      try:
        server = socket.create_connection(self.target, timeout=5)
        server.settimeout(None)
      except OSError:
        client.close()
        continue
      pair = (client, server)
      with self._lock:
        self._pairs.add(pair)
      for source, sink, replies in ((client, server, False),
                                    (server, client, True)):
        threading.Thread(target=self._pump,
                         args=(pair, source, sink, replies),
                         daemon=True).start()

  def _pump(self, pair, source, sink, replies):
    while True:
      try:
        data = source.recv(1 << 16)
      except OSError:
        data = b""
      with self._lock:
        if (not replies and self.stop_at is not None and
            self.sent + len(data) > self.stop_at):
          self.stop_at = None
          if self.then_hold:
            self._mode = "hold"
          else:
            self._drop_all()
        while self._mode == "hold" and pair in self._pairs and data:
          self._lock.wait()
        if not data or pair not in self._pairs:
          self._drop(pair)
          return
        if not replies:
          self.sent += len(data)
        dropped = replies and self._mode == "deaf"
      if dropped:
        # A stream with a hole cannot go on: the connection is lost, as it is
        # when a host goes away after it has sent its request.
        continue
      try:
        sink.sendall(data)
      except OSError:
        with self._lock:
          self._drop(pair)
        return
