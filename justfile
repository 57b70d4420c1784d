# An index of habits. Every line also works without `just`.

# the example mesh
up:
    cargo run -- up examples/flights

# before a commit
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# every tier whose peers exist
test:
    cargo xtask test

# fast tier: no network but loopback, no peers
fast *a:
    cargo test --workspace --exclude e2e {{a}}

# power cuts: just sim --seed 8841
sim *a:
    cargo run -p sim -- {{a}}

# real peers: just e2e clients::
e2e *a:
    cargo build --workspace
    cargo test -p e2e -- --test-threads=2 {{a}}

# programs of others that the e2e tier talks to
peers:
    cargo xtask peers

# figures, beside Apache Kafka
bench *a:
    cargo build --release -p weft
    cargo xtask bench spine {{a}}

# the map is true: names in ARCHITECTURE.md exist
tidy:
    cargo test -p xtask

# what CI does
verify:
    bash .ci/run
