# attune-server and the attune client, without LibTorch.
#   docker build -f deploy/docker/server.Dockerfile -t attune-server .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ENV ATTUNE_CACHE_DIR=/attune-cache PIP_CERT=/etc/ssl/certs/ca-certificates.crt
COPY deploy/docker/certificates/ /usr/local/share/ca-certificates/
COPY deploy/install_dependencies.sh deploy/fetch_wheels.py \
     deploy/packages.txt deploy/wheels.txt /src/deploy/
RUN /src/deploy/install_dependencies.sh --server-only
COPY . /src
WORKDIR /src
RUN cmake --preset release -DATTUNE_WITH_LIBTORCH=OFF -DATTUNE_WITH_TESTS=OFF \
 && cmake --build --preset release --target attune-server attune \
 && strip build/release/bin/attune-server build/release/bin/attune \
 && deploy/docker/runtime_packages.sh build/release/bin/attune-server \
      build/release/bin/attune >/runtime-packages

FROM ${BASE}
COPY --from=build /runtime-packages /tmp/runtime-packages
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive xargs -a /tmp/runtime-packages \
      apt-get install -qq -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/* /tmp/runtime-packages \
 && useradd --system --uid 10001 --home-dir /data attune \
 && install -d -o attune -g attune /data
COPY --from=build /src/build/release/bin/attune-server \
     /src/build/release/bin/attune /usr/local/bin/
USER attune
VOLUME /data
EXPOSE 7700 9700
# The folder is the volume; the plaintext port is for the network that compose
# makes, which only its own services share.
ENTRYPOINT ["attune-server", "--data-dir", "/data", \
            "--listen", "0.0.0.0:7700", "--metrics", "0.0.0.0:9700", \
            "--allow-plaintext"]
# The port opens when the data folder is checked. A call would need the keys and
# the certificates that the server may have.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7700"]
