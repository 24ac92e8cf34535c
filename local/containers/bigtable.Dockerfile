# Google's emulator, built from Debian's packages. The ready-made image of the Google Cloud CLI is deleted from its
# registry a year after its release, so a pin on it would break one day.
FROM debian:12.11-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends golang-go golang-google-cloud-dev \
    && rm -rf /var/lib/apt/lists/*
COPY local/bigtable_emulator/main.go /src/main.go
RUN GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=/tmp/go-cache go build -o /cbtemulator /src/main.go

FROM debian:12.11-slim
RUN useradd --uid 10001 segue
COPY --from=build /cbtemulator /usr/local/bin/cbtemulator
USER segue
EXPOSE 8086
CMD ["cbtemulator", "-host", "0.0.0.0", "-port", "8086"]
