"""A real Prometheus in a node of a NetLab, with the alert rules of raylet_bridge/monitoring/.

with Prometheus(lab, 1, directory, sd_file, token_file, rules) as prometheus:
    prometheus.query("up")
"""

import json
import re
import shutil
import subprocess
import urllib.parse

import pace
from cluster import wait_until

PORT = 9090


def why_not():
    """None when Prometheus and promtool are there, else what is missing."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"no {' and no '.join(missing)}: install Debian's package prometheus" if missing else None


class Prometheus:
    """Scrapes and evaluates each second; alerts fire after one."""

    def __init__(self, lab, node, directory, sd_file, token_file, rules):
        self.lab = lab
        self.node = node
        self.directory = directory / "prometheus"
        self.directory.mkdir()
        self.url = f"http://{lab.address(node)}:{PORT}"
        (self.directory / "rules.yml").write_text(re.sub(r"\bfor: \w+", "for: 1s", rules.read_text()))
        (self.directory / "prometheus.yml").write_text(
            json.dumps(  # YAML too
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yml"],
                    "scrape_configs": [
                        {
                            "job_name": "any",
                            "authorization": {"credentials_file": str(token_file)},
                            "file_sd_configs": [{"files": [str(sd_file)], "refresh_interval": "1s"}],
                        }
                    ],
                }
            )
        )

    def __enter__(self):
        log = open(self.directory / "log", "wb")
        self.process = self.lab.popen(
            self.node,
            ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address={self.lab.address(self.node)}:{PORT}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip
        log.close()
        try:
            wait_until("Prometheus is ready", self._ready, every=0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=pace.hangs_after(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        return self._get("/-/ready")[0] == 200

    def _get(self, path):
        done = self.lab.run(self.node, ["curl", "-s", "-g", "-m", pace.hangs_after(5), "-w", "\n%{http_code}", self.url + path])
        body, _, code = done.stdout.rpartition("\n")
        return int(code or 0), body

    def get(self, path):
        """`data` of an API answer."""
        code, body = self._get(f"/api/v1/{path}")
        answer = json.loads(body)
        assert code == 200 and answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """[(labels, value)]"""
        data = self.get("query?query=" + urllib.parse.quote(expression))
        assert data["resultType"] == "vector", data
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    def firing(self, alert, within="1s"):
        """Labels of those that fire, or did within the time that has passed."""
        return [labels for labels, _ in self.query(f'max_over_time(ALERTS{{alertname="{alert}",alertstate="firing"}}[{within}])')]
