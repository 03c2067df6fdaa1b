// Makes the page: `npm run build -- --outdir DIR` writes index.html, page.js and page.css there (default: dist).
// `node build.mjs --test` bundles the unit tests into a folder of its own and runs them.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const { values } = parseArgs({ options: { outdir: { type: "string", default: "dist" }, test: { type: "boolean", default: false } } });

async function buildPage(outdir) {
  mkdirSync(outdir, { recursive: true });
  const license = `/*! uPlot\n${readFileSync("node_modules/uplot/LICENSE", "utf8").trim()}\n*/`;
  await esbuild.build({
    entryPoints: { page: "src/main.ts" },
    outdir,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    banner: { js: license, css: license },
    logLevel: "warning",
  });
  copyFileSync("src/index.html", join(outdir, "index.html"));
}

async function runTests() {
  const outdir = mkdtempSync(join(tmpdir(), "netsense-page-"));
  try {
    const entryPoints = readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => join("test", name));
    await esbuild.build({ entryPoints, outdir, bundle: true, platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, logLevel: "warning" });
    return spawnSync(process.execPath, ["--test", ...readdirSync(outdir).map((name) => join(outdir, name))], { stdio: "inherit" }).status ?? 1;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

if (values.test) process.exitCode = await runTests();
else await buildPage(values.outdir);
