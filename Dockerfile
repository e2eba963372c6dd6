# Base images are arguments, so that it builds where no registry can be reached.
ARG RUST_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# A binary that was built outside: --target prebuilt --build-arg BINARY=path/to/wirebell
FROM ${RUNTIME_IMAGE} AS prebuilt
ARG BINARY=target/release/wirebell
COPY ${BINARY} /usr/local/bin/wirebell
# A folder of the user's own: a volume that is mounted there takes its owner from it.
COPY --chown=65532:65532 config/demo /shared
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --retries=12 CMD ["/usr/local/bin/wirebell", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wirebell"]
CMD ["run"]

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
RUN mkdir -p tests/it && touch tests/it/main.rs && cargo build --release --locked --bin wirebell

FROM ${RUNTIME_IMAGE} AS runtime
COPY --from=build /src/target/release/wirebell /usr/local/bin/wirebell
# A folder of the user's own: a volume that is mounted there takes its owner from it.
COPY --chown=65532:65532 config/demo /shared
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --retries=12 CMD ["/usr/local/bin/wirebell", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wirebell"]
CMD ["run"]
