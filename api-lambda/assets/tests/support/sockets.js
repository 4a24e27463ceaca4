// The TCP ports that a process listens on, which a page could find by trying all ports.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";

/** The state LISTEN in `/proc/net/tcp`. */
const LISTEN = "0A";

/** The ports that the process `pid` listens on, in ascending order. */
export function listeningPorts(pid) {
    const ports = existsSync("/proc/net/tcp") ? fromProc(pid) : fromLsof(pid);
    return [...new Set(ports)].sort((one, other) => one - other);
}

function fromProc(pid) {
    const folder = `/proc/${pid}/fd`;
    const inodes = new Set();
    for (const name of readdirSync(folder)) {
        try {
            const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1];
            if (inode) inodes.add(inode);
        } catch {
            // The process has closed this file since it was listed.
        }
    }
    return ["tcp", "tcp6"].filter((name) => existsSync(`/proc/${pid}/net/${name}`)).flatMap((name) => {
        const rows = readFileSync(`/proc/${pid}/net/${name}`, "utf8").trim().split("\n").slice(1);
        return rows
            .map((row) => row.trim().split(/\s+/))
            .filter((columns) => columns[3] === LISTEN && inodes.has(columns[9]))
            .map((columns) => Number.parseInt(columns[1].split(":")[1], 16));
    });
}

function fromLsof(pid) {
    const output = execFileSync("lsof", ["-nP", "-a", "-p", String(pid), "-iTCP", "-sTCP:LISTEN", "-Fn"], { encoding: "utf8" });
    return [...output.matchAll(/^n.*:(\d+)$/gm)].map(([, port]) => Number(port));
}
