// Makes `dist/` of `src/`: the files that the program carries. With `--check` it only tells whether `dist/` is what
// its sources make. The bundle is kept in the repository, so that building the program needs no Node.

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
    const held = await readFile(path).catch(() => Buffer.alloc(0));
    if (!held.equals(contents)) {
        console.error(`${path} is not what its sources make: run scripts/bundle-dashboard`);
        process.exitCode = 1;
    }
}
