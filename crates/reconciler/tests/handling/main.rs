//! What surrounds every decision: order, loss, waits, acknowledgement. Time is paused, the
//! servers are in memory, and every call to them is in one journal.

mod clocks;
mod durability;
mod pacing;
mod races;
mod rotation;
mod servers;
mod slowness;
mod together;
