# The recipes of this repository: `just --list`. Each runs a script or a cargo command.

set positional-arguments

target := env("CARGO_TARGET_DIR", "target")

_default:
    @just --list

# Check formatting, layers, lints and documentation, without running tests
check:
    cargo fmt --all --check
    scripts/check-layers
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Run the gate: everything that must pass before a change lands
gate:
    .ci/run

# Run all tests, or those that the arguments of `cargo test` select
test *arguments:
    scripts/test "$@"

# Run the whole system in one process, with sample runs or with your logs
run *arguments:
    cargo run -p local -- "$@"

# Report what a log says: `just report --cdk deploy.log`
report *arguments:
    cargo run -p cli -- report "$@"

# Sign a token with AUTH_HS256_SECRET: `just token progress:read`
token *arguments:
    scripts/token "$@"

# Measure release builds of the functions: `just bench --only warm`
bench *arguments:
    scripts/bench "$@"

# Run the functions under load while Redis and DynamoDB fail: `just faults --short`
faults *arguments:
    scripts/faults "$@"

# Simulate the whole system with faults, for a number of seeds
simulation seeds="10000":
    SIMULATION_SEEDS={{ seeds }} cargo test -p simulation --locked

# Fuzz a target (parse, fold, request, token, event) for some seconds
fuzz target seconds="60":
    scripts/fuzz {{ target }} {{ seconds }}

# Run `local` under load for some seconds, and watch its memory and open files
soak seconds="1800":
    scripts/soak {{ seconds }}

# Send generated requests to the API and compare the responses with openapi.json
schemathesis:
    scripts/schemathesis

# Run both functions under `cargo lambda watch`
watch-smoke:
    scripts/watch-smoke

# Run the dashboard's tests in a browser
browser-tests *files:
    scripts/browser-tests "$@"

# Make the dashboard's bundle from its sources
bundle-dashboard:
    scripts/bundle-dashboard

# Write api-lambda/openapi.json again, from the handlers
update-openapi:
    UPDATE_OPENAPI=1 cargo test -p api-lambda --lib openapi

# Run the commands of the README and compare their output
readme-commands:
    scripts/readme-commands

# Check licences, banned crates and sources of dependencies; with `advisories`, known vulnerabilities
deny *checks:
    scripts/deny "$@"

# Check the template, and deploy it to an emulator of AWS; with `--arm64`, with the programs of `sam build`
deploy-proof *arguments:
    scripts/deploy-proof "$@"

# Measure what an invocation costs, and renew docs/cost.md
cost:
    cargo build --release --locked --package api-lambda --package progress-collector
    cargo build --release --locked --package local --package lab
    scripts/lib/python scripts/deploy/measure.py --api {{ target }}/release/api-lambda \
        --collector {{ target }}/release/progress-collector --local {{ target }}/release/local --invoke {{ target }}/release/invoke
    scripts/lib/python scripts/cost.py

# Measure how long Cargo needs to build again after a change
build-times:
    scripts/build-times
