//! One connection: CONNECT, then packets both ways until one side has enough.

use std::sync::Arc;
use std::time::Duration;

use mqtt_proto::v3::{Connack, Connect, ConnectReturnCode, Packet};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::codec::{MAX_CONNECT, MAX_PACKET, Malformed};
use super::end::End;
use super::login::{Admitted, Claim};
use super::talk::Talk;
use super::wire::{Broken, Wire};
use super::{login, notes};
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::Target;
use crate::switchboard::Plug;

/// How long a client may take to say who it is.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// The longest silence the service agrees to, whatever a client says.
const LONGEST_KEEP_ALIVE: u16 = 1_767;
/// The furthest moment that is waited for, in seconds from now; some ten years.
const FAR_AWAY: u64 = 315_360_000;

/// Leads a connection through.
pub(super) async fn run(hub: &Arc<Hub>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut wire = Wire::new(stream, MAX_CONNECT);
    match timeout(CONNECT_TIME, wire.next()).await {
        Ok(Ok(Packet::Connect(connect))) => match enter(hub, &connect) {
            Ok((online, admitted)) => stay(wire, online, connect, admitted).await,
            Err(code) => refuse(wire, code).await,
        },
        Ok(Err(Broken::Malformed(Malformed::Version))) => {
            refuse(wire, ConnectReturnCode::UnacceptableProtocolVersion).await;
        }
        Ok(Ok(_)) => debug!("the first packet is no CONNECT"),
        Ok(Err(broken)) => debug!(%broken, "no CONNECT"),
        Err(_) => debug!("the first packet took too long"),
    }
}

async fn refuse(mut wire: Wire<impl AsyncRead + AsyncWrite + Unpin>, code: ConnectReturnCode) {
    debug!(?code, "connection refused");
    if wire.send(Connack::new(false, code)).await.is_ok() {
        wire.close().await;
    }
}

/// Lets a device in, and writes that down either way.
fn enter(hub: &Arc<Hub>, connect: &Connect) -> Result<(Online, Admitted), ConnectReturnCode> {
    let plug = hub.switchboard.plug();
    let (line, clean) = (plug.id, connect.clean_session);
    let entered = Claim::read(connect, &hub.audience).and_then(|claim| {
        let admitted = hub.with_registry(|registry, now| {
            let times = (hub.choices.clock_skew_s, now.unix_seconds());
            claim.enter(registry, &hub.audience, line, clean, times)
        })?;
        Ok((claim.who, admitted))
    });
    note_connect(hub, connect, entered.as_ref().err());
    let (who, admitted) = entered.inspect_err(|_| hub.switchboard.unplug(line))?;
    hub.connections.notify_waiters();
    let online = Online {
        hub: Arc::clone(hub),
        who,
        plug,
        reason: "lost".to_owned(),
    };
    Ok((online, admitted))
}

/// Writes a CONNECT down, if it names a device as devices are named.
fn note_connect(hub: &Hub, connect: &Connect, refused: Option<&ConnectReturnCode>) {
    let Some(who) = login::target(&connect.client_id) else {
        return;
    };
    let detail = refused.map_or(String::new(), |code| format!("code={}", *code as u8));
    let kind = ("CONNECT", Operation::DeviceConnect);
    let entry = notes::entry(hub, kind, &who, &detail);
    let status = if refused.is_none() { 200 } else { 401 };
    hub.journal
        .open(notes::done(hub, entry, status, refused.is_none()));
}

/// A device that is in. However this ends, the hub learns of it.
struct Online {
    hub: Arc<Hub>,
    who: Target,
    plug: Plug,
    reason: String,
}

impl Drop for Online {
    fn drop(&mut self) {
        let hub = &self.hub;
        hub.switchboard.unplug(self.plug.id);
        let detail = format!("reason={}", self.reason);
        let kind = ("DISCONNECT", Operation::DeviceDisconnect);
        let entry = notes::entry(hub, kind, &self.who, &detail);
        hub.with_registry(|registry, _| registry.detach(&self.who, self.plug.id));
        hub.journal.open(notes::done(hub, entry, 200, true));
    }
}

/// Stays with a device until the end.
async fn stay<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    mut online: Online,
    connect: Connect,
    admitted: Admitted,
) {
    wire.set_limit(MAX_PACKET);
    let hub = Arc::clone(&online.hub);
    let left = admitted
        .expiry
        .saturating_sub(hub.clock.tick().unix_seconds())
        .min(FAR_AWAY);
    let expiry = Instant::now() + Duration::from_secs(left);
    let mut talk = Talk::new(&hub, &mut wire, online.who.clone(), online.plug.id);
    let Plug { pushes, cut, .. } = &mut online.plug;
    let end = tokio::select! {
        biased;
        Ok(cut) = cut => End::Cut(cut),
        () = sleep_until(expiry) => End::Expired,
        end = talk.go_on(pushes, admitted.session_present, silence(&connect)) => end,
    };
    debug!(who = ?online.who, %end, ?end, "connection ended");
    if !matches!(end, End::Left) {
        talk.will(connect.last_will.as_ref());
    }
    online.reason = end.to_string();
    drop(online);
    wire.close().await;
}

/// How long nothing may come: one and a half times what the client said.
fn silence(connect: &Connect) -> Duration {
    let seconds = match connect.keep_alive {
        0 => LONGEST_KEEP_ALIVE,
        seconds => seconds.min(LONGEST_KEEP_ALIVE),
    };
    Duration::from_secs(seconds.into()) * 3 / 2
}
