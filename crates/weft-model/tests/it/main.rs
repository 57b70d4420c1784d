//! One integration binary for the crate; each module is a subject.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails where it stands")]

mod access;
mod clusters;
mod contracts;
mod example;
mod explain;
mod findings;
mod golden;
mod keys;
mod meshes;
mod product_tests;
mod schemas;
mod settings;
mod support;
