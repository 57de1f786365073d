#!/usr/bin/env bash
# An example consumer: pages whoever is on duty when a lookup has no usable upstream, and once only, however often
# the event is repeated. `dipcache events tail` reads the first sink of the config; PAGER gets one line.
#
#   PAGER=./my-pager config/page-on-degraded.sh -c /etc/dipcache/dipcache.toml
set -euo pipefail
: "${PAGER:=cat}"
declare -A seen
dipcache events tail "$@" |
  jq --unbuffered -r 'select(.type == "dipcache.dependency.degraded") | [.id, .data.node, .data.lookup, .data.reason] | @tsv' |
  while IFS=$'\t' read -r id node lookup reason; do
    [ -z "${seen[$id]:-}" ] || continue
    seen[$id]=1
    printf '%s: %s is degraded: %s\n' "$node" "$lookup" "$reason" | $PAGER
  done
