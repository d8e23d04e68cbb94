#!/bin/sh
# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs Debian packages without starting or enabling the servers that come with them: tests start their own.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
apt-get -qq update
apt-get -qq install --yes --no-install-recommends "$@"

if [ -d /run/systemd/system ]; then
    for unit in postfix dovecot prometheus-alertmanager prometheus-blackbox-exporter; do
        case " $* " in
        *" $unit"*) systemctl disable --quiet "$unit" ;;
        esac
    done
fi
