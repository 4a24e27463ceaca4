// Cleanup at the end of a test, in reverse order.

const cleanups = new WeakMap();

/** Runs `action` at the end of the test `t`, before the actions that were added earlier. */
export function onTestEnd(t, action) {
    if (!cleanups.has(t)) {
        cleanups.set(t, []);
        t.after(async () => {
            const failures = [];
            for (const action of cleanups.get(t).reverse()) await Promise.resolve(action()).catch((error) => failures.push(error));
            if (failures.length) throw failures[0];
        });
    }
    cleanups.get(t).push(action);
}
