#ifndef ATTUNE_WORKER_DECODE_SANDBOX_H_
#define ATTUNE_WORKER_DECODE_SANDBOX_H_

#include <cstdint>

namespace attune::decode {

// The pixels of the largest picture (150 MB), what libjpeg may take for a
// progressive one (512 MiB), the shared memory and the program itself.
inline constexpr uint64_t kDecoderMemoryBytes = uint64_t{1} << 30;
// Then the process is killed and the picture it was at tried in another one.
inline constexpr uint64_t kDecoderCpuSeconds = 600;

// Takes from this process what decoding a picture does not need, for good: more
// memory and processor time than the above, new files, new privileges, and
// every system call but those that read and write open descriptors, manage
// memory and end the process; any other kills it. Call it when everything is
// open, in a process of one thread. False when the kernel refuses a part.
bool EnterSandbox();

}  // namespace attune::decode

#endif  // ATTUNE_WORKER_DECODE_SANDBOX_H_
