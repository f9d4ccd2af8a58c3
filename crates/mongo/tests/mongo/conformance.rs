//! The suite that every device store must pass.

use crate::installation::Installation;

reconciler::device_store_conformance!(Installation::new);
