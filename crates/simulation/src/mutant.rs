//! The reconciler's world with one promise broken.
//!
//! A simulation that finds nothing may be blind. So each of these takes away one thing that the
//! reconciler does or relies on, at the ports and not in its code, and the oracle must notice.

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// What is broken; the comment says how.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
        pub enum Mutant { $($(#[doc = $doc])+ $name,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// How it breaks what.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim(),)* }
            }
        }
    };
}

mutants! {
    /// Outcomes are taken for published that never were: acknowledged before they are durable.
    ReportsNothing,
    /// Dead letters are taken for published that never were.
    BuriesNothing,
    /// A record is taken for saved while it is still on its way: performed before it is saved.
    SavesLater,
    /// A record is saved whatever its version is by now: no reload after a lost compare-and-set.
    SavesBlindly,
    /// Open intents are forgotten when a record is loaded.
    ForgetsIntents,
    /// The claim of a delivery is forgotten when a record is loaded.
    ForgetsClaims,
    /// A wake-up is taken for scheduled that never was: the message is acknowledged and lost.
    ArmsNothing,
    /// A refused credential is taken for a hub that is away: nobody is suspended.
    IgnoresSuspension,
    /// The integration that a worker met first stays with it for ever.
    KeepsIntegration,
    /// Changes are sent without the ETag that they were planned for.
    IgnoresEtags,
    /// A create replaces what is there.
    CreateReplaces,
    /// A hub replaces both keys of an identity where one was to be replaced.
    RenewsBothKeys,
    /// A delivery hands over the primary key whichever it was asked for.
    DeliversPrimary,
    /// The wall clock of a worker, an hour ahead, decides when a lease has ended.
    ClockAhead,
    /// The sweep takes a device that a list does not show for gone.
    BelievesLists,
    /// The sweep takes the first word of Mender that a device is gone for the last.
    BelievesAtOnce,
}
