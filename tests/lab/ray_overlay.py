"""An installation of Ray to write into, made of links into another one, which stays as it is.

ray = ray_overlay("build/venv/bin/ray", directory)   # the path of its `ray`; with ray-netsense, as its wheel installs it
"""

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "raylet_bridge" / "python"


def site_packages(ray):
    (site,) = Path(ray).parents[1].glob("lib/python*/site-packages")
    return site


def ray_alone(ray, directory):
    """Without netsense."""
    base = Path(ray).absolute().parents[1]  # not resolved: a venv's python is a link
    made = Path(directory)
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", made], check=True)
    site, base_site = site_packages(made / "bin/ray"), site_packages(base / "bin/ray")
    for folder in ("ray", "ray/dashboard", "ray/dashboard/modules"):  # the way to where a module is put
        (site / folder).unlink(missing_ok=True)
        (site / folder).mkdir()
        for entry in (base_site / folder).iterdir():
            (site / folder / entry.name).symlink_to(entry)
    (site / "base.pth").write_text(f"{base_site}\n")
    script = (base / "bin/ray").read_text().splitlines(keepends=True)
    (made / "bin/ray").write_text(f"#!{made}/bin/python\n" + "".join(script[1:]))
    (made / "bin/ray").chmod(0o755)
    return made / "bin/ray"


def ray_overlay(ray, directory):
    """With netsense's Python files, as they are in the source tree."""
    made = ray_alone(ray, directory)
    site = site_packages(made)
    for source, place in (("netsense_ray", "netsense_ray"), ("ray_dashboard_module", "ray/dashboard/modules/netsense")):
        shutil.copytree(SOURCES / source, site / place, ignore=shutil.ignore_patterns("__pycache__"))
    return made
