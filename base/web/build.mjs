// Makes what the programs embed: `node base/web/build.mjs --outdir DIR` writes index.html, page.js and page.css of the page and of
// bench's report into DIR, under the names that they have in the sources. `--test` bundles the unit tests into a folder of its own and
// runs them. From the root of the sources.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const PAGES = ["raylet_bridge/page", "bench/report"]; // the sources in src/, what is made of them in built/
const TESTS = ["base/web/test", ...PAGES.map((page) => join(page, "test"))];

const { values } = parseArgs({ options: { outdir: { type: "string", default: "out" }, test: { type: "boolean", default: false } } });

const common = { bundle: true, tsconfig: "base/web/tsconfig.json", logLevel: "warning" };

async function buildPage(page, outdir) {
  mkdirSync(outdir, { recursive: true });
  const license = `/*! uPlot\n${readFileSync("node_modules/uplot/LICENSE", "utf8").trim()}\n*/`;
  await esbuild.build({
    ...common,
    entryPoints: { page: join(page, "src/main.ts") },
    outdir,
    minify: true,
    format: "iife",
    target: "es2022",
    banner: { js: license, css: license },
  });
  copyFileSync(join(page, "src/index.html"), join(outdir, "index.html"));
}

async function runTests() {
  const outdir = mkdtempSync(join(tmpdir(), "netsense-web-"));
  try {
    const entryPoints = TESTS.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name))).filter((path) => path.endsWith(".test.ts"));
    const { metafile } = await esbuild.build({
      ...common,
      entryPoints,
      outdir,
      outbase: ".",
      platform: "node",
      format: "esm",
      outExtension: { ".js": ".mjs" },
      metafile: true,
    });
    return spawnSync(process.execPath, ["--test", ...Object.keys(metafile.outputs)], { stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

if (values.test) process.exitCode = await runTests();
else for (const page of PAGES) await buildPage(page, join(values.outdir, page, "built"));
