//! What an import has done, and what it left out and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use iot_manager_db::{Protection, Reason};
use lifecycle::{DeviceId, TenantId};
use serde::Serialize;

use crate::print;

/// Devices of a kind that are named; the others are only counted.
const MOST_NAMED: usize = 10_000;
/// Of those, so many are shown to people.
const SHOWN: usize = 5;

/// What became of everything in the database.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(super) dry_run: bool,
    /// Tenants with a hub that is understood.
    pub(super) tenants: BTreeMap<TenantId, OfTenant>,
    /// Integrations that were left out.
    pub(super) integrations_left_out: Vec<Omission>,
    /// Rows of devices whose tenant has no integration that was taken over.
    pub(super) other_devices: LeftOut,
}

/// An integration that was left out.
#[derive(Debug, Serialize)]
pub(crate) struct Omission {
    pub(super) integration: String,
    pub(super) tenant: Option<TenantId>,
    pub(super) reason: String,
    /// Something can be done so that it is read.
    pub(super) repeat: bool,
}

/// What became of one tenant's hub and devices.
#[derive(Debug, Default, Serialize)]
pub(crate) struct OfTenant {
    pub(super) hub: String,
    /// How its credential was stored.
    pub(super) credential: &'static str,
    /// What became of the integration.
    pub(super) integration: &'static str,
    pub(super) devices: Devices,
    /// Identities that bear the tag `mender: true` and have no row.
    pub(super) adoptable: Named,
    /// What went wrong, so that it should be repeated.
    pub(super) troubles: Vec<String>,
}

/// What became of one tenant's devices.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Devices {
    /// Ours from now on, or would be.
    pub(super) imported: u64,
    /// Of those, not as Mender wants them: the worker does what is missing.
    pub(super) to_put_right: u64,
    /// Ours already.
    pub(super) there: u64,
    pub(super) left_out: LeftOut,
}

/// Devices that were left out, by reason.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct LeftOut(BTreeMap<Why, Named>);

/// Some devices, the first of them by name.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Named {
    pub(super) count: u64,
    pub(super) devices: Vec<String>,
}

/// Why a device was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    NotUnderstood,
    NoIntegration,
    SeveralIntegrations,
    OtherIntegration,
    NotInHub,
    NotTagged,
    NoKey,
    OtherMark,
    NotInMender,
    InWork,
    Failed,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::NotUnderstood => "the row is not as iot-manager writes it",
            Self::NoIntegration => "the row is in no integration",
            Self::SeveralIntegrations => "the row is in more than one integration",
            Self::OtherIntegration => "the row is of an integration that is not taken over",
            Self::NotInHub => {
                "no identity in the hub: `mender-iothub sweep --include-unrecorded` makes one if Mender has accepted \
                 the device"
            }
            Self::NotTagged => {
                "the twin has no tag `mender: true`, so iot-manager did not finish, or somebody else made the \
                 identity: `mender-iothub device adopt` if it is yours"
            }
            Self::NoKey => "the identity has no symmetric key",
            Self::OtherMark => "the identity bears the mark of another installation or tenant",
            Self::NotInMender => "Mender does not know the device",
            Self::InWork => "the worker is at work on it, or gave it up: repeat the import",
            Self::Failed => "failed: repeat the import",
        }
    }
}

impl From<&Reason> for Why {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::NoIntegration => Self::NoIntegration,
            Reason::SeveralIntegrations => Self::SeveralIntegrations,
            Reason::Field(_)
            | Reason::OtherProvider
            | Reason::Unreadable(_)
            | Reason::Algorithm
            | Reason::NotAPolicy
            | Reason::NotADevice => Self::NotUnderstood,
        }
    }
}

impl LeftOut {
    pub(super) fn add(&mut self, why: Why, device: impl Into<String>) {
        self.0.entry(why).or_default().add(device);
    }

    fn in_words(&self, text: &mut String) {
        for (why, named) in &self.0 {
            let _ = writeln!(text, "  left out: {}{}", why.words(), named.in_words());
        }
    }
}

impl Named {
    pub(super) fn add(&mut self, device: impl Into<String>) {
        self.count += 1;
        if self.devices.len() < MOST_NAMED {
            self.devices.push(device.into());
        }
    }

    pub(super) fn add_id(&mut self, device: &DeviceId) {
        self.add(device.as_str());
    }

    /// ` (7): a, b and 5 more`
    fn in_words(&self) -> String {
        let shown: Vec<_> = self.devices.iter().take(SHOWN).map(print::line).collect();
        let more = self.count.saturating_sub(shown.len() as u64);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(" ({}): {}{more}", self.count, shown.join(", "))
    }
}

