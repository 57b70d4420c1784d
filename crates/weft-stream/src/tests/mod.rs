//! The engine core as a whole: SQL in, rows out, without Kafka.

mod flights;
mod joins;
mod lab;
mod product_tests;
mod programs;
mod refusals;
mod rows;
mod windows;
