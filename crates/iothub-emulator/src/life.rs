//! Whether a device or module is connected, by itself or by the script that plays it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::behaviour::Behaviour;
use crate::dates::Ticks;
use crate::session::Session;

/// The living side of a device or module.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Life {
    /// What it does while nothing real is connected in its name.
    #[serde(default, with = "shared", skip_serializing_if = "Option::is_none")]
    pub(crate) script: Option<Arc<Behaviour>>,
    /// Whether it would be connected if it were allowed to.
    wants: bool,
    /// Whether something real is connected in its name.
    #[serde(skip)]
    real: bool,
    /// What that has asked for; kept while it is away if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Session>,
    /// Whether it is connected.
    online: bool,
    /// When that last changed.
    pub(crate) since: Ticks,
    /// When it last connected or sent something.
    pub(crate) active: Ticks,
}

impl Life {
    /// Starts to behave so, or stops behaving at all.
    pub(crate) fn behave(&mut self, script: Option<Arc<Behaviour>>, allowed: bool, now: Ticks) {
        self.wants = script.as_ref().is_some_and(|it| it.online);
        self.script = script;
        self.settle(allowed, now);
    }

    /// Connects or disconnects by its own wish.
    pub(crate) fn connect(&mut self, wants: bool, allowed: bool, now: Ticks) {
        self.wants = wants;
        self.settle(allowed, now);
    }

    /// A real connection begins. Says whether an earlier session goes on.
    pub(crate) fn pick_up(&mut self, clean: bool, now: Ticks) -> bool {
        let goes_on = !clean && self.session.is_some();
        if !goes_on {
            self.session = Some(Session::new(clean));
        }
        self.real = true;
        self.settle(true, now);
        self.active = now;
        goes_on
    }

    /// The real connection has ended.
    pub(crate) fn hang_up(&mut self, allowed: bool, now: Ticks) {
        self.session
            .take_if(|session| session.ends_with_connection());
        self.real = false;
        self.settle(allowed, now);
    }

    /// Cuts or resumes the connection after the identity has changed.
    pub(crate) fn settle(&mut self, allowed: bool, now: Ticks) {
        let online = (self.wants || self.real) && allowed;
        if online != self.online {
            self.online = online;
            self.since = now;
            self.active = now;
        }
    }

    /// Whether it is connected.
    pub(crate) const fn is_online(&self) -> bool {
        self.online
    }

    /// The state as the service prints it.
    pub(crate) const fn state(&self) -> &'static str {
        if self.online {
            "Connected"
        } else {
            "Disconnected"
        }
    }
}

/// Scripts that many devices share are written down with each of them.
mod shared {
    use super::{Arc, Behaviour, Deserialize, Serialize};
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        script: &Option<Arc<Behaviour>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        script.as_deref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<Behaviour>>, D::Error> {
        Ok(Option::deserialize(from)?.map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Ticks {
        Ticks::from_unix_micros(second * 1_000_000)
    }

    #[test]
    fn a_device_is_connected_if_it_wants_to_and_may() {
        let mut life = Life::default();
        let script = Behaviour::parse(b"{}").unwrap();
        life.behave(Some(Arc::new(script)), false, at(1));
        assert_eq!((life.state(), life.since), ("Disconnected", Ticks::NEVER));
        life.settle(true, at(2));
        assert_eq!(
            (life.state(), life.since, life.active),
            ("Connected", at(2), at(2))
        );
        life.settle(true, at(3));
        assert_eq!(life.since, at(2));
        life.connect(false, true, at(4));
        assert!(!life.is_online());
        life.connect(true, true, at(5));
        life.behave(None, true, at(6));
        assert_eq!((life.is_online(), life.since), (false, at(6)));
    }

    #[test]
    fn a_real_connection_stands_for_the_script_while_it_lasts() {
        let mut life = Life::default();
        assert!(!life.pick_up(false, at(1)));
        assert_eq!((life.state(), life.since), ("Connected", at(1)));
        life.behave(None, true, at(2));
        assert!(life.is_online());
        life.hang_up(true, at(3));
        assert_eq!((life.is_online(), life.since), (false, at(3)));
    }

    #[test]
    fn a_session_outlives_its_connection_unless_it_was_to_be_clean() {
        let mut life = Life::default();
        life.pick_up(false, at(1));
        life.hang_up(true, at(2));
        assert!(life.pick_up(false, at(3)), "it goes on");
        life.hang_up(true, at(4));
        assert!(!life.pick_up(true, at(5)), "a clean one begins anew");
        life.hang_up(true, at(6));
        assert!(!life.pick_up(false, at(7)), "and leaves nothing behind");
    }
}
