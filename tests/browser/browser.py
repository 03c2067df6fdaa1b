"""A headless Chromium, by the W3C WebDriver protocol over urllib: chromedriver and the browser leave nothing behind."""

import base64
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

import pace

PR_SET_CHILD_SUBREAPER = 36
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# A browser of a test asks no server of its maker for anything, and needs no GPU.
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --disable-breakpad --disable-crash-reporter --hide-scrollbars --window-size=1400,1000"
).split()


def missing():
    """Why no browser can be had; None when one can."""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"not installed: {', '.join(names)}" if names else None


class Browser:
    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="nst-browser-", ignore_cleanup_errors=True)
        # Whoever is left of the browser when its parent ends becomes our child, so that we can wait for it.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        environment = {**os.environ, "HOME": self._folder.name, "TMPDIR": self._folder.name}
        # A process group of its own, so that all of it can be ended.
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            for line in self._driver.stdout:
                if match := re.search(r"started successfully on port (\d+)", line):
                    break
            else:
                raise RuntimeError("chromedriver ended before it listened")
            self._url = f"http://127.0.0.1:{match.group(1)}"
            options = {
                "args": [*FLAGS, f"--user-data-dir={self._folder.name}/profile"],
                "binary": shutil.which("chromium"),
            }
            made = self._call(
                "POST",
                "/session",
                {
                    "capabilities": {
                        "alwaysMatch": {
                            "goog:chromeOptions": options,
                            "goog:loggingPrefs": {"browser": "ALL"},
                            "timeouts": {"script": round(1000 * pace.hangs_after()), "pageLoad": round(1000 * pace.hangs_after())},
                        }
                    }
                },
            )
            self._url += f"/session/{made['sessionId']}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", "")
        finally:
            self._end()

    def _end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        self._driver.wait(timeout=pace.hangs_after())
        try:
            while True:
                os.waitpid(-self._driver.pid, 0)
        except ChildProcessError:
            pass
        self._driver.stdout.close()
        self._folder.cleanup()

    def _call(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * pace.hangs_after()) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {json.load(error)['value']['message']}") from None

    def open(self, file):
        self.open_url(file.resolve().as_uri())

    def open_url(self, url):
        self._call("POST", "/url", {"url": url})

    def devtools(self, command, **parameters):
        """A command of the browser's own protocol, where WebDriver has none."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height):
        """Of what the page is seen in."""
        extra = self.script("return [outerWidth - innerWidth, outerHeight - innerHeight]")
        self._call("POST", "/window/rect", {"width": width + extra[0], "height": height + extra[1]})

    def script(self, code, *arguments):
        """What `return`s of the code give."""
        return self._call("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def wait_for(self, condition):
        """Until the expression is true in the page; looked at before each of its frames."""
        code = f"""const done = arguments[arguments.length - 1];
            (function look() {{ if ({condition}) done(true); else requestAnimationFrame(look); }})();"""
        self._call("POST", "/execute/async", {"script": code, "args": []})

    def find(self, css):
        return self._call("POST", "/element", {"using": "css selector", "value": css})

    def point(self, element, x, y):
        """Moves the pointer to a place in an element, in pixels from its upper left corner."""
        # To the middle of the window: nothing that sticks to its edges lies over the place there.
        self.script("scrollBy(0, arguments[0].getBoundingClientRect().top + arguments[1] - innerHeight / 2)", element, y)
        box = self.script("const b = arguments[0].getBoundingClientRect(); return [b.left, b.top]", element)
        self._pointer({"type": "pointerMove", "duration": 0, "x": round(box[0] + x), "y": round(box[1] + y)})

    def click(self, element, x=None, y=None):
        """On a place in an element; its middle when none is given."""
        if x is None:
            x, y = self.script("const b = arguments[0].getBoundingClientRect(); return [b.width / 2, b.height / 2]", element)
        self.point(element, x, y)
        self._pointer({"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def _pointer(self, *actions):
        self._call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": list(actions)}]})

    def keys(self, element, *keys):
        self._call("POST", f"/element/{element[ELEMENT]}/value", {"text": "".join(keys)})

    def log(self):
        """What the page and the browser wrote to the console since the last look."""
        return self._call("POST", "/se/log", {"type": "browser"})

    def screenshot(self, path, whole=True):
        if whole:
            height = self.script("return document.documentElement.scrollHeight")
            self._call("POST", "/window/rect", {"width": 1400, "height": min(9000, height + 150)})
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))
        if whole:
            self._call("POST", "/window/rect", {"width": 1400, "height": 1000})
