"use strict";
// Draws the report. The data is other people's: names in it become text, never markup (textContent and fillText only).

const data = JSON.parse(document.getElementById("data").textContent);

// --- small pieces ---

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children) element.append(child); // a string becomes a text node
  return element;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);
const list = (value) => (Array.isArray(value) ? value : []);
const text = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
const whole = (value) => (known(value) ? value.toLocaleString("en-US") : "–");
const figure = (value) => (Number.isInteger(value) ? whole(value) : known(value) ? digits.format(value) : "–");
const withUnit = (value, unit) => (known(value) ? `${figure(value)} ${unit}` : "not known");

function bytes(value) {
  if (!known(value)) return "";
  for (const [size, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (value >= size && value % size === 0) return `${value / size} ${name}`;
  return `${value} B`;
}

function median(values) {
  const sorted = values.filter(known).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function group(items, key) {
  const groups = new Map();
  for (const item of items) {
    const name = key(item);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(item);
  }
  return groups;
}

function table(headings, rows) {
  const numeric = headings.map((_, i) => rows.length > 0 && rows.every((row) => row[i] === null || known(row[i])));
  const head = make("tr", {}, ...headings.map((name, i) => make("th", numeric[i] ? { class: "number" } : {}, name)));
  const body = rows.map((row) =>
    make("tr", {}, ...row.map((cell, i) => make("td", numeric[i] ? { class: "number" } : {}, numeric[i] ? figure(cell) : text(cell)))));
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

function time(ms) {
  return known(ms) ? new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC") : "";
}

// --- the rows as the program wrote them, with names to their fields (bench/report/report.cc) ---

function unpack(packed) {
  const { texts, series } = packed;
  return list(packed.rows).map((row) => {
    const own = series[row[0]];
    const base = { ...own, series: row[0], source: texts[row[1]], target: texts[row[2]], repeat: row[3] };
    if (row.length === 5) return { ...base, error: texts[row[4]] };
    if (own.kind === "bw") return { ...base, avg: row[4], worst: row[5], best: row[6], percent: row[7] };
    return { ...base, p50: row[4], p99: row[5], min: row[6], max: row[7], networkP50: row[8], networkP99: row[9], samples: row[10], lost: row[11] };
  });
}

// What a row's figure is judged by: the network's share where a clock told it.
const value = (row) => (row.error !== undefined ? null : row.kind === "bw" ? row.avg : row.networkP50 ?? row.p50);
const unitOf = (kind) => (kind === "bw" ? "Gb/s" : "µs");

function way(row) {
  const parts = [row.transport, row.mode, row.fabric, known(row.rail) ? `rail ${row.rail}` : "", row.direction, row.load];
  if (known(row.streams) && row.streams !== 1) parts.push(`${row.streams} streams`);
  return parts.filter((part) => part).map(text).join(" ");
}

// --- colours: viridis, which colour-blind people can read and which grows brighter all the way ---

const VIRIDIS = [[68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140], [34, 168, 132],
  [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37]];
const SHADES = Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (VIRIDIS.length - 1), low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return `rgb(${[0, 1, 2].map((c) => Math.round(VIRIDIS[low][c] + (place - low) * (VIRIDIS[low + 1][c] - VIRIDIS[low][c]))).join(",")})`;
});
const UNKNOWN = "#e3e6ea", ITSELF = "#aab1ba";

function hatch(context) {
  const tile = make("canvas", { width: 6, height: 6 });
  const ink = tile.getContext("2d");
  ink.fillStyle = "#bfc5cc";
  ink.fillRect(0, 0, 6, 6);
  ink.strokeStyle = "#3b4450";
  ink.lineWidth = 1.5;
  for (const shift of [-6, 0, 6]) {
    ink.beginPath();
    ink.moveTo(shift - 1, 7);
    ink.lineTo(shift + 7, -1);
    ink.stroke();
  }
  return context.createPattern(tile, "repeat");
}

// Brighter is worse, for round trips as for bandwidth; ratios count, so the scale is logarithmic, and never so fine that
// it makes a picture of noise.
function scaleOf(values, lowIsWorse) {
  const middle = median(values);
  let low = middle / 1.5, high = middle * 1.5;
  for (const each of values) {
    low = Math.min(low, each);
    high = Math.max(high, each);
  }
  const span = Math.log(high / low);
  const place = (each) => Math.max(0, Math.min(1, lowIsWorse ? Math.log(high / each) / span : Math.log(each / low) / span));
  return { best: lowIsWorse ? high : low, worst: lowIsWorse ? low : high, middle, place,
    at: (part) => (lowIsWorse ? high * Math.exp(-part * span) : low * Math.exp(part * span)),
    shade: (each) => SHADES[Math.round(place(each) * 255)] };
}

// --- heat maps ---

function portsOf(node) {
  return list(node?.ports).filter((port) => port !== null && typeof port === "object");
}

// The port a row was measured through. A transport on sockets does not tell its device: the node's first port that can
// carry it is taken.
function portOf(row, node) {
  const ports = portsOf(node);
  if (row.device) {
    const names = [row.device, ...text(row.device).split(/[ :]/, 1), ...text(row.device).split(" ", 1)]; // "mlx5_0:1 gid 3"
    return ports.find((port) => [port.name, port.netdev, port.rdma_device].some((name) => name && names.includes(name))) ?? {};
  }
  const carries = row.transport === "verbs" ? (port) => port.rdma_device : (port) => port.fabric === "ethernet";
  return ports.find(carries) ?? ports.find((port) => port.fabric !== "loopback") ?? ports[0] ?? {};
}

// Whether a failure may be one of a layer's measurements: mode and device are agreed upon when a session begins, and it
// may not know them.
function mayBeOf(layer, row, node) {
  const { like } = layer;
  const told = ["kind", "transport", "mode", "direction", "bytes", "streams", "load", "fabric", "rail"].every(
    (field) => row[field] === undefined || row[field] === null || row[field] === "" || row[field] === like[field]);
  const ports = row.device ? [portOf(row, node)] : portsOf(node);
  return told && (ports.length === 0 || ports.some((port) => port.fabric === like.fabric && port.rail === like.rail));
}

// One map for each way of measuring: {title, kind, like: one of its rows, cells: Map(index -> rows)}.
function layersOf(rows, nodes, place) {
  const layers = new Map(), unsure = [];
  const put = (layer, row) => {
    const index = place.get(row.source) * nodes.length + place.get(row.target);
    if (!layer.cells.has(index)) layer.cells.set(index, []);
    layer.cells.get(index).push(row);
  };
  const putOnItsOwn = (row) => {
    // Of a failure nobody knows where it would have gone.
    const port = row.error !== undefined && !row.device ? {} : portOf(row, nodes[place.get(row.source)]);
    const like = { ...row, fabric: row.fabric ?? port.fabric, rail: row.rail ?? port.rail };
    const title = `${row.kind === "bw" ? "Bandwidth" : "Round-trip time"} over ${way(like)}, ${bytes(row.bytes)}`.replace(/, $/, "");
    if (!layers.has(title)) layers.set(title, { title, kind: row.kind, like, cells: new Map() });
    put(layers.get(title), row);
  };
  for (const row of rows) {
    if (!place.has(row.source) || !place.has(row.target) || (row.kind !== "ping" && row.kind !== "bw")) continue;
    if (row.error !== undefined && !(row.mode && row.device)) unsure.push(row);
    else putOnItsOwn(row);
  }
  const measured = [...layers.values()];
  for (const row of unsure) {
    const possible = measured.filter((layer) => mayBeOf(layer, row, nodes[place.get(row.source)]));
    for (const layer of possible) put(layer, row);
    if (possible.length === 0) putOnItsOwn(row);
  }
  return [...layers.values()].sort((a, b) => (a.kind === b.kind ? a.title.localeCompare(b.title) : a.kind === "ping" ? -1 : 1));
}

function label(node) {
  return node.hostname && node.hostname !== node.name ? `${text(node.name)} (${text(node.hostname)})` : text(node.name);
}

function clip(context, name, width) {
  if (context.measureText(name).width <= width) return name;
  let cut = name.length;
  while (cut > 1 && context.measureText(`${name.slice(0, cut)}…`).width > width) --cut;
  return `${name.slice(0, cut)}…`;
}

function heatMap(layer, nodes, suspicious) {
  const count = nodes.length;
  const cell = Math.max(2, Math.min(46, Math.floor(768 / count)));
  const size = cell * count;
  const named = cell >= 11; // names fit beside their rows
  const left = named ? 190 : 64, top = named ? 120 : 22, right = named ? 76 : 12; // names of columns lean out to the right
  const everything = new Map();
  for (const [index, rows] of layer.cells) everything.set(index, median(rows.map(value)));
  const figures = [...everything.values()].filter((each) => known(each) && each > 0);
  // A round trip goes both ways: where only the other side pinged, its figure stands.
  const indexOf = (from, to) => {
    const index = from * count + to, opposite = to * count + from;
    return layer.kind === "ping" && !layer.cells.has(index) && layer.cells.has(opposite) ? opposite : index;
  };
  const scale = figures.length > 0 ? scaleOf(figures, layer.kind === "bw") : null;
  const unit = unitOf(layer.kind);
  const failed = (rows) => rows.some((row) => row.error !== undefined);

  const readout = make("output", { class: "readout", "aria-live": "polite" });
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label": `${layer.title}: ${count} by ${count} nodes; arrow keys move from cell to cell` });
  const cursor = make("div", { class: "cursor", hidden: "" });
  const board = make("div", { class: "board" }, canvas, cursor);
  const legend = make("canvas", { class: "legend", role: "img", "aria-label": scale ? `from ${withUnit(scale.best, unit)} (dark) to ${withUnit(scale.worst, unit)} (bright)` : "nothing was measured" });
  const figureElement = make("figure", { class: "map" }, make("h3", {}, layer.title), readout, board, legend, keys());
  readout.style.width = legend.style.maxWidth = `${Math.max(420, left + size + right)}px`;
  readout.style.maxWidth = "100%";

  function keys() {
    const swatch = (fill) => {
      const box = make("canvas", { width: 18, height: 12 });
      const ink = box.getContext("2d");
      ink.fillStyle = fill(ink);
      ink.fillRect(0, 0, 18, 12);
      return box;
    };
    return make("div", { class: "keys" }, make("span", {}, swatch(hatch), "failed or dead"), make("span", {}, swatch(() => UNKNOWN), "not measured"),
      ...(suspicious.size > 0 ? [make("span", {}, "▶ suspect")] : []));
  }

  function paper(element, width, height) {
    const ratio = Math.min(2, Math.ceil(window.devicePixelRatio || 1));
    element.width = width * ratio;
    element.height = height * ratio;
    element.style.width = `${width}px`;
    element.style.height = `${height}px`;
    const ink = element.getContext("2d");
    ink.scale(ratio, ratio);
    ink.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    ink.textBaseline = "middle";
    return ink;
  }

  function draw() {
    const ink = paper(canvas, left + size + right, top + size + 4);
    const hatched = hatch(ink);
    const edge = cell >= 8 ? 1 : 0;
    for (let from = 0; from < count; ++from)
      for (let to = 0; to < count; ++to) {
        const rows = layer.cells.get(indexOf(from, to));
        const middle = everything.get(indexOf(from, to));
        if (from === to && !rows) ink.fillStyle = ITSELF;
        else if (nodes[from].alive === false || nodes[to].alive === false || (rows && failed(rows))) ink.fillStyle = hatched;
        else if (!rows || !(middle > 0)) ink.fillStyle = UNKNOWN;
        else ink.fillStyle = scale.shade(middle);
        ink.fillRect(left + to * cell, top + from * cell, cell - edge, cell - edge);
      }
    const name = (i, width) => clip(ink, `${suspicious.has(nodes[i].name) ? "▶ " : ""}${text(nodes[i].name)}`, width);
    const every = named ? 1 : Math.ceil(32 / cell);
    for (let i = 0; i < count; ++i) {
      const suspect = suspicious.has(nodes[i].name), middle = (i + 0.5) * cell;
      if (i % every !== 0 && !suspect) continue;
      ink.fillStyle = suspect ? "#a32a00" : nodes[i].alive === false ? "#888" : "#1c2430";
      ink.textAlign = "right";
      const regular = i % every === 0;
      if (named) {
        ink.fillText(name(i, left - 12), left - 8, top + middle);
        ink.save();
        ink.translate(left + middle, top - 8);
        ink.rotate(-Math.PI / 3);
        ink.textAlign = "left";
        ink.fillText(name(i, 122), 0, 0);
        ink.restore();
      } else {
        if (regular) {
          ink.fillStyle = "#5b6675";
          ink.fillText(String(i + 1), left - 22, top + middle);
          ink.textAlign = "center";
          ink.fillText(String(i + 1), left + middle, 8);
        }
        if (suspect) {
          ink.fillStyle = "#a32a00";
          ink.textAlign = "right";
          ink.fillText("▶", left - 4, top + middle);
          ink.textAlign = "center";
          ink.fillText("▼", left + middle, top - 4);
        }
      }
    }
    drawLegend();
  }

  function drawLegend() {
    const width = Math.max(300, Math.min(size, 460));
    const ink = paper(legend, width + 24, 52);
    ink.fillStyle = "#1c2430";
    if (!scale) return ink.fillText("nothing was measured", 0, 10);
    for (let x = 0; x < width; ++x) {
      ink.fillStyle = SHADES[Math.round((x / (width - 1)) * 255)];
      ink.fillRect(12 + x, 0, 1, 14);
    }
    ink.fillStyle = "#1c2430";
    const mark = (part, words, align) => {
      ink.fillRect(12 + part * (width - 1), 14, 1, 4);
      ink.textAlign = align;
      ink.fillText(words, 12 + part * (width - 1), 26);
    };
    const centre = scale.place(scale.middle);
    mark(0, `${figure(scale.best)} ${unit}`, "left");
    mark(1, `${figure(scale.worst)} ${unit}`, "right");
    ink.fillRect(12 + centre * (width - 1), 14, 1, 8);
    ink.fillStyle = "#5b6675";
    ink.textAlign = "left";
    ink.fillText("better", 12, 42);
    ink.textAlign = "right";
    ink.fillText("worse", 12 + width, 42);
    ink.textAlign = "center";
    ink.fillText(`median ${figure(scale.middle)} ${unit}`, 12 + Math.max(0.35, Math.min(0.65, centre)) * width, 42);
  }

  function tell(from, to) {
    const lines = [`${label(nodes[from])} → ${label(nodes[to])}`];
    const index = indexOf(from, to), rows = layer.cells.get(index);
    if (rows) {
      if (index !== from * count + to) lines.push("measured from the other side");
      for (const row of rows.slice(0, 3)) lines.push(rowInWords(row));
      if (rows.length > 3) lines.push(`… ${rows.length} rows; their median has the colour`);
      const middle = everything.get(index);
      if (known(middle) && scale) lines[0] += `: ${figure(middle)} ${unit}, ${figure((middle / scale.middle) * 100)} % of the median`;
    } else if (from === to) {
      lines.push("itself");
    } else {
      const dead = [nodes[from], nodes[to]].filter((node) => node.alive === false);
      lines.push(dead.length > 0 ? `not measured: ${dead.map((node) => `${label(node)} is dead: ${text(node.reason)}`).join("; ")}` : "not measured");
    }
    readout.textContent = lines.join("\n");
  }

  let at = null;
  function select(from, to) {
    at = [from, to];
    cursor.hidden = false;
    const grown = Math.max(cell, 6), shift = (grown - cell) / 2;
    cursor.style.left = `${left + to * cell - shift - 1}px`;
    cursor.style.top = `${top + from * cell - shift - 1}px`;
    cursor.style.width = cursor.style.height = `${grown + 2}px`;
    tell(from, to);
  }
  const rest = () => {
    const pairs = new Set();
    for (const [index, middle] of everything) {
      const from = Math.floor(index / count), to = index % count;
      if (middle > 0 && from !== to) pairs.add(layer.kind === "ping" ? Math.min(from, to) * count + Math.max(from, to) : index);
    }
    const all = (count * (count - 1)) / (layer.kind === "ping" ? 2 : 1);
    readout.textContent = `${whole(pairs.size)} of ${whole(all)} pairs have a figure` +
      `${layer.kind === "ping" ? ", measured from either side" : ". Rows measure columns"}; ` +
      `${named ? "" : "nodes are numbered as in the list below; "}point at a cell, or use the arrow keys.`;
  };
  rest();
  canvas.addEventListener("mousemove", (event) => {
    const to = Math.floor((event.offsetX - left) / cell), from = Math.floor((event.offsetY - top) / cell);
    if (from >= 0 && to >= 0 && from < count && to < count) select(from, to);
  });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [-count, -count], End: [count, count] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const clamp = (x) => Math.max(0, Math.min(count - 1, x));
    if (at === null) select(0, 0);
    else select(clamp(at[0] + step[0]), clamp(at[1] + step[1]));
  });
  // Drawn when it is first seen: a cluster of eight rails has many.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    draw();
    canvas.dataset.drawn = `${left} ${top} ${cell}`;
  }, { rootMargin: "400px" }).observe(figureElement);
  canvas.style.width = `${left + size + right}px`;
  canvas.style.height = `${top + size + 4}px`;
  return figureElement;
}

