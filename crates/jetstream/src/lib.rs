//! Connects the reconciler to NATS JetStream.
