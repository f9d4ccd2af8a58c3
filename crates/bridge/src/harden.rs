//! What the kernel can do to keep the secrets in our memory to us.

/// Forbids core dumps of this process, and that other processes of the same user read its memory
/// or its environment.
///
/// Where the kernel does not know that (only Linux does) or refuses it, the program runs without.
pub(crate) fn process() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn nobody_dumps_our_memory() {
        super::process();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
