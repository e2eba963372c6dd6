# The images that the stages start from are arguments: where no registry can be reached, name local
# ones. `docker build --target prebuilt` takes a binary that was built outside.
ARG RUST_IMAGE=rust:1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# First, because the classic builder builds every stage before the one that is asked for. For the
# same reason a binary that is not there may not fail the copy: hence the pattern.
FROM ${RUNTIME_IMAGE} AS prebuilt
COPY LICENSE target/release/wirebel[l] /opt/wirebell/
RUN ln -s /opt/wirebell/wirebell /usr/local/bin/wirebell
COPY config /etc/wirebell
# The folder of the embedded store, for `run`: a volume inherits its owner.
RUN mkdir -p /var/lib/wirebell && chown 65532:65532 /var/lib/wirebell
USER 65532:65532
WORKDIR /var/lib/wirebell
STOPSIGNAL SIGTERM
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --retries=12 CMD ["/usr/local/bin/wirebell", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wirebell"]
CMD ["run", "--config", "/etc/wirebell", "--data", "/var/lib/wirebell"]

FROM ${RUST_IMAGE} AS build
WORKDIR /wirebell
# Dependencies on their own, so that a change of the sources does not build them again.
COPY Cargo.toml Cargo.lock ./
COPY .config .config
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/it/main.rs \
    && cargo build --release --locked
COPY config config
COPY src src
# The time stamps of copied files may be older than what was just built.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked

FROM ${RUNTIME_IMAGE} AS runtime
COPY --from=build /wirebell/target/release/wirebell /usr/local/bin/wirebell
COPY config /etc/wirebell
# The folder of the embedded store, for `run`: a volume inherits its owner.
RUN mkdir -p /var/lib/wirebell && chown 65532:65532 /var/lib/wirebell
USER 65532:65532
WORKDIR /var/lib/wirebell
STOPSIGNAL SIGTERM
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --retries=12 CMD ["/usr/local/bin/wirebell", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wirebell"]
CMD ["run", "--config", "/etc/wirebell", "--data", "/var/lib/wirebell"]
