"""An installation of Ray to write into, whose files are links to those of another one, which stays as it is.

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
    # Ray's own tree is a copy of links, so that a module can be put into it; the rest is found where it is.
    subprocess.run(["cp", "-rs", base_site / "ray", site], check=True)
    (site / "base.pth").write_text(f"{base_site}\n")
    script = (base / "bin/ray").read_text().splitlines(keepends=True)
    (made / "bin/ray").write_text(f"#!{made}/bin/python\n" + "".join(script[1:]))
    (made / "bin/ray").chmod(0o755)
    return made / "bin/ray"


def ray_overlay(ray, directory):
    """With netsense's Python files, as they are in the source tree."""
    made = ray_alone(ray, directory)
    site = site_packages(made)
    without_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(SOURCES / "netsense_ray", site / "netsense_ray", ignore=without_caches)
    shutil.copytree(SOURCES / "ray_dashboard_module", site / "ray/dashboard/modules/netsense", ignore=without_caches)
    return made


def ray_with_wheel(ray, wheel, directory):
    """With the wheel, as `pip install` does it."""
    made = ray_alone(ray, directory)
    pip = [Path(ray).absolute().parent / "pip", "--python", made.parent / "python", "--disable-pip-version-check", "--no-cache-dir"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    return made
