#!/bin/sh
# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Provision the mail of the test system while the sandbox runs, and test it.
set -eu

ansible-playbook mailroom.core.apply --inventory inventory --extra-vars @sandbox.json
ansible-playbook mailroom.core.verify --inventory inventory --extra-vars @sandbox.json \
    --extra-vars "mailroom_verify=envelope mailroom_junit=$PWD/junit"

# Add the tests of your application here.
