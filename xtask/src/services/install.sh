# Installs the packages named by the arguments, and keeps their services from starting now or with the machine.
set -eu
command -v apt-get >/dev/null || { echo "apt-get is missing: install $* by hand" >&2; exit 1; }

policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/x402.conf
log=$(mktemp)
undo="$cluster $log"
trap 'rm -f $undo' EXIT
trap 'exit 130' HUP INT TERM
if [ ! -e $policy ]; then
  undo="$undo $policy"
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
fi
mkdir -p "${cluster%/*}"
echo 'create_main_cluster = false' >$cluster

quietly() {
  "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}
export DEBIAN_FRONTEND=noninteractive
quietly apt-get update
for package in "$@"; do
  # Where there is no 15, the distribution's own version.
  apt-cache show "$package" >/dev/null 2>&1 || package=${package%-15}
  quietly apt-get install -y --no-install-recommends "$package"
  if [ "$package" = redis-server ]; then
    quietly update-rc.d redis-server disable
  fi
done
