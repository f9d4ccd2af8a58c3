# The commands of the project; `cargo xtask --help` tells more. CI runs `test`.

# List the recipes
default:
    @just --list

# Play a fleet through the real worker and show that everything agrees
demo *args:
    cargo xtask demo {{args}}

# Check everything: formatting, lints, docs, rules, all tests
test *args:
    cargo xtask test {{args}}

# Format the code
fmt:
    cargo fmt --all

# Lint, warnings denied
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Build and open the documentation
docs:
    cargo doc --workspace --no-deps --locked --open