function rowInWords(row) {
  const where = row.device ? `${row.device}: ` : "";
  if (row.error !== undefined) return `${where}failed: ${row.error}`;
  if (row.kind === "bw")
    return `${where}${withUnit(row.avg, "Gb/s")} on average, worst window ${withUnit(row.worst, "Gb/s")}` +
      (known(row.percent) ? `, ${figure(row.percent)} % of what was expected` : "");
  return `${where}p50 ${withUnit(row.p50, "µs")}` + (known(row.networkP50) ? ` (network ${figure(row.networkP50)})` : "") +
    `, p99 ${withUnit(row.p99, "µs")}, ${figure(row.min)} to ${figure(row.max)}, ${whole(row.samples)} samples, ${whole(row.lost)} lost`;
}

// --- charts ---

const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222"];
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3]];

const POWERS = Array.from({ length: 14 }, (_, i) => 8 ** i);
const decades = (value) => /^[125]/.test(value.toExponential());

function chart(title, lines, axes) {
  const canvas = make("canvas", { role: "img", "aria-label": `${title}; the figures are in the table of rows` });
  const box = make("div", { class: "chart" }, canvas);
  const axis = (name, logarithmic, words) => ({
    type: logarithmic ? "logarithmic" : "linear",
    title: { display: true, text: name },
    ticks: { maxRotation: 0, autoSkip: true, callback: (each) => (!logarithmic || words === bytes || decades(each) ? words(each) : null) },
    ...(logarithmic ? {} : { beginAtZero: true }),
    // Sizes are powers of two: so are their marks.
    ...(words === bytes ? { afterBuildTicks: (scale) => { scale.ticks = POWERS.filter((size) => size >= scale.min && size <= scale.max).map((size) => ({ value: size })); } } : {}),
  });
  queueMicrotask(() => new Chart(canvas, {
    type: axes.bars ? "bar" : "line",
    data: axes.bars ? { labels: axes.bars, datasets: lines } : { datasets: lines.map((line, i) => ({
      ...line, borderColor: LINES[i % LINES.length], backgroundColor: LINES[i % LINES.length],
      borderDash: DASHES[Math.floor(i / LINES.length) % DASHES.length], borderWidth: 2, pointRadius: axes.points ?? 0, pointHitRadius: 8 })) },
    options: {
      animation: false, maintainAspectRatio: false, parsing: axes.bars ? undefined : false,
      interaction: { mode: "nearest", axis: "x", intersect: false },
      plugins: {
        title: { display: true, text: title, align: "start", font: { size: 14 }, color: "#1c2430" },
        legend: { position: "bottom", align: "start", labels: { boxWidth: 26, boxHeight: 2 } },
        tooltip: { itemSort: (a, b) => b.parsed.y - a.parsed.y,
          callbacks: { label: (item) => `${item.dataset.label}: ${figure(item.parsed.y)}`, title: (items) => (axes.bars ? items[0].label : axes.xWords(items[0].parsed.x)) } },
      },
      scales: { x: axes.bars ? {} : axis(axes.x, axes.xLog, axes.xWords), y: axis(axes.y, axes.yLog, figure) },
    },
  }));
  return box;
}

