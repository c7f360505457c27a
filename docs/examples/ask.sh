#!/bin/sh
# Where would a machine wait least for an image? Asked of the agent's door with curl.
#
#   docs/examples/ask.sh 127.0.0.1:7453 acme/web:v1 syd,eu
set -eu
door=$1 image=$2 candidates=$3

curl --silent --show-error --fail-with-body --get "http://$door/v1/estimate" \
  --data-urlencode "image=$image" --data-urlencode "in=$candidates"
