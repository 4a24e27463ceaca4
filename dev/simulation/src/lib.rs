//! Runs of the whole system by seed: see the test `simulation`.