// Of several rows, the words of each that not all have.
function distinctNames(rows) {
  const fields = [(row) => `${row.source} → ${row.target}`, (row) => text(row.transport), (row) => text(row.mode), (row) => text(row.device),
    (row) => text(row.direction), (row) => bytes(row.bytes), (row) => (known(row.streams) ? `${row.streams} streams` : ""), (row) => text(row.load),
    (row) => (row.wait ? `${row.wait}` : ""), (row) => (known(row.repeat) ? `run ${row.repeat}` : "")];
  const telling = fields.filter((field) => new Set(rows.map(field)).size > 1);
  return rows.map((row) => (telling.length > 0 ? telling : fields.slice(1, 3)).map((field) => field(row)).filter((part) => part).join(" ") || row.kind);
}

function percentileCurves(packed, rows) {
  const curves = list(packed.curves).filter((curve) => curve.points.length > 1);
  const pings = rows.filter((row) => row.kind === "ping" && row.error === undefined);
  if (curves.length === 0 || curves.length < pings.length) return pairCurves(pings);
  const names = distinctNames(curves.map((curve) => rows[curve.row]));
  const lines = curves.map((curve, i) => ({ label: names[i], data: curve.points.filter((point) => point[1] > 0).map(([x, y]) => ({ x, y })) }));
  return chart("Round-trip time by percentile", lines, { x: "percentile", y: "µs (logarithmic)", yLog: true, xWords: (x) => `p${figure(x)}` });
}

