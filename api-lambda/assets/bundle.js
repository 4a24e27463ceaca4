// Bundles `src/` into `dist/`. With `--check` it changes nothing, and fails if `dist/` is out of date. The bundle is
// committed, so that `cargo build` needs no Node.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const folder = dirname(fileURLToPath(import.meta.url));
const licence = await readFile(`${folder}/node_modules/uplot/LICENSE`, "utf8");
const banner = `/*! With uPlot:\n${licence.trim()}\n*/`;
const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: { dashboard: "src/main.js" },
    outdir: "dist",
    bundle: true,
    format: "esm",
    minify: true,
    charset: "utf8",
    banner: { js: banner, css: banner },
    write: false,
    logLevel: "warning",
});

for (const { path, contents } of outputFiles) {
    if (!process.argv.includes("--check")) {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, contents);
        continue;
    }
    const committed = await readFile(path).catch(() => Buffer.alloc(0));
    if (!committed.equals(contents)) {
        console.error(`${path} is out of date: run scripts/bundle-dashboard`);
        process.exitCode = 1;
    }
}
