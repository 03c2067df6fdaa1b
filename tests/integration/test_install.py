"""`cmake --install` gives three programs that run from where they were put. NETSENSE_BUILD is the build folder."""

import os
import subprocess


def test_install_gives_three_programs(tmp_path):
    subprocess.run(["cmake", "--install", os.environ["NETSENSE_BUILD"], "--prefix", tmp_path], check=True, capture_output=True)
    installed = sorted(path.name for path in (tmp_path / "bin").iterdir())
    assert installed == ["netsense-bench", "netsense-bridge", "netsense-engine"]
    for program in installed:
        shown = subprocess.run([tmp_path / "bin" / program, "--version"], capture_output=True, text=True)
        assert shown.returncode == 0 and shown.stdout.startswith(program)
    # The helper that UCX runs in lies out of the way, and is found from there.
    assert (tmp_path / "libexec/netsense/netsense-ucx").exists()
    listed = subprocess.run([tmp_path / "bin/netsense-engine", "--list-transports"], capture_output=True, text=True)
    assert "ucx: available" in listed.stdout
