# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS TARGETARCH VERSION=dev
WORKDIR /src
COPY . .
# No "go mod download" before it: that would fetch what only the tests use. What is fetched stays in the cache.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /pargate ./cmd/pargate

FROM scratch
ARG VERSION=dev
# The upstream and Redis may be reached over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /pargate /pargate
# A number, because Kubernetes cannot tell whether a name is root.
USER 65532:65532
EXPOSE 8080 8081
# By the program itself: there is no shell here. It asks whether the process lives, not whether it is ready: what watches
# this restarts the container, and a restart does not bring back an authorization server that is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/pargate", "healthcheck"]
LABEL org.opencontainers.image.title=pargate \
      org.opencontainers.image.description="Pushed Authorization Requests for an authorization server that has none" \
      org.opencontainers.image.version=$VERSION
ENTRYPOINT ["/pargate"]
