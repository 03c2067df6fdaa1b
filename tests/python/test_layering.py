"""Includes and imports run one way: between the top folders, and between the rooms of the bridge; and no imports of the Python package
run in a circle. docs/architecture.md has the picture."""

import ast
import graphlib
import posixpath
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Who may include what beside itself. `netsense/` and `ray/` are generated from proto/.
MAY_INCLUDE = {
    "base": set(),
    "proto": {"netsense"},
    "transports": {"base", "proto", "netsense"},
    "engine": {"base", "proto", "netsense", "transports"},
    "bench": {"base", "proto", "netsense", "transports", "engine"},
    "raylet_bridge": {"base", "proto", "netsense", "ray"},
}
# Each may include what stands before it. What lies in the folder itself is the last.
ROOMS = {"raylet_bridge": ["records", "gcs", "identity", "plan", "engine_link", "cluster", "serve", "cli", ""]}

INCLUDE = re.compile(r'^\s*#include "([^"]+)"', re.MULTILINE)
# Of TypeScript: from a folder beside, or by the path from the root. What has neither is a package.
IMPORT = re.compile(r'^(?:import\b[^"]*|export [^"]*\bfrom )"([^"]+)"', re.MULTILINE)


def room_of(top, path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 and parts[1] in ROOMS[top] else ""


def violations(sources):
    """Of {path: text}, in words."""
    for path, text in sorted(sources.items()):
        top = path.split("/")[0]
        if top not in MAY_INCLUDE:
            continue
        for included in INCLUDE.findall(text):
            target = included.split("/")[0]
            if "/" not in included:
                yield f"{path} includes {included}: by the path from the root, please"
            elif target in MAY_INCLUDE.keys() | {"netsense", "ray"}:
                if target != top and target not in MAY_INCLUDE[top]:
                    yield f"{path} includes {included}: {top} may not include {target}"
                elif target == top and top in ROOMS:
                    here, there = (ROOMS[top].index(room_of(top, each)) for each in (path, included))
                    if there > here:
                        yield f"{path} includes {included}: the room {room_of(top, path)!r} lies below {room_of(top, included)!r}"


PACKAGE = "raylet_bridge/python/netsense_ray"


def circle_of_imports(sources):
    """Modules of the package that import each other, in functions and for types too; None when there are no such."""
    modules = {Path(path).stem: text for path, text in sources.items() if str(Path(path).parent) == PACKAGE}
    imports: dict[str, set[str]] = {name: set() for name in modules}
    for name, text in modules.items():
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.ImportFrom(level=1, module=None):  # from . import a, b
                    imports[name] |= {alias.name if alias.name in modules else "__init__" for alias in node.names}
                case ast.ImportFrom(level=1, module=str(other)):
                    imports[name].add(other)
                case ast.ImportFrom(module=str(other)):
                    assert other.split(".")[0] != "netsense_ray", f"{name}: of its own package, by `from .`, please"
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def imports_across(sources):
    """Of {path: text} of TypeScript, in words: what may import whom among the top folders, as with includes."""
    for path, text in sorted(sources.items()):
        top = path.split("/")[0]
        for imported in IMPORT.findall(text):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), imported)) if imported.startswith(".") else imported
            other = target.split("/")[0]
            if other in MAY_INCLUDE and other != top and other not in MAY_INCLUDE[top]:
                yield f"{path} imports {imported}: {top} may not import {other}"


def the_tree(*kinds):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", *kinds], capture_output=True, text=True, check=True)
    return {path: (ROOT / path).read_text() for path in listed.stdout.split() if (ROOT / path).exists()}


def test_includes_run_one_way():
    sources = the_tree("*.h", "*.cc")
    assert len([path for path in sources if path.split("/")[0] in MAY_INCLUDE]) > 200, "the sources were not found"
    assert list(violations(sources)) == []


@pytest.mark.parametrize(
    "path, line, words",
    [
        ("base/clock.h", '#include "transports/frame.h"', "base may not include transports"),
        ("raylet_bridge/bridge.cc", '#include "transports/door/dial.h"', "raylet_bridge may not include transports"),
        ("bench/bw.cc", '#include "raylet_bridge/cluster/topology.h"', "bench may not include raylet_bridge"),
        ("engine/prober.cc", '  #include "bench/rows.h"', "engine may not include bench"),
        ("transports/frame.cc", '#include "ray/gcs.pb.h"', "transports may not include ray"),
        ("raylet_bridge/records/report.cc", '#include "raylet_bridge/cluster/topology.h"', "'records' lies below 'cluster'"),
        ("raylet_bridge/serve/metrics.cc", '#include "raylet_bridge/bridge.h"', "'serve' lies below ''"),
        ("engine/prober.cc", '#include "prober.h"', "by the path from the root"),
    ],
)
def test_a_planted_violation_is_found(path, line, words):
    sources = the_tree("*.h", "*.cc")
    sources[path] += line + "\n"
    (found,) = violations(sources)
    assert found.startswith(path) and words in found


def test_no_python_imports_run_in_a_circle():
    sources = the_tree(f"{PACKAGE}/*.py")
    assert len(sources) > 10, "the package was not found"
    assert circle_of_imports(sources) is None


@pytest.mark.parametrize("line", ["from .cli import main", "def late():\n    from . import cli", "from . import topology"])
def test_a_planted_circle_of_imports_is_found(line):
    sources = the_tree(f"{PACKAGE}/*.py")
    sources[f"{PACKAGE}/programs.py"] += line + "\n"
    assert "programs" in circle_of_imports(sources)


def test_imports_run_one_way():
    sources = the_tree("*.ts")
    assert len(sources) > 50 and "bench/report/src/main.ts" in sources, "the sources were not found"
    assert list(imports_across(sources)) == []


@pytest.mark.parametrize(
    "path, line, words",
    [
        ("base/web/dom.ts", 'import { lookOf } from "../../raylet_bridge/page/src/states.ts";', "base may not import raylet_bridge"),
        ("bench/report/src/maps.ts", 'import { lookOf } from "../../../raylet_bridge/page/src/states.ts";', "bench may not import raylet_bridge"),
        ("raylet_bridge/page/src/history.ts", 'import {\n  lineChart,\n} from "bench/report/src/charts.ts";', "raylet_bridge may not import bench"),
        ("raylet_bridge/page/src/main.ts", 'import "../../../bench/report/src/page.css";', "raylet_bridge may not import bench"),
    ],
)
def test_a_planted_import_is_found(path, line, words):
    sources = the_tree("*.ts")
    sources[path] += line + "\n"
    (found,) = imports_across(sources)
    assert found.startswith(path) and words in found


def test_every_folder_of_the_bridge_with_sources_is_a_room():
    folders = {path.split("/")[1] for path in the_tree("*.h", "*.cc") if path.startswith("raylet_bridge/") and path.count("/") > 1}
    assert folders <= set(ROOMS["raylet_bridge"]), "a new room gets its place in ROOMS"
