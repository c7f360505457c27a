#!/bin/sh
# Generates the Go stubs of protos/ and builds ask.go, in a directory that it makes.
#
#   docs/examples/build_go.sh ./ask-go && ./ask-go/ask 127.0.0.1:7452 acme/web sha256:… syd
#
# Needs go 1.23 or newer, protoc with its google/protobuf (Debian: protobuf-compiler and
# libprotobuf-dev), and the plugins:
#   go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11
#   go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
protos=$here/../../protos

options=""
for file in "$protos"/placement/v1/*.proto; do
  name=placement/v1/$(basename "$file")
  where="M$name=example.com/ask/placement/v1;placementv1"
  options="$options --go_opt=$where --go-grpc_opt=$where"
done
# shellcheck disable=SC2086  # one word for each option
protoc --proto_path="$protos" $options \
  --go_out="$out" --go_opt=module=example.com/ask \
  --go-grpc_out="$out" --go-grpc_opt=module=example.com/ask \
  "$protos"/placement/v1/*.proto

cp "$here/ask.go" "$out/ask.go"
cd "$out"
[ -f go.mod ] || go mod init example.com/ask
go mod tidy
go build -o ask ask.go
