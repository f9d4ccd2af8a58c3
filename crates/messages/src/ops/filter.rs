//! Which dead letters.

use lifecycle::{DeviceId, TenantId, Timestamp};

/// Which dead letters: those for which everything holds that is said. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// About this device.
    pub device: Option<DeviceId>,
    /// Of this class: one of [`crate::header::CLASSES`].
    pub class: Option<String>,
    /// With this text in the reason, in either case.
    pub reason: Option<String>,
    /// Stored at this time or later, by the server's clock.
    pub since: Option<Timestamp>,
    /// Stored before this time, by the server's clock.
    pub until: Option<Timestamp>,
}

impl LetterFilter {
    /// Whether class, reason and time are as asked. Tenant and device are for whoever knows the
    /// letter's subject.
    #[must_use]
    pub fn takes(&self, class: &str, reason: &str, stored_at: Timestamp) -> bool {
        let of_class = self.class.as_ref().is_none_or(|wanted| wanted == class);
        let of_reason = self.reason.as_ref().is_none_or(|wanted| {
            reason
                .to_ascii_lowercase()
                .contains(&wanted.to_ascii_lowercase())
        });
        let since = self.since.is_none_or(|since| since <= stored_at);
        let until = self.until.is_none_or(|until| stored_at < until);
        of_class && of_reason && since && until
    }

    /// Whether tenant and device are all it asks for.
    #[must_use]
    pub fn is_by_subject(&self) -> bool {
        *self
            == Self {
                tenant: self.tenant.clone(),
                device: self.device.clone(),
                ..Self::default()
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_000_000);

    #[test]
    fn everything_that_is_said_must_hold() {
        let filter = LetterFilter {
            class: Some("permanent".to_owned()),
            reason: Some("REFUSED".to_owned()),
            since: Some(NOON),
            ..LetterFilter::default()
        };
        assert!(filter.takes("permanent", "the hub refused it", NOON));
        assert!(!filter.takes("exhausted", "the hub refused it", NOON));
        assert!(!filter.takes("permanent", "the hub is away", NOON));
        assert!(!filter.takes("permanent", "the hub refused it", Timestamp::from_micros(1)));
        assert!(LetterFilter::default().takes("", "", NOON));
    }

    #[test]
    fn the_beginning_of_a_span_belongs_to_it_and_its_end_does_not() {
        let filter = LetterFilter {
            since: Some(NOON),
            until: Some(Timestamp::from_micros(1_000_001)),
            ..LetterFilter::default()
        };
        assert!(filter.takes("", "", NOON));
        assert!(!filter.takes("", "", Timestamp::from_micros(1_000_001)));
        assert!(!filter.is_by_subject());
        assert!(LetterFilter::default().is_by_subject());
    }
}
