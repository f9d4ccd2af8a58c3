//! Drives the lifecycle core: loads, decides, saves, performs, acknowledges.
