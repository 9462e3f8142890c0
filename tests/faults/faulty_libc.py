"""Programs whose wall clock and disk a test sets while they run."""

import contextlib
import mmap
import os
import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("faulty_libc.cc")
# struct Control of the source.
CONTROL = struct.Struct("=qqii64sq")
FREE_BYTES = 8
ERRORS = struct.Struct("=ii64s")
REFUSED = 88


class FaultyLibc:
  """What the programs that are started within loaded() are made to see, and
  their children."""

  def __init__(self, folder):
    folder.mkdir(parents=True, exist_ok=True)
    self._library = folder / "faulty_libc.so"
    self._path = folder / "control"
    subprocess.run(["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-o",
                    self._library, SOURCE, "-ldl"], check=True)
    self._path.write_bytes(CONTROL.pack(0, -1, 0, 0, b"", 0))
    with open(self._path, "r+b") as file:
      self._control = mmap.mmap(file.fileno(), CONTROL.size)

  @contextlib.contextmanager
  def loaded(self):
    added = {"LD_PRELOAD": str(self._library),
             "ATTUNE_FAULTY_LIBC": str(self._path)}
    os.environ.update(added)
    try:
      yield self
    finally:
      for name in added:
        del os.environ[name]

  def set_clock(self, seconds):
    """Wall time is `seconds` beside the truth."""
    struct.pack_into("=q", self._control, 0, int(seconds * 1e9))

  def fill_disk(self, free_bytes):
    """The disk says that it has no more than this."""
    struct.pack_into("=q", self._control, FREE_BYTES, free_bytes)

  def fail(self, file, write=0, sync=0):
    """Writes to files whose path ends in `file`, and their syncs, fail with
    these error numbers."""
    ERRORS.pack_into(self._control, FREE_BYTES + 8, write, sync, file.encode())

  def heal(self):
    self.fill_disk(-1)
    self.fail("")

  @property
  def refused(self):
    """How many writes and syncs have failed."""
    return struct.unpack_from("=q", self._control, REFUSED)[0]
