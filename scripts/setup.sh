#!/bin/sh
# Makes sure that the Debian packages of one or more groups are there: build, lab, l7, ha, fleet, observe, interop, fuzz.
# As root it installs what is missing; otherwise it prints the line to run and fails. Running it again is free.
# An installation that was cut off (a kill, a power loss) is finished first: until then apt installs nothing at all.
set -eu

build='gcc g++ make python3 libc6-dev linux-libc-dev clang llvm libbpf-dev libpcap-dev'
lab='iproute2 nftables ethtool iputils-ping tcpdump tshark nginx-light curl procps openssl systemd'
l7='haproxy nghttp2-client lego pebble'
ha='bird2 frr keepalived gdnsd exabgp gobgpd bind9-dnsutils'
fleet='etcd-server etcd-client'
observe='prometheus chromium fonts-dejavu-core'
fuzz='libclang-rt-dev'
interop='qemu-system-x86 busybox-static bpftool cpio xz-utils'

packages=
for group in "$@"; do
  case $group in
    build) packages="$packages $build" ;;
    lab) packages="$packages $lab" ;;
    l7) packages="$packages $l7" ;;
    ha) packages="$packages $ha" ;;
    fleet) packages="$packages $fleet" ;;
    observe) packages="$packages $observe" ;;
    interop) packages="$packages $interop" ;;
    fuzz) packages="$packages $fuzz" ;;
    *) echo "setup.sh: unknown group '$group': build, lab, l7, ha, fleet, observe, interop and fuzz are known" >&2; exit 2 ;;
  esac
done

missing=
for package in $packages; do
  # A virtual or replaced package (nginx for nginx-light, say) counts when its program is there.
  case $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
    ii*) ;;
    *) [ "$package" = nginx-light ] && command -v nginx >/dev/null && continue
       # It stands for the runtime of the default clang, which may have come by its versioned name.
       [ "$package" = libclang-rt-dev ] && ls "$(clang -print-resource-dir)"/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 &&
         continue
       missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

unfinished=$(dpkg --audit)
if [ "$(id -u)" -ne 0 ]; then
  echo "These Debian packages are missing:$missing" >&2
  echo "Install them, then run make again:" >&2
  [ -z "$unfinished" ] || echo "  sudo $(dirname "$0")/without-services.sh dpkg --configure -a" >&2
  echo "  sudo $(dirname "$0")/without-services.sh apt-get install --no-install-recommends$missing" >&2
  exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# What it says is shown only when it fails. The files of configuration that someone changed stay as they are.
if [ -n "$unfinished" ]; then
  echo 'Finishing an installation of Debian packages that was cut off'
  log=$(mktemp)
  "$(dirname "$0")/without-services.sh" dpkg --configure -a --force-confold </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    rm -f "$log"
    exit 1
  }
  rm -f "$log"
fi
echo "Installing:$missing"
# The lab runs its own servers, in its own namespaces; those of the packages stay off.
install() {
  # shellcheck disable=SC2086
  "$(dirname "$0")/without-services.sh" apt-get install -y -q --no-install-recommends $missing
}
install >/dev/null 2>&1 || {
  apt-get update -q
  install
}