/// How a credential was stored, in words.
pub(super) fn stored(protection: Protection) -> &'static str {
    match protection {
        Protection::Sealed => "sealed",
        Protection::SealedWithFallback => "sealed with the fallback key",
        Protection::Clear => "in clear",
    }
}

impl Report {
    /// Without line ends of others: names come from the database.
    pub(super) fn in_words(&self) -> String {
        let mut text = String::new();
        for (tenant, of) in &self.tenants {
            of.in_words(tenant, self.dry_run, &mut text);
        }
        for Omission {
            integration,
            tenant,
            reason,
            ..
        } in &self.integrations_left_out
        {
            let tenant = tenant.as_ref().map_or("an odd tenant".to_owned(), name);
            let _ = writeln!(
                text,
                "{tenant}: integration {} left out: {reason}",
                print::line(integration)
            );
        }
        if !self.other_devices.0.is_empty() {
            text.push_str("devices of tenants without an integration that was taken over\n");
            self.other_devices.in_words(&mut text);
        }
        if text.is_empty() {
            return "nothing to import: the database has no integrations and no devices".to_owned();
        }
        text
    }

    /// An error if it should be repeated.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        let failed = |of: &OfTenant| {
            let again = [Why::InWork, Why::Failed];
            let again = again
                .iter()
                .any(|why| of.devices.left_out.0.contains_key(why));
            !of.troubles.is_empty() || again
        };
        let tenants = self.tenants.values().filter(|of| failed(of)).count();
        let unread = self
            .integrations_left_out
            .iter()
            .filter(|it| it.repeat)
            .count();
        anyhow::ensure!(
            tenants + unread == 0,
            "not everything could be imported: {tenants} tenants with trouble, {unread} integrations whose credential \
             was not read. What was imported stays; mend what is told above and repeat the import"
        );
        Ok(())
    }
}

impl OfTenant {
    fn in_words(&self, tenant: &TenantId, dry_run: bool, text: &mut String) {
        let Self {
            hub,
            integration,
            credential,
            devices,
            ..
        } = self;
        let name = name(tenant);
        let _ = writeln!(
            text,
            "{name}: hub {hub}, integration {integration} (its credential was {credential})"
        );
        let would = if dry_run { "would be " } else { "" };
        let Devices {
            imported,
            to_put_right,
            there,
            left_out,
        } = devices;
        let _ = writeln!(
            text,
            "  {imported} devices {would}imported, {there} were ours already"
        );
        if *to_put_right > 0 {
            let _ = writeln!(
                text,
                "  {to_put_right} of them are not as Mender wants them, and {would}put right by the worker"
            );
        }
        left_out.in_words(text);
        if self.adoptable.count > 0 {
            let _ = writeln!(
                text,
                "  tagged `mender: true` in the hub, but without a row; `mender-iothub device adopt` takes them over{}",
                self.adoptable.in_words()
            );
        }
        for trouble in &self.troubles {
            let _ = writeln!(text, "  failed: {trouble}");
        }
    }
}

fn name(tenant: &TenantId) -> String {
    format!("tenant {:?}", tenant.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        let mut of = OfTenant {
            hub: "h.azure-devices.net".to_owned(),
            credential: "in clear",
            integration: "imported",
            ..OfTenant::default()
        };
        of.devices.imported = 7;
        for number in 0..6 {
            of.devices.left_out.add(Why::NotInHub, format!("d{number}"));
        }
        report.tenants.insert("t1".parse().unwrap(), of);
        report
    }

    #[test]
    fn what_was_left_out_is_told_by_reason_and_names_are_one_line() {
        let mut report = report();
        report.other_devices.add(Why::NotUnderstood, "a\nb\u{1b}");
        let text = report.in_words();
        assert!(text.contains("7 devices imported"), "{text}");
        assert!(
            text.contains(" (6): d0, d1, d2, d3, d4 and 1 more"),
            "{text}"
        );
        assert!(text.contains("(1): a\\nb\\u{1b}"), "{text}");
        assert!(report.complete().is_ok());
    }

    #[test]
    fn what_should_be_repeated_is_no_success() {
        for why in [Why::InWork, Why::Failed] {
            let mut report = report();
            let of = report.tenants.values_mut().next().unwrap();
            of.devices.left_out.add(why, "d");
            assert!(report.complete().is_err(), "{why:?}");
        }
        let mut report = report();
        report.integrations_left_out.push(Omission {
            integration: "i".to_owned(),
            tenant: None,
            reason: "sealed".to_owned(),
            repeat: true,
        });
        assert!(report.complete().is_err());
    }
}
