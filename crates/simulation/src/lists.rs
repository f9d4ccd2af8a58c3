//! The lists that the sweep reads: late, short, empty, or another tenant's.

use lifecycle::{DeviceRef, Failure, IntegrationRef, MenderView, TenantId};
use reconciler::PerMinute;
use reconciler::sweep::{HubList, HubPage, HubRow, Known, Registry, RegistryPage, Seen};

use crate::case::Case;
use crate::hub::OneHub;
use crate::mutant::Mutant;
use crate::port::Port;
use crate::world::World;

/// Devices of a page, so that lists have several.
const PAGE: usize = 2;

impl Registry for Port {
    async fn page(&self, tenant: &TenantId, page: u32) -> Result<RegistryPage, Failure> {
        self.call("mender list").await;
        self.world().mender_page(tenant, page)
    }

    async fn look(&self, device: &DeviceRef) -> Result<Seen, Failure> {
        self.call("mender look").await;
        self.world().look(device)
    }
}

impl HubList for OneHub {
    fn integration(&self) -> &IntegrationRef {
        &self.integration
    }

    fn allowed_per_minute(&self) -> PerMinute {
        self.allowed
    }

    async fn page(&self, after: Option<&[u8]>) -> Result<HubPage, Failure> {
        self.port.call("hub list").await;
        let first = after.map_or(0, |bytes| bytes.first().copied().unwrap_or(0));
        self.port.world().hub_page(self, usize::from(first))
    }
}

impl World {
    fn list_trouble(&mut self) -> Option<usize> {
        let percent = self.faults.lists;
        if !self.rng.chance(percent) {
            return None;
        }
        self.chronicle.fault("list in trouble");
        Some(self.rng.below(4))
    }

    fn mender_page(&mut self, tenant: &TenantId, page: u32) -> Result<RegistryPage, Failure> {
        let trouble = self.list_trouble();
        match trouble {
            Some(0) => return Err(Failure::Transient("deviceauth is down".into())),
            Some(1) => return Ok(RegistryPage::default()),
            _ => {}
        }
        let foreign = trouble == Some(2);
        let asked = |case: &&Case| (case.about.tenant == *tenant) != foreign;
        let listed = self.cases.iter().filter(asked).filter_map(|case| {
            let known = known(case)?;
            Some((case.about.device.clone(), known))
        });
        let first = usize::try_from(page - 1).unwrap_or(0) * PAGE;
        let mut devices: Vec<_> = listed.skip(first).take(PAGE + 1).collect();
        let more = devices.len() > PAGE;
        devices.truncate(PAGE);
        let half = trouble == Some(3);
        if half {
            devices.truncate(1);
        }
        Ok(RegistryPage {
            devices,
            next: (more && !half).then_some(page + 1),
        })
    }

    fn look(&mut self, device: &DeviceRef) -> Result<Seen, Failure> {
        let case = self.case_of(device);
        let percent = self.faults.mender;
        if self.rng.chance(percent) {
            self.chronicle.fault("deviceauth down");
            return Err(Failure::Transient("deviceauth is down".into()));
        }
        let may_lie = !self.cases[case].lied && self.cases[case].script.lives == 1;
        // For a mutant that believes the first word, the first word is often wrong.
        let at_once = self.is_mutant(Mutant::BelievesAtOnce);
        let percent = if at_once { 50 } else { self.faults.lie };
        let lies = may_lie && self.rng.chance(percent);
        // The lists of a mutant are believed: each second one shows nothing.
        let believes = self.is_mutant(Mutant::BelievesLists) && self.rng.chance(50);
        if lies || believes {
            self.chronicle.fault("deviceauth forgets a device");
            self.cases[case].lied = true;
            return Ok(Seen::Gone);
        }
        Ok(known(&self.cases[case]).map_or(Seen::Gone, Seen::Known))
    }

    fn hub_page(&mut self, hub: &OneHub, first: usize) -> Result<HubPage, Failure> {
        self.ask(hub).map_err(|(failure, _)| failure)?;
        let trouble = self.list_trouble();
        if trouble == Some(0) {
            return Ok(HubPage::default());
        }
        let mut rows = Vec::new();
        for n in first..self.cases.len() {
            if self.cases[n].tenant != hub.tenant {
                continue;
            }
            if rows.len() == PAGE {
                let next = u8::try_from(n).ok().filter(|_| trouble != Some(1));
                let next = next.map(|n| vec![n]);
                return Ok(HubPage { rows, next });
            }
            let percent = self.faults.lists;
            let lags = self.rng.chance(percent);
            rows.extend(self.cases[n].row(hub.hub(), lags));
        }
        Ok(HubPage { rows, next: None })
    }
}

impl Case {
    /// What the hub's query shows of it.
    fn row(&mut self, hub: usize, lags: bool) -> Option<HubRow> {
        let place = &mut self.places[hub];
        if !lags {
            place.shown = place.identity.as_ref().map(|identity| HubRow {
                device: self.about.device.clone(),
                enabled: identity.facts.enabled,
                mark: identity.facts.mark.clone(),
                etag: Some(identity.facts.etag.clone()),
            });
        }
        place.shown.clone()
    }
}

fn known(case: &Case) -> Option<Known> {
    let (status, decommissioning) = match case.truth {
        MenderView::Known(status) => (status, false),
        // It keeps the status that it had.
        MenderView::Decommissioning => (lifecycle::Status::Noauth, true),
        MenderView::Absent => return None,
    };
    Some(Known {
        status,
        created: case.created,
        decommissioning,
    })
}
