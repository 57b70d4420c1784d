//! One integration binary for the crate; each module is a subject.

mod contracts;
mod example;
mod explain;
mod findings;
mod golden;
mod keys;
mod product_tests;
mod schemas;
mod support;
