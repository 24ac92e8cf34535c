#!/usr/bin/env bash
# Builds target/segue-client.jar and the tests with what Debian has: javac, protoc and the jars of /usr/share/java.
# Needs the packages that `make java` installs. pom.xml builds the same sources against current versions.
#
#   ./build.sh            build
#   ./build.sh test       run the tests that were built; SEGUE_SCENARIOS names a file of scenarios to ask a service
#   ./build.sh run FILE   run one source file against the client that was built
set -euo pipefail
cd "$(dirname "$0")"

# What every language shares.
PROTO_ROOT=${SEGUE_PROTO_ROOT:-../python/segue_client/proto}
export SEGUE_GOLDEN=${SEGUE_GOLDEN:-$PWD/../golden}

PROTO=segue/offers/v1/offers.proto

jars() { local each; for each in "$@"; do printf '/usr/share/java/%s.jar:' "$each"; done; }
COMPILE=$(jars grpc-api grpc-stub grpc-protobuf grpc-protobuf-lite protobuf proto-google-common-protos guava gson jsr305)
RUN=$COMPILE$(jars grpc-core grpc-context grpc-netty perfmark-api netty-buffer netty-codec netty-codec-http \
  netty-codec-http2 netty-codec-socks netty-common netty-handler netty-handler-proxy netty-resolver netty-transport \
  netty-transport-native-unix-common netty-tcnative)
# The generated stubs carry an annotation that Java no longer brings.
GENERATED=$(jars geronimo-annotation-1.3-spec)
TEST=$(jars protobuf-util junit-jupiter-api junit-jupiter-params junit-jupiter-engine junit-platform-commons \
  junit-platform-engine junit-platform-launcher junit-platform-console junit-platform-reporting opentest4j \
  opentest4j-reporting-events opentest4j-reporting-schema apiguardian-api picocli univocity-parsers)

# Debian's Netty speaks HTTP/2 over TLS by OpenSSL only, and looks for the library by another name than Debian's.
TCNATIVE=/usr/lib/*/jni/libnetty-tcnative.so
JAVA=(java -XX:TieredStopAtLevel=1 -Djava.library.path=target/native)

# A second compiler in the JVM would not pay for itself in so short a run.
compile() { javac -J-XX:TieredStopAtLevel=1 -J-XX:+UseSerialGC --release 17 "$@"; }

build() {
  rm -rf target
  mkdir -p target/generated target/classes target/test-classes target/native
  cp $TCNATIVE target/native/libnetty_tcnative.so
  protoc --proto_path="$PROTO_ROOT" --java_out=target/generated --grpc-java_out=target/generated \
    --plugin=protoc-gen-grpc-java="$(command -v grpc_java_plugin)" "$PROTO"
  compile -Xlint:deprecation -nowarn -d target/classes -cp "$COMPILE$GENERATED" \
    $(find target/generated -name '*.java')
  compile -Xlint:all,-classfile,-path,-processing -Werror -d target/classes -cp "target/classes:$COMPILE" \
    $(find src/main/java -name '*.java')
  cp "$PROTO_ROOT/$PROTO" "$PROTO_ROOT/${PROTO%/*}/"service_config*.json target/classes/segue/offers/v1/
  jar --create --file target/segue-client.jar -C target/classes .
  compile -Xlint:all,-classfile,-path,-processing -Werror -d target/test-classes \
    -cp "target/segue-client.jar:$COMPILE$TEST" $(find src/test/java -name '*.java')
}

case ${1:-} in
  run) exec "${JAVA[@]}" -cp "target/segue-client.jar:$RUN" "${@:2}" ;;
  test)
    exec "${JAVA[@]}" -cp "target/test-classes:target/segue-client.jar:$RUN$TEST" \
      org.junit.platform.console.ConsoleLauncher \
      --scan-classpath target/test-classes --disable-banner --disable-ansi-colors --details=tree
    ;;
  *) build ;;
esac
