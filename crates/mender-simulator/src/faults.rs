//! Faults on purpose: which requests of a service fail, and how.
//!
//! A fault strikes before or after the effect of the request. "After" is the nasty one: the work
//! is done and the client does not hear of it. A delay belongs to the same side, so an effect can
//! also come later than the client waits for it.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

/// The services that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Deviceauth,
    Deviceconfig,
    Useradm,
    Inventory,
}

/// When the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// The request has no effect.
    #[default]
    Before,
    /// The request has its effect.
    After,
}

/// How requests of one service fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the wire"
)]
pub(crate) struct Fault {
    /// Every how many requests it strikes; the first one is that number.
    pub(crate) every: u64,
    /// The answer to give.
    pub(crate) status: Option<u16>,
    /// When it strikes.
    pub(crate) effect: When,
    /// Close the connection in place of an answer.
    pub(crate) drop: bool,
    /// Wait before going on, in milliseconds.
    pub(crate) delay_ms: u64,
    /// How often it strikes at most.
    pub(crate) times: Option<u64>,
    /// Deployments are answered with the all-zero id and not started. Only requests to deploy
    /// count then.
    pub(crate) zero_deployment_id: bool,
    /// Lists of devices are empty, whatever there is. A device that is asked for by its path is
    /// still there.
    pub(crate) empty_lists: bool,
    /// Nobody is there: all connections are closed, whatever else is said.
    pub(crate) down: bool,
}

impl Default for Fault {
    fn default() -> Self {
        Self {
            every: 1,
            status: None,
            effect: When::Before,
            drop: false,
            delay_ms: 0,
            times: None,
            zero_deployment_id: false,
            empty_lists: false,
            down: false,
        }
    }
}

/// The faults of all services; a service that is not named works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Program {
    pub(crate) deviceauth: Option<Fault>,
    pub(crate) deviceconfig: Option<Fault>,
    pub(crate) useradm: Option<Fault>,
    pub(crate) inventory: Option<Fault>,
}

impl Program {
    /// Why it cannot be played.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let others = [&self.deviceauth, &self.useradm, &self.inventory];
        for fault in others.into_iter().chain([&self.deviceconfig]).flatten() {
            if fault.every == 0 {
                return Err("`every` counts from 1");
            }
            if fault
                .status
                .is_some_and(|status| !(400..600).contains(&status))
            {
                return Err("`status` is one of a failure, from 400 to 599");
            }
        }
        let deploys = |fault: &Fault| fault.zero_deployment_id;
        if others.into_iter().flatten().any(deploys) {
            return Err("only deviceconfig deploys");
        }
        Ok(())
    }
}

/// The program being played.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<[Track; 4]>);

#[derive(Debug, Default)]
struct Track {
    fault: Option<Fault>,
    requests: u64,
    struck: u64,
}

impl Faults {
    /// Plays another program from its beginning.
    pub(crate) fn play(&self, program: Program) {
        let mut tracks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let track = |fault| Track {
            fault,
            ..Track::default()
        };
        *tracks = [
            program.deviceauth,
            program.deviceconfig,
            program.useradm,
            program.inventory,
        ]
        .map(track);
    }

    /// What is to happen to the next request of a service.
    pub(crate) fn next(&self, service: Service, deploys: bool) -> Option<Fault> {
        let mut tracks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let track = match service {
            Service::Deviceauth => &mut tracks[0],
            Service::Deviceconfig => &mut tracks[1],
            Service::Useradm => &mut tracks[2],
            Service::Inventory => &mut tracks[3],
        };
        track.next(deploys)
    }
}

impl Track {
    fn next(&mut self, deploys: bool) -> Option<Fault> {
        let fault = self.fault.as_ref()?;
        if fault.down {
            return Some(fault.clone());
        }
        if fault.zero_deployment_id && !deploys {
            return None;
        }
        self.requests += 1;
        if !self.requests.is_multiple_of(fault.every) {
            return None;
        }
        if fault.times.is_some_and(|times| self.struck >= times) {
            return None;
        }
        self.struck += 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playing(program: &str) -> Faults {
        let program: Program = serde_json::from_str(program).expect("a program");
        program.check().expect("it can be played");
        let faults = Faults::default();
        faults.play(program);
        faults
    }

    /// Which of ten requests are struck.
    fn struck(faults: &Faults, deploys: bool) -> Vec<usize> {
        let strikes = |_: &usize| faults.next(Service::Deviceconfig, deploys).is_some();
        (1..=10).filter(strikes).collect()
    }

    #[test]
    fn without_a_program_nothing_fails() {
        assert_eq!(struck(&Faults::default(), true), [0; 0]);
    }

    #[test]
    fn every_third_request_fails_but_only_twice() {
        let faults = playing(r#"{"deviceconfig":{"every":3,"status":500,"times":2}}"#);
        assert_eq!(struck(&faults, false), [3, 6]);
    }

    #[test]
    fn services_fail_on_their_own() {
        let faults = playing(r#"{"deviceauth":{"status":500},"deviceconfig":null}"#);
        assert_eq!(struck(&faults, false), [0; 0]);
        assert!(faults.next(Service::Deviceauth, false).is_some());
    }

    #[test]
    fn zero_ids_are_for_deployments_alone() {
        let faults = playing(r#"{"deviceconfig":{"every":5,"zero_deployment_id":true}}"#);
        assert_eq!(struck(&faults, false), [0; 0]);
        assert_eq!(struck(&faults, true), [5, 10]);
    }

    #[test]
    fn who_is_down_is_down_for_everybody() {
        let faults = playing(r#"{"deviceconfig":{"down":true,"every":9}}"#);
        assert_eq!(struck(&faults, false).len(), 10);
    }

    #[test]
    fn programs_that_make_no_sense_are_refused() {
        for program in [
            r#"{"deviceconfig":{"every":0}}"#,
            r#"{"deviceconfig":{"status":204}}"#,
            r#"{"deviceauth":{"zero_deployment_id":true}}"#,
        ] {
            let program: Program = serde_json::from_str(program).expect("a program");
            assert!(program.check().is_err(), "{program:?}");
        }
        assert!(serde_json::from_str::<Program>(r#"{"deviceconfig":{"evry":1}}"#).is_err());
    }
}