// Too many for a curve each: one curve for each way of measuring, over all its pairs.
function pairCurves(pings) {
  if (pings.length < 3) return null;
  const groups = [...group(pings, (row) => `${way(row)}, ${bytes(row.bytes)}`)].filter(([, rows]) => rows.length > 2);
  if (groups.length === 0) return null;
  const lines = groups.map(([name, rows]) => {
    const sorted = rows.map(value).filter((each) => known(each) && each > 0).sort((a, b) => a - b);
    const steps = Math.min(sorted.length - 1, 1000);
    return { label: name, data: Array.from({ length: steps + 1 }, (_, i) => ({ x: (100 * i) / steps, y: sorted[Math.round((i / steps) * (sorted.length - 1))] })) };
  });
  return chart("Median round-trip time over all pairs, sorted", lines, { x: "% of the pairs", y: "µs (logarithmic)", yLog: true, xWords: (x) => `${figure(x)} %` });
}

function sweepCurves(rows, kind) {
  const good = rows.filter((row) => row.kind === kind && value(row) > 0 && known(row.bytes) && row.bytes > 0);
  const groups = [...group(good, (row) => JSON.stringify([row.source, row.target, row.transport, row.mode, row.device, row.direction, row.streams, row.load])).values()]
    .map((same) => [...group(same, (row) => row.bytes)].sort((a, b) => a[0] - b[0]))
    .filter((sizes) => sizes.length > 2);
  if (groups.length === 0) return null;
  const names = distinctNames(groups.map((sizes) => ({ ...sizes[0][1][0], bytes: null, repeat: null })));
  const lines = groups.map((sizes, i) => ({ label: names[i], data: sizes.map(([x, same]) => ({ x, y: median(same.map(value)) })) }));
  const title = kind === "bw" ? "Bandwidth by message size" : "Median round-trip time by payload size";
  return chart(title, lines, { x: "bytes (logarithmic)", xLog: true, y: kind === "bw" ? "Gb/s" : "µs (logarithmic)", yLog: kind !== "bw", xWords: bytes, points: 2.5 });
}

