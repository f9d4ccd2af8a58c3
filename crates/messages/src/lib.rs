//! Speaks the wire formats of events, outcomes, dead letters and twins.
