#!/bin/sh
# Runs a command that installs Debian packages, such that none of their services starts: not now, and not at the next boot.
#   scripts/without-services.sh apt-get install -y haproxy
# A service that was enabled before stays enabled. Debian enables what it installs, and asks policy-rc.d only about the
# start; so what is newly enabled afterwards is disabled again. With systemd or without, and also where systemd does not run.
set -eu

# What a boot starts: a link for each unit and for each init script. One whose package was removed leads nowhere, and does
# not count. What belongs to systemd itself (a login prompt, say) hangs on other targets and stays.
enabled() {
  for link in /etc/systemd/system/multi-user.target.wants/*.service /etc/systemd/system/graphical.target.wants/*.service \
    /etc/systemd/system/timers.target.wants/*.timer /etc/systemd/system/sockets.target.wants/*.socket \
    /etc/systemd/system/paths.target.wants/*.path /etc/rc[2345].d/S[0-9][0-9]*; do
    if [ -e "$link" ]; then echo "$link"; fi
  done
}

before=$(enabled)
policy=
finish() {
  [ -z "$policy" ] || rm -f "$policy"
  enabled | while IFS= read -r link; do
    case "
$before
" in
      *"
$link
"*) continue ;;
    esac
    [ -e "$link" ] || continue # disabled meanwhile, together with another
    name=${link##*/}
    # An upgrade of the package keeps to either. A unit's link needs no tool; systemctl may not be there.
    case $link in
      /etc/rc*) update-rc.d "${name#S[0-9][0-9]}" disable ;;
      *) rm -f "$link" ;;
    esac
  done
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A policy that is there is the administrator's.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  policy=/usr/sbin/policy-rc.d
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
"$@"