// --- sections ---

function headOf(packed, rows, nodes) {
  const head = packed.head;
  const facts = make("ul", { class: "facts" });
  const fact = (count, words, wrong = false) => facts.append(make("li", wrong ? { class: "wrong" } : {}, make("b", {}, whole(count)), words));
  const dead = nodes.filter((node) => node.alive === false).length, failures = rows.filter((row) => row.error !== undefined).length;
  if (nodes.length > 0) fact(nodes.length, "nodes");
  if (dead > 0) fact(dead, dead === 1 ? "dead node" : "dead nodes", true);
  fact(rows.length, rows.length === 1 ? "row" : "rows");
  if (failures > 0) fact(failures, failures === 1 ? "failure" : "failures", true);
  const unjudged = notJudged(head) !== "";
  if (unjudged) facts.append(make("li", { class: "wrong" }, "not judged"));
  if (Array.isArray(head.suspects) && !(unjudged && head.suspects.length === 0)) fact(head.suspects.length, head.suspects.length === 1 ? "suspect" : "suspects", head.suspects.length > 0);
  const broken = list(head.checks).filter((check) => check.passed !== true).length;
  if (list(head.checks).length > 0) fact(broken, `of ${head.checks.length} checks not passed`, broken > 0);

  const details = make("dl");
  const detail = (name, words) => { if (words) details.append(make("dt", {}, name), make("dd", {}, words)); };
  detail("target", text(head.target));
  detail("measured on", text(head.hostname));
  detail("started", time(head.started_at_ms));
  detail("took", known(head.ended_at_ms) && known(head.started_at_ms) ? `${figure((head.ended_at_ms - head.started_at_ms) / 1000)} s` : "");
  detail("arguments", list(head.arguments).map(text).join(" "));
  detail("netsense", text(head.version));
  detail("kernel", text(head.kernel));
  detail("processor", text(head.cpu));
  const shown = ["schema_version", "command", "target", "hostname", "started_at_ms", "ended_at_ms", "arguments", "version", "kernel", "cpu", "interrupted", "nodes", "suspects", "judged", "not_judged_reason", "checks"];
  for (const [name, each] of Object.entries(head)) if (!shown.includes(name)) detail(name, plain(each));
  detail("read from", packed.path);
  const parts = [make("h1", {}, `${text(head.command) || "result"}${head.target ? ` ${text(head.target)}` : ""}`), facts];
  if (head.interrupted === true) parts.push(make("p", { class: "bad" }, "Interrupted: only what was measured until then is here."));
  if (packed.note) parts.push(make("p", { class: "bad" }, packed.note));
  return [...parts, details];
}

