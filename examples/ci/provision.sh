#!/bin/sh
# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# What a pipeline does while the sandbox is there: provision the test system's mail, and test it.
set -eu

ansible-playbook mailroom.core.apply --inventory inventory --extra-vars @sandbox.json
ansible-playbook mailroom.core.verify --inventory inventory --extra-vars @sandbox.json \
    --extra-vars "mailroom_verify=envelope mailroom_junit=$PWD/junit"

# Here the tests of the application go, which send mail through the connectors.
