#!/bin/sh
# The demo's deployment: takes the version out of the commit, "starts" it, and writes one line into releases/releases.log.
#
# That line is the moment at which it has happened. It carries the idempotency key, so a second run with the same key does
# nothing and prints what the first one printed. Killed before that line: the next run does it all.
#
# usage: deploy.sh deploy|roll-back <service> <tag> <environment> <repository> <releases folder>
set -eu

action=$1 service=$2 tag=$3 environment=$4 repository=$5 releases=$6
key=${PARLEY_IDEMPOTENCY_KEY:?the idempotency key is missing}
commit=${PARLEY_COMMIT:?the commit is missing}

# A key becomes part of file names here.
name=$(printf '%s' "$key" | tr -c 'A-Za-z0-9' '_')
log=$releases/releases.log
printed=$releases/$name.out
lock=$releases/$name.lock

# Whoever reads our output may die before us; the deployment goes on all the same.
trap '' PIPE
say() {
  printf '%s\n' "$*" >>"$printed"
  printf '%s\n' "$*" 2>/dev/null || :
}

done_before() { [ -f "$log" ] && grep -q "key=$name\$" "$log"; }

# An earlier attempt may still be at work after its worker was killed: wait for it, or take over when it is dead.
waited=0
until mkdir "$lock" 2>/dev/null; do
  if ! kill -0 "$(cat "$lock/pid" 2>/dev/null || echo none)" 2>/dev/null && [ "$waited" -ge 2 ]; then
    rm -rf "$lock"
  elif [ "$waited" -ge 30 ]; then
    echo "another attempt with this key does not end" >&2
    exit 75
  else
    waited=$((waited + 1))
    sleep 1
  fi
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 143' TERM INT HUP

if done_before; then
  cat "$printed"
  exit 0
fi

: >"$printed"
version=$(git -C "$repository" show "$commit:VERSION")
say "$action $service $tag in $environment"
say "checked out $(printf '%.12s' "$commit"), which says it is $version"
sleep 1
printf '%s %s\n' "$tag" "$commit" >"$releases/.$name.now"
mv "$releases/.$name.now" "$releases/$environment-$service.now"
printf '%s\t%s\t%s\t%s\t%s\t%s\tby=%s\tkey=%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$action" "$service" "$tag" \
  "$commit" "$environment" "${PARLEY_REQUESTER:-}" "$name" >>"$log"
say "$service $tag runs in $environment"