// An object of a head in words: "pairs 6, rounds 3".
function plain(each) {
  if (each === null || typeof each !== "object") return text(each);
  return Array.isArray(each) ? each.map(plain).join(", ") : Object.entries(each).map(([name, inner]) => `${name} ${plain(inner)}`).join(", ");
}

// Why nobody can say that there are no (further) suspects; "" where they were looked for to the end.
function notJudged(head) {
  if (head.command !== "matrix" && !Array.isArray(head.suspects)) return "";
  if (head.judged === true) return "";
  if (head.judged === false) return text(head.not_judged_reason) || "the document does not say why";
  if (head.interrupted === true) return "the run was interrupted";
  return Array.isArray(head.suspects) ? "" : "the run did not come to its end";
}

function suspectsOf(head, nodes) {
  const why = notJudged(head);
  if (!why && !Array.isArray(head.suspects)) return [];
  const title = make("h2", {}, "Suspects"), doubt = why ? [make("p", { class: "bad" }, `Not judged: ${why}.`.replace(/\.\.$/, "."))] : [];
  if (list(head.suspects).length === 0)
    return [title, ...(why ? doubt : [make("p", {}, "None: no pair stands out from its class, and none falls short of what was expected of it.")])];
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const cards = head.suspects.map((suspect) => {
    const unit = suspect.unit === "gbps" ? "Gb/s" : "µs";
    const names = list(suspect.nodes).map((name) => label(byName.get(name) ?? { name }));
    const card = make("section", { class: "suspect" }, make("h3", {}, `${text(suspect.what)} ${names.join(suspect.what === "node" ? ", " : " → ")}`));
    card.append(make("div", {}, `${suspect.metric === "bw" ? "bandwidth" : "round-trip time"} over ${text(suspect.transport)}: `, make("span", { class: "bad" }, withUnit(suspect.measured, unit)),
      `, usual in its class ${withUnit(suspect.class_median, unit)}${known(suspect.expected) ? `, expected ${withUnit(suspect.expected, unit)}` : ""}`));
    card.append(make("ul", {}, ...list(suspect.evidence).map((line) => make("li", {}, text(line)))));
    return card;
  });
  return [title, ...doubt, make("div", { class: "suspects" }, ...cards)];
}

function mapsOf(rows, head, nodes) {
  if (nodes.length < 2) return [];
  const place = new Map(nodes.map((node, i) => [node.name, i]));
  const layers = layersOf(rows, nodes, place);
  if (layers.length === 0) return [];
  const suspicious = new Set(list(head.suspects).filter((suspect) => suspect.what === "node").flatMap((suspect) => list(suspect.nodes)));
  const maps = make("div", { class: "maps" }, ...layers.map((layer) => heatMap(layer, nodes, suspicious)));
  return [make("h2", {}, "Maps"), make("p", { class: "quiet" }, "Bright is worse, in every map. Round-trip time is the network's share where a clock told it, else the full round trip."), maps];
}

function chartsOf(packed, rows) {
  const charts = [sweepCurves(rows, "ping"), sweepCurves(rows, "bw")].filter((each) => each);
  const isSweep = charts.length > 0;
  if (!isSweep || rows.length <= 24) charts.push(percentileCurves(packed, rows));
  const drawn = charts.filter((each) => each);
  return drawn.length === 0 ? [] : [make("h2", {}, "Curves"), make("div", { class: "charts" }, ...drawn)];
}

