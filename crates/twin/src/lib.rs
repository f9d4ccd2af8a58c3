//! Answers device twin requests over NATS.
