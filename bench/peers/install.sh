#!/bin/sh
# Install what `make bench-peers` compares the store with, from Debian: as root, or say how. No service of it may run
# beside what is measured, now or after the next start of the machine; but one that is there already is not touched.
set -eu

missing=
for wanted in redis-server:redis-server redis-benchmark:redis-tools etcd:etcd-server wrk:wrk; do
	command -v "${wanted%:*}" >/dev/null || missing="$missing ${wanted#*:}"
done
[ -n "$missing" ] || exit 0

install="apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "make: not found:$missing: $install" >&2
	exit 1
fi

# Packages ask this script whether they may start what they bring.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod +x "$policy"
fi
echo "$install"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update && $install; } >/dev/null || {
	echo "make: apt-get could not install$missing" >&2
	exit 1
}
if command -v systemctl >/dev/null; then
	for package in $missing; do
		case "$package" in
			redis-server) systemctl --quiet disable redis-server ;;
			etcd-server) systemctl --quiet disable etcd ;;
		esac
	done
fi