function loadedOf(rows, summaries) {
  const loads = ["idle", "loaded", "loaded-priority"];
  const pings = rows.filter((row) => row.kind === "ping" && loads.includes(row.load));
  if (pings.length === 0) return [];
  const groups = [...group(pings, (row) => JSON.stringify([row.source, row.target, row.transport, row.mode, row.device, row.bytes])).values()];
  const names = distinctNames(groups.map((same) => ({ ...same[0], load: null, repeat: null })));
  const of = (same, load, field) => median(same.filter((row) => row.load === load && row.error === undefined).map(field));
  const p99 = (row) => row.networkP99 ?? row.p99;
  const cells = groups.map((same, i) => {
    const idle = of(same, "idle", value), loaded = of(same, "loaded", value), priority = of(same, "loaded-priority", value);
    const ratio = (high) => (known(high) && idle > 0 ? high / idle : null);
    return [names[i], idle, of(same, "idle", p99), loaded, of(same, "loaded", p99), ratio(loaded), priority, of(same, "loaded-priority", p99), ratio(priority)];
  });
  const shades = { idle: "#0072b2", loaded: "#d55e00", "loaded-priority": "#009e73" };
  const bars = loads.filter((load) => pings.some((row) => row.load === load)).flatMap((load) => [["p50", value, ""], ["p99", p99, "88"]].map(([name, field, faint]) =>
    ({ label: `${load} ${name}`, data: groups.map((same) => of(same, load, field)), backgroundColor: shades[load] + faint })));
  const formulas = [...new Set(summaries.map((summary) => text(summary.formula)).filter((formula) => formula))];
  const said = summaries.filter((summary) => summary.error === undefined || summary.error === null).map((summary) =>
    [[summary.transport, summary.mode].filter((part) => part).map(text).join(" "), summary.repeat ?? null, summary.added_us ?? null, summary.priority_added_us ?? null, summary.rpm ?? null]);
  return [make("h2", {}, "Idle and under load"), make("p", { class: "quiet" }, "Round-trip times in µs; the factor is the loaded median over the idle one."),
    ...(said.length > 0 ? [table(["measurement", "run", "added µs", "added with priority µs", "round trips a minute"], said)] : []),
    ...formulas.map((formula) => make("p", { class: "quiet" }, formula)),
    table(["measurement", "idle p50", "idle p99", "loaded p50", "loaded p99", "factor", "priority p50", "priority p99", "factor"], cells),
    make("div", { class: "charts" }, chart("Round-trip time, idle and under load", bars, { bars: names, y: "µs (logarithmic)", yLog: true }))];
}

function checksOf(head) {
  const checks = list(head.checks);
  if (checks.length === 0) return [];
  return [make("h2", {}, "Checks"), table(["row", "check", "limit", "value", ""], checks.map((check) =>
    [check.row, text(check.check), check.limit, check.value ?? null, check.passed === true ? "passed" : "NOT PASSED"]))];
}

const LISTED = 50;

function failuresOf(rows, nodes) {
  const parts = [];
  const dead = nodes.filter((node) => node.alive === false);
  if (dead.length > 0) parts.push(make("h3", {}, "Dead nodes"), table(["node", "reason"], dead.map((node) => [label(node), text(node.reason)])));
  const failed = rows.filter((row) => row.error !== undefined);
  if (failed.length > 0) {
    parts.push(make("h3", {}, "Failed measurements"), table(["kind", "from", "to", "way", "why"],
      failed.slice(0, LISTED).map((row) => [row.kind, row.source, row.target, way(row), row.error])));
    if (failed.length > LISTED) parts.push(make("p", { class: "quiet" }, `… and ${whole(failed.length - LISTED)} more: search the rows for “failed”.`));
  }
  // Pairs of living nodes of which no row tells anything.
  if (nodes.length > 1) {
    const measured = new Set(rows.map((row) => `${row.source}\n${row.target}`));
    for (const row of rows) if (row.kind === "ping") measured.add(`${row.target}\n${row.source}`); // a round trip tells of both ways
    const living = nodes.filter((node) => node.alive !== false), silent = [];
    for (const from of living) for (const to of living) if (from !== to && !measured.has(`${from.name}\n${to.name}`)) silent.push(`${text(from.name)} → ${text(to.name)}`);
    if (silent.length > 0)
      parts.push(make("h3", {}, "Not measured"), make("p", {}, `${whole(silent.length)} pairs of living nodes: ${silent.slice(0, LISTED).join(", ")}${silent.length > LISTED ? ", …" : ""}`));
  }
  return parts.length === 0 ? [] : [make("h2", {}, "Failures"), ...parts];
}

