// What is to be done when a test ends, the last begun first.

const ends = new WeakMap();

/** Does `action` at the end of the test `t`, before what was to be done already. */
export function atEnd(t, action) {
    if (!ends.has(t)) {
        ends.set(t, []);
        t.after(async () => {
            const failures = [];
            for (const action of ends.get(t).reverse()) await Promise.resolve(action()).catch((error) => failures.push(error));
            if (failures.length) throw failures[0];
        });
    }
    ends.get(t).push(action);
}
