"""A real Ray with its dashboard, which is asked by its port, and whose processes are watched."""

import json
import os
import signal
from pathlib import Path

import pace
from cluster import RayCluster, wait_until

TOPOLOGY = "/api/v0/network_topology"


class DashboardCluster(RayCluster):
    """With Ray's dashboard on the head; bridges are for the tests to start."""

    def __init__(self, *arguments, gcs_port=6379, **options):
        super().__init__(*arguments, **options)
        self.gcs_port = gcs_port  # Ray looks at the command lines of all its processes on a host: one address, one cluster
        self.gcs_address = f"{self.lab.address(1)}:{gcs_port}"

    def __enter__(self):
        self.start_cluster()
        return self

    def start_cluster(self):
        self.temp = self.directory / "r"
        self.start_ray(1, "--head", f"--port={self.gcs_port}", f"--temp-dir={self.temp}", "--include-dashboard=true", "--dashboard-host=0.0.0.0")
        self.join(range(2, self.lab.nodes + 1))
        wait_until("the dashboard", lambda: self.ask("/api/version", headers=self.bearer())[0] == 200, every=0.2)

    @property
    def session(self):
        return (self.temp / "session_latest").resolve()

    def ask(self, path, headers=None):
        """Status code, body, and the head of the answer, of Ray's dashboard."""
        command = ["curl", "-s", "-m", pace.hangs_after(20), "-D", "-", "-w", "\n%{http_code}"]
        for name, value in (headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        done = self.lab.run(1, [*command, f"http://{self.lab.address(1)}:8265{path}"])
        answer, _, code = done.stdout.rpartition("\n")
        head, _, body = answer.partition("\n\n")  # read as text, which makes one newline of CR LF
        return int(code), body, head

    def refused(self, path=TOPOLOGY, headers=None):
        """Status code and message of an answer that is an error in Ray's envelope."""
        code, body, _ = self.ask(path, headers)
        answer = json.loads(body)
        assert answer["result"] is False and answer["data"] == {}
        return code, answer["msg"]

    def processes(self, i, *parts):
        """Pids in node i of the Pythons whose command line holds one of `parts`."""
        found = []
        for pid in self.lab.pids(i):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                if any(part in command for part in parts) and Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("python"):
                    found.append(pid)
            except OSError:
                pass
        return sorted(found)

    def ray_processes(self):
        """What must never end because of us."""
        found = {"dashboard": self.processes(1, "dashboard/dashboard.py"), "gcs_server": self.pids_of(1, "gcs_server")}
        for i in range(1, self.lab.nodes + 1):
            found[f"raylet {i}"] = self.pids_of(i, "raylet")
            found[f"agent {i}"] = self.processes(i, "dashboard/agent.py", "ray::DashboardAgent")
        return found

    def module_process(self):
        found = self.processes(1, "ray-dashboard-NetworkHead")
        return found[0] if found else None

    def modules_started(self):
        return (self.session / "logs/dashboard_NetworkHead.log").read_text().count("initialized, receiving messages")

    def restart_module(self):
        """Ray starts a module's process anew when it is gone."""
        started = self.modules_started()
        os.kill(self.module_process(), signal.SIGKILL)
        wait_until("Ray to start the module anew", lambda: self.modules_started() > started, every=0.1)