function inventoryOf(nodes) {
  if (nodes.length === 0) return [];
  const ports = (node) => list(node.ports).map((port) => (typeof port !== "object" || port === null ? text(port) :
    [port.name, port.fabric, known(port.rail) ? `rail ${port.rail}` : "", known(port.speed_gbps) ? `${port.speed_gbps} Gb/s` : "", port.state].filter((part) => part).map(text).join(" "))).join("; ");
  const rows = nodes.map((node, i) => [i + 1, text(node.name), text(node.hostname), [node.address, node.port].filter((part) => part).map(text).join(" "),
    node.alive === false ? `dead: ${text(node.reason)}` : node.alive === true ? "alive" : "not known", ports(node)]);
  const all = table(["#", "name", "host", "address", "state", "ports"], rows);
  all.classList.add("tall");
  return [make("h2", {}, "Nodes"), all];
}

// Every row, a page at a time.
function rowsOf(rows) {
  const PAGE = 100;
  const columns = [["kind", (row) => row.kind], ["from", (row) => row.source], ["to", (row) => row.target], ["transport", (row) => row.transport], ["mode", (row) => row.mode],
    ["device", (row) => row.device], ["direction", (row) => row.direction], ["bytes", (row) => row.bytes ?? null], ["streams", (row) => row.streams ?? null], ["load", (row) => row.load],
    ["clock", (row) => row.timestamp_source], ["wait", (row) => row.wait], ["run", (row) => row.repeat ?? null],
    ["RTT p50 µs", (row) => row.p50 ?? null], ["p99", (row) => row.p99 ?? null], ["min", (row) => row.min ?? null], ["max", (row) => row.max ?? null], ["network p50", (row) => row.networkP50 ?? null],
    ["samples", (row) => row.samples ?? null], ["lost", (row) => row.lost ?? null],
    ["Gb/s", (row) => row.avg ?? null], ["worst window", (row) => row.worst ?? null], ["% of expected", (row) => row.percent ?? null], ["failed", (row) => row.error]]
    .filter(([, of]) => rows.some((row) => of(row) !== null && of(row) !== undefined && of(row) !== ""));
  let shown = rows, page = 0, by = -1, upwards = true;
  const search = make("input", { type: "search", placeholder: "search, as in: tcp 10.0.0.3", "aria-label": "search the rows" });
  const back = make("button", { type: "button" }, "‹ back"), on = make("button", { type: "button" }, "on ›");
  const where = make("span", { class: "quiet", "aria-live": "polite" });
  const body = make("tbody");
  const numeric = columns.map(([, of]) => rows.every((row) => of(row) === null || known(of(row))));
  const head = make("tr", {}, ...columns.map(([name], i) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => { upwards = by === i ? !upwards : true; by = i; select(); });
    return make("th", numeric[i] ? { class: "number" } : {}, button);
  }));
  const words = (row) => `${Object.values(row).join(" ")}${row.error !== undefined ? " failed" : ""}`.toLowerCase();
  function select() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter((word) => word);
    shown = wanted.length > 0 ? rows.filter((row) => { const all = words(row); return wanted.every((word) => all.includes(word)); }) : rows.slice();
    if (by >= 0) {
      const of = columns[by][1], sign = upwards ? 1 : -1;
      shown.sort((a, b) => {
        const x = of(a) ?? null, y = of(b) ?? null; // what has no figure stands last, whichever way
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (known(x) && known(y) ? x - y : text(x).localeCompare(text(y)));
      });
    }
    page = 0;
    draw();
  }
  function draw() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.max(0, Math.min(page, pages - 1));
    body.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map((row) => make("tr", {}, ...columns.map(([, of], i) =>
      make("td", numeric[i] ? { class: "number" } : {}, numeric[i] ? (known(of(row)) ? figure(of(row)) : "") : text(of(row)))))));
    where.textContent = `${whole(shown.length)} of ${whole(rows.length)} rows, page ${whole(page + 1)} of ${whole(pages)}`;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
  }
  search.addEventListener("input", select);
  back.addEventListener("click", () => { --page; draw(); });
  on.addEventListener("click", () => { ++page; draw(); });
  draw();
  return [make("h2", {}, "All rows"), make("div", { class: "tools" }, search, back, on, where),
    make("div", { class: "scroll" }, make("table", { class: "rows" }, make("thead", {}, head), body))];
}

function article(packed, index) {
  const rows = unpack(packed), head = packed.head;
  const nodes = list(head.nodes).filter((node) => node !== null && typeof node === "object");
  return make("article", { id: `result-${index + 1}` }, ...headOf(packed, rows, nodes), ...suspectsOf(head, nodes), ...checksOf(head),
    ...mapsOf(rows, head, nodes), ...loadedOf(rows, list(packed.summaries)), ...chartsOf(packed, rows), ...failuresOf(rows, nodes), ...inventoryOf(nodes), ...rowsOf(rows));
}

const report = document.getElementById("report");
if (data.documents.length > 1)
  report.append(make("nav", {}, ...data.documents.map((packed, i) => make("a", { href: `#result-${i + 1}` }, `${text(packed.head.command)} (${packed.path})`))));
report.append(...data.documents.map(article));
report.append(make("p", { class: "quiet" }, `Made by netsense-bench ${data.version}, ${time(data.made_at_ms)}.`));
document.title = `netsense report: ${data.documents.map((packed) => text(packed.head.command)).join(", ")}`;
