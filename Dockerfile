# syntax=docker/dockerfile:1

# The version of rust-toolchain.toml.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY deploy/image/build deploy/image/build
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    deploy/image/build /out

# glibc, certificates of public authorities, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=development
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="minio-manager" \
      org.opencontainers.image.description="Says who may touch what in MinIO, in Kubernetes objects" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY LICENSE /licenses/LICENSE
COPY --from=build /out/minio-manager /usr/local/bin/minio-manager
# What glibc's memory gives back at once, and what it takes in huge pages: see docs/decisions.md.
ENV GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2:glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072
USER 65532:65532
EXPOSE 8000 8080 8081
ENTRYPOINT ["/usr/local/bin/minio-manager"]
