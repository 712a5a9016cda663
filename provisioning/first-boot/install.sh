#!/bin/sh
# Puts edgeagent on this machine from the boot partition, without a network: install.sh [FOLDER], the folder that holds
# bundle.tar and bundle.sha256; without it, the script's own. Run as root by what the system does at its first boot.
#
# Rules:
#   - Nothing is unpacked before its hash is right, and nothing counts as installed before the installer has said so.
#   - It may be run twice, and cut off anywhere: it begins anew, by itself at the next start, until it is done once.
#   - What is wrong stands on the console, and in problem.txt beside the bundle, for whoever reads the card elsewhere.
# EDGEAGENT_ROOT names another root folder than /, for an image that is not running.
set -eu
umask 022

here=${1:-}
[ -n "$here" ] || here=$(dirname "$0") # on its own, so that its failure ends this: `cd ""` stays where we are
folder=$(cd "$here" && pwd)
root=${EDGEAGENT_ROOT:-}
root=${root%/}
home=$root/opt/edgeagent
unpacked=$home/unpacked
unit=edgeagent-install-again.service
units=$root/etc/systemd/system

say() {
  printf 'edgeagent: %s\n' "$1"
  if [ -z "$root" ] && [ -w /dev/console ] && [ ! -t 1 ]; then
    printf 'edgeagent: %s\n' "$1" >/dev/console 2>/dev/null || true
  fi
}

fail() {
  say "problem: $1"
  say "  try: $2"
  printf 'edgeagent is not installed.\r\n\r\n%s\r\n%s\r\n' "$1" "$2" 2>/dev/null >"$folder/problem.txt" || true
  exit 1
}

again() { # the next start goes on, whatever had us started now
  mkdir -p "$units/multi-user.target.wants"
  cat >"$units/$unit" <<END
[Unit]
Description=Install edgeagent from the boot partition, where that was cut off
RequiresMountsFor=$folder
ConditionPathExists=$folder/install.sh
After=local-fs.target

[Service]
Type=oneshot
ExecStart=/bin/sh $folder/install.sh $folder
TimeoutStartSec=30min

[Install]
WantedBy=multi-user.target
END
  ln -sfn "../$unit" "$units/multi-user.target.wants/$unit"
}

packages() { # $1 is `older`: also those that are there in an older version. None that is there may go, or go back.
  older=$1
  set --
  for deb in "$unpacked"/debs/*.deb; do
    name=$(dpkg-deb -f "$deb" Package) && version=$(dpkg-deb -f "$deb" Version) || return 1
    there=$(dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$name" 2>/dev/null | head -n 1)
    case $there in
    'installed '*) [ -n "$older" ] && dpkg --compare-versions "${there#* }" lt "$version" || continue ;;
    esac
    set -- "$@" "$deb"
  done
  [ $# -gt 0 ] || return 0
  # Not with --no-download: apt then finds none of the files either. What is only recommended would need a network.
  apt-get -y -q --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300 install "$@" 9>&-
}

done_with_it() {
  rm -f "$units/multi-user.target.wants/$unit" "$units/$unit"
  rm -f "$folder/problem.txt" 2>/dev/null || true
}

[ "$(id -u)" -eq 0 ] || fail "this is not root" "sudo sh $folder/install.sh"
for program in sha256sum tar flock python3; do
  command -v "$program" >/dev/null 2>&1 || fail "there is no $program on this system" "Use Raspberry Pi OS or Debian."
done
for file in bundle.tar bundle.sha256; do
  [ -f "$folder/$file" ] || fail "$folder/$file is missing" "Write the card anew: edgeagent image customise --bundle."
done
wanted=$(tr -d '\r\357\273\277' <"$folder/bundle.sha256" | awk 'NR == 1 { print tolower($1) }')
case $wanted in
*[!0-9a-f]* | '') fail "bundle.sha256 holds no SHA-256" "Write the card anew." ;;
esac

mkdir -p "$home"
(umask 077 && : >>"$home/.installing") # who can open it can hold the lock
exec 9>"$home/.installing"
flock 9
if [ "$(cat "$home/.installed" 2>/dev/null || true)" = "$wanted" ] && [ -e "$home/venv/bin/edgeagent" ]; then
  done_with_it
  say "installed already"
  exit 0
fi
again

say "looking at the bundle"
found=$(sha256sum "$folder/bundle.tar" | awk '{ print $1 }') || fail "bundle.tar cannot be read" "The card may be worn out."
[ "$found" = "$wanted" ] || fail "bundle.tar is damaged: its hash is not that of bundle.sha256" "Write the card anew."

rm -rf "$unpacked"
need=$(($(stat -c %s "$folder/bundle.tar") / 1024 * 4))
free=$(df -Pk "$home" | awk 'NR == 2 { print $4 }')
[ "$free" -ge "$need" ] || fail "there are $((free / 1024)) MiB free, and $((need / 1024)) are needed" "Use a larger card, or grow the root."
mkdir -m 0700 "$unpacked"
tar -xf "$folder/bundle.tar" -C "$unpacked" --no-same-owner --no-same-permissions ||
  fail "bundle.tar cannot be unpacked" "Look at the message above: the disk may be full."

set -- "$unpacked"/debs/*.deb
if [ -z "$root" ] && [ -f "$1" ]; then
  say "installing packages that the system lacks"
  export DEBIAN_FRONTEND=noninteractive
  dpkg --configure -a 9>&- || true # where a power cut has ended it, apt does nothing more before that
  packages '' || packages older || fail "the packages of the bundle cannot be installed" "Make the bundle anew, for this release of Debian."
fi

set -- "$unpacked"/wheels/edgeagent-*-py3-none-any.whl
[ $# -eq 1 ] && [ -f "$1" ] || fail "the bundle holds no wheel of edgeagent, or several" "Make the bundle anew."
say "installing: this takes some minutes"
PYTHONPATH=$1 PYTHONDONTWRITEBYTECODE=1 python3 -P -m edgeagent.install install --no-start \
  --bundle "$unpacked" --root "${root:-/}" 9>&- || fail "the installer has ended with an error" "Look at what it says above."

rm -rf "$unpacked"
sync
printf '%s\n' "$wanted" >"$home/.installed.new"
sync "$home/.installed.new"
mv -f "$home/.installed.new" "$home/.installed"
sync "$home"
done_with_it
say "installed"
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl --no-block start edgeagent-firstboot.service edgeagent-firstboot.timer edgeagent.service
fi
