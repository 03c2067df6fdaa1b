"""/tmp/netsense-UID, made by somebody else before us: said in words, and the bridge ends with exit code 3. So does a token that others may read."""

import subprocess

import pace
import pytest
from cluster import clean_environment

USER, STRANGER = 1000, 1001

# A /tmp of its own, in which a stranger was first; then the bridge, as an ordinary user without a runtime directory.
HOST = """
set -eu
mount --bind "$1" /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -m 755 /tmp/home
chown "$USER_ID" /tmp/home
printf secret > /tmp/home/token
chown "$USER_ID" /tmp/home/token
chmod "$TOKEN_MODE" /tmp/home/token
if [ -n "$FOLDER_MODE" ]; then
  mkdir "/tmp/netsense-$USER_ID"
  chmod "$FOLDER_MODE" "/tmp/netsense-$USER_ID"
  chown "$FOLDER_OWNER" "/tmp/netsense-$USER_ID"
fi
shift
exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --inh-caps=-all --bounding-set=-all $CONTAINER "$@"
"""

BRIDGE = ["/mnt/netsense-bridge", "run", "--standalone", "--head", "--node-ip", "127.0.0.1", "--token-file", "/tmp/home/token",
          "--network-sense-door-port", "0", "--network-sense-http-port", "0", "--gcs-listen", "127.0.0.1:0", "--state-file", "off"]  # fmt: skip


def start(bin_dir, folder_mode="", folder_owner=STRANGER, token_mode="600", container=""):
    environment = clean_environment("/tmp/home") | {
        "USER_ID": str(USER), "FOLDER_MODE": folder_mode, "FOLDER_OWNER": str(folder_owner), "TOKEN_MODE": token_mode,
        "CONTAINER": container,
    }  # fmt: skip
    del environment["NETSENSE_RUNTIME_DIR"]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOST, "sh", str(bin_dir.resolve()), *BRIDGE]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def ends_saying(bridge):
    try:
        _, said = bridge.communicate(timeout=pace.hangs_after())
    finally:
        bridge.kill()
    return bridge.returncode, said


@pytest.mark.parametrize("mode", ["755", "777", "1777", "700"])
def test_a_runtime_folder_of_somebody_else(namespaces, bin_dir, mode):
    code, said = ends_saying(start(bin_dir, folder_mode=mode))
    assert code == 3 and f"/tmp/netsense-{USER} belongs to user {STRANGER}" in said and "NETSENSE_RUNTIME_DIR" in said, said


@pytest.mark.parametrize("mode", ["755", "777"])
def test_a_runtime_folder_of_somebody_else_in_an_unprivileged_container(namespaces, bin_dir, mode):
    """Who made it, nobody can tell there: that it is of no use, or open, is said."""
    code, said = ends_saying(start(bin_dir, folder_mode=mode, container=UNPRIVILEGED))
    assert code == 3 and f"/tmp/netsense-{USER}" in said and "NETSENSE_RUNTIME_DIR" in said, said


def test_a_token_that_others_may_read(namespaces, bin_dir):
    code, said = ends_saying(start(bin_dir, token_mode="644"))
    assert code == 3 and "others may read /tmp/home/token (mode 0644): chmod 600 /tmp/home/token" in said, said


# An unprivileged container knows its own user alone: the host's root, whose / and /tmp are, is nobody there.
UNPRIVILEGED = "unshare --user --map-current-user"


@pytest.mark.parametrize("mode, container", [("", ""), ("755", ""), ("700", ""), ("", UNPRIVILEGED), ("700", UNPRIVILEGED)])
def test_a_folder_of_ours_is_used(namespaces, bin_dir, mode, container):
    bridge = start(bin_dir, folder_mode=mode, folder_owner=USER, container=container)
    try:
        found = next((line for line in bridge.stderr if f"on /tmp/netsense-{USER}/" in line), None)
    finally:
        bridge.terminate()
        bridge.communicate(timeout=pace.hangs_after())
    assert found, "no engine was driven"
