//! Decides what one device should look like in the hub and what to do next.
