//! A whole program without Kafka.
