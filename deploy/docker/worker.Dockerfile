# attune-worker, and the tools that a person uses beside it: attune-convert and
# attune, with the fonts that `attune demo` draws with.
#   docker build -f deploy/docker/worker.Dockerfile -t attune-worker .
#   docker build -f deploy/docker/worker.Dockerfile -t attune-worker-cuda \
#     --build-arg FLAVOUR=cuda .
# FLAVOUR cuda links LibTorch's CUDA libraries (pinned PyPI wheels); the host
# needs NVIDIA's driver and container toolkit to run it.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ARG FLAVOUR=cpu
ENV ATTUNE_CACHE_DIR=/attune-cache PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY deploy/docker/certificates/ /usr/local/share/ca-certificates/
COPY deploy/install_dependencies.sh deploy/fetch_wheels.py \
     deploy/packages.txt deploy/wheels.txt /src/deploy/
RUN if [ "$FLAVOUR" = cuda ]; then flag=--cuda; fi \
 && /src/deploy/install_dependencies.sh $flag \
 && strip --strip-unneeded /attune-cache/libtorch-*/lib/libtorch_cpu.so \
      /attune-cache/libtorch-*/lib/libc10.so
COPY . /src
WORKDIR /src
RUN if [ "$FLAVOUR" = cuda ]; then preset=cuda; else preset=release; fi \
 && cmake --preset $preset -DATTUNE_WITH_TESTS=OFF \
 && cmake --build --preset $preset --target \
      attune-worker attune-convert attune \
 && mkdir /out \
 && (cd build/$preset/bin && cp attune-worker attune-image-decoder \
       attune-convert attune /out/) \
 && strip /out/* \
 && deploy/docker/runtime_packages.sh /out/* >/runtime-packages

FROM ${BASE}
COPY --from=build /runtime-packages /tmp/runtime-packages
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive xargs -a /tmp/runtime-packages \
      apt-get install -qq -y --no-install-recommends fonts-dejavu-core \
 && rm -rf /var/lib/apt/lists/* /tmp/runtime-packages \
 && useradd --system --uid 10002 --create-home --home-dir /home/attune attune
# Where the binaries' run path points.
COPY --from=build /attune-cache/libtorch-2.11.0/lib \
     /attune-cache/libtorch-2.11.0/lib
COPY --from=build /out/ /usr/local/bin/
USER attune
# Writable in a container that is read-only otherwise.
WORKDIR /tmp
ENV XDG_CACHE_HOME=/home/attune/.cache
ENTRYPOINT ["attune-worker"]
CMD ["--server", "server:7700", "--device", "auto", "--roles", "train,serve"]
