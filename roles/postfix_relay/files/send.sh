# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=sh

# Usage: sh send.sh FOLDER ADDRESS SECONDS < mail
# Hands a mail to the Postfix whose main.cf is in FOLDER, and prints the line of its log that says what has become of it.

folder=$1 address=$2 seconds=$3
message_id="$(date +%s).$$.mailroom@$(uname -n)"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

find_in_log() {
    log=$(postconf -c "$folder" -h maillog_file)
    # It may be a pipe or a terminal, which has no end.
    if [ -f "$log" ]; then
        grep -F -e "$1" "$log"
    else
        grep -h -s -F -e "$1" /var/log/mail.log /var/log/maillog
        command -v journalctl > /dev/null && journalctl --quiet --since=-15min | grep -F -e "$1"
    fi
}

{
    echo "Message-ID: <$message_id>"
    cat
} | "$(postconf -c "$folder" -h sendmail_path)" -C "$folder" -i -- "$address" || exit
while [ "$seconds" -gt 0 ]; do
    queue_id=$(find_in_log "message-id=<$message_id>" | sed -n 's/.*: \([0-9A-Za-z]*\): message-id=.*/\1/p' | head -n 1)
    if [ -n "$queue_id" ] && find_in_log ": $queue_id: to=<" | tail -n 1 | grep -e " status="; then
        exit
    fi
    seconds=$((seconds - 1))
    sleep 1
done
