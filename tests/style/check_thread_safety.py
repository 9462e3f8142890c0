"""clang's thread-safety analysis over server and storage.

    check_thread_safety.py BUILD_DIR [FILE …]

Takes the compiler flags of BUILD_DIR/compile_commands.json. Without clang it
says so and ends with 77, which ctest counts as skipped.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("server/", "storage/")
SKIPPED = 77
# A member that a mutex of the class guards says so: a class with a mutex has at
# least one ABSL_GUARDED_BY.
MUTEX = re.compile(r"^\s*(mutable )?(absl::|Timed)Mutex \w+_?;", re.M)


def find_clang():
  for name in ("clang++-14", "clang++"):
    if shutil.which(name):
      return name
  return None


def unguarded():
  """Headers with a mutex that guards nothing."""
  for top in FOLDERS:
    for path in sorted((ROOT / top).rglob("*.h")):
      text = path.read_text()
      if MUTEX.search(text) and "GUARDED_BY(" not in text:
        yield f"{path.relative_to(ROOT)}: its mutex guards no member"


def analyse(clang, entry):
  """What clang says about one file; "" for nothing."""
  words = shlex.split(entry["command"])
  flags = []
  skip = False
  for word in words:
    if skip:
      skip = False
    elif word in ("-o", "-c"):
      skip = word == "-o"
    elif word.startswith(("-I", "-D", "-std", "-U")):
      flags.append(word)
    elif word in ("-isystem", "-idirafter"):
      flags.append(word)
    elif flags and flags[-1] in ("-isystem", "-idirafter"):
      flags.append(word)
  command = [clang, "-fsyntax-only", "-Wno-everything", "-Wthread-safety",
             "-Werror", *flags, entry["file"]]
  done = subprocess.run(command, cwd=entry["directory"], text=True,
                        capture_output=True, check=False)
  return done.stderr if done.returncode else ""


def main():
  clang = find_clang()
  if clang is None:
    print("skipped: there is no clang")
    return SKIPPED
  build = pathlib.Path(sys.argv[1])
  wanted = {str((ROOT / name).resolve()) for name in sys.argv[2:]}
  entries = []
  for entry in json.loads((build / "compile_commands.json").read_text()):
    path = pathlib.Path(entry["directory"], entry["file"]).resolve()
    if wanted and str(path) not in wanted:
      continue
    relative = os.path.relpath(path, ROOT)
    if relative.startswith(FOLDERS):
      entries.append(entry)
  errors = list(unguarded())
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    errors += [text for text in pool.map(lambda e: analyse(clang, e), entries)
               if text]
  for error in errors:
    print(error)
  print(f"thread safety: {len(entries)} files, {len(errors)} with errors")
  return 1 if errors or not entries else 0


if __name__ == "__main__":
  sys.exit(main())
