"""The bridge's page in a browser, as a person uses it."""

TOKEN_KEY = "netsense-token"
HAS_MAP = "document.querySelector('.stage canvas')?.dataset.drawn"
# Every task of the page that took over 50 ms, from its first moment on.
WATCH_TASKS = """window.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((task) => [task.startTime, task.duration]))).observe({type: "longtask"});"""


class Page:
    def __init__(self, browser, url, server=None):
        """`url`: where the page is, with a slash at its end; `server`: the process that serves it, where a test deals with that."""
        self.browser, self.url, self.server = browser, url, server

    def open(self, fragment="", token=None):
        """A load as if nothing had been here before; `token`: as if the person had given it already in this tab."""
        if token is not None:
            self.browser.open_url(f"{self.url}page.css")  # sessionStorage belongs to the server's address
            self.browser.script("sessionStorage.setItem(arguments[0], arguments[1])", TOKEN_KEY, token)
        self.browser.open_url("about:blank")  # another fragment alone would be no load
        self.browser.open_url(self.url + fragment)
        if token is not None:
            self.browser.wait_for(HAS_MAP)

    def leave(self):
        """Before its server goes: a page asks on and on, and the browser writes down what nobody answers."""
        told = self.browser.script("return [document.title, document.querySelectorAll('img, iframe, main script').length]")
        self.browser.open_url("about:blank")
        assert told in (["netsense", 0], ["", 0]), "names in the data became markup"  # "": it was left already

    def text(self, css="main"):
        return self.browser.script("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def texts(self, css):
        return self.browser.script("return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)", css)

    def wait_text(self, css, part):
        self.browser.wait_for(f"document.querySelector({css!r})?.innerText.includes({part!r})")

    def answers(self):
        """How many matrices have come."""
        return self.browser.script(
            "return performance.getEntriesByType('resource').filter((one) => one.name.includes('network_matrix') && one.responseEnd > 0).length"
        )

    def wait_updates(self, number):
        for _ in range(number):
            known = self.answers()
            self.browser.wait_for(
                f"performance.getEntriesByType('resource').filter((one) => one.name.includes('network_matrix') && one.responseEnd > 0).length > {known}"
            )

    def choose(self, metric):
        self.browser.script("document.getElementById(`metric-${arguments[0]}`).click()", metric)
        self._settle(50)

    def press_cause(self, part):
        self.browser.wait_for(f"[...document.querySelectorAll('.cause')].some((cause) => cause.innerText.includes({part!r}))")
        self.browser.script("[...document.querySelectorAll('.cause')].find((cause) => cause.innerText.includes(arguments[0])).click()", part)
        self._settle(50)

    def _settle(self, ms):
        """Until that has passed, and what was to be drawn is drawn."""
        self.browser.script(
            "window.settled = false; setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => (settled = true))), arguments[0])", ms
        )
        self.browser.wait_for("settled")

    @property
    def canvas(self):
        return self.browser.find(".stage canvas")

    def place(self, row, column):
        left, top, cell = map(float, self.browser.script("return document.querySelector('.stage canvas').dataset.drawn").split())
        return left + (column + 0.5) * cell, top + (row + 0.5) * cell

    def colours(self, cells, inset=0.2):
        """Of a place near the upper left corner of each cell, where no figure is written."""
        left, top, cell = map(float, self.browser.script("return document.querySelector('.stage canvas').dataset.drawn").split())
        places = [(left + (column + inset) * cell, top + (row + inset) * cell) for row, column in cells]
        return [
            tuple(colour)
            for colour in self.browser.script(
                """const canvas = document.querySelector(".stage canvas"), ratio = canvas.width / parseFloat(canvas.style.width);
            const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
            const ink = copy.getContext("2d", {willReadFrequently: true});
            ink.drawImage(canvas, 0, 0);
            return arguments[0].map(([x, y]) => [...ink.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data].slice(0, 3));""",
                places,
            )
        ]

    def worst(self):
        """Rows of the list: edge, figure or state, age, reason."""
        return self.browser.script(
            "return [...document.querySelectorAll('.worst tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
        )

    def long_tasks(self):
        """(begin, milliseconds) of the tasks over 50 ms since the last look."""
        return self.browser.script("return longTasks.splice(0)")

    def heap_mb(self):
        """What is alive, the bytes of documents too. Such a thorough look is a long task itself, of which nobody hears."""
        for _ in range(2):
            self.browser.devtools("HeapProfiler.collectGarbage")
        told = self.browser.devtools("Runtime.getHeapUsage")
        self._settle(100)
        self.long_tasks()
        return (told["usedSize"] + told.get("backingStorageSize", 0)) / 1e6


def luminance(colour):
    return 0.21 * colour[0] + 0.72 * colour[1] + 0.07 * colour[2]
