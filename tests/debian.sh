#!/bin/sh
# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs the Debian packages of tests/debian.txt that are missing: `debian.sh demo`, `debian.sh test` with those of the
# demo, or `debian.sh applications`.
# The servers that come with them are neither started nor enabled: tests start their own.
set -eu

purposes=" demo $* "
export PYTHON="${PYTHON:-python3}"

missing() {
    while read -r needed_by package probe; do
        case "$purposes" in
        *" $needed_by "*) sh -c "$probe" >/dev/null 2>&1 </dev/null || printf '%s ' "$package" ;;
        esac
    done <"$(dirname "$0")/debian.txt"
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null; then
    exec sudo PYTHON="$PYTHON" sh "$0" "$@"
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Please install ${packages% } (or what your system calls it), then run this again." >&2
    exit 1
fi

echo "Installing ${packages% } ..."
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
echo 'redmine redmine/instances/default/dbconfig-install boolean false' | debconf-set-selections
apt-get -qq update
# shellcheck disable=SC2086 # one word per package
apt-get -qq -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends $packages
if [ -d /run/systemd/system ]; then
    for unit in postfix dovecot prometheus prometheus-alertmanager prometheus-blackbox-exporter prometheus-node-exporter \
        monit mailman3 fetchmail; do
        case " $packages" in
        *" $unit"*) systemctl disable --quiet "$unit" ;;
        esac
    done
fi
broken=$(missing)
if [ -n "$broken" ]; then
    echo "${broken% } did not bring what is needed; see tests/debian.txt" >&2
    exit 1
fi
