//! What operators have done: sweeps, keys and connection strings anew, identities of others adopted.
//!
//! Each is a process of its own, which runs the production code and dies or is cut off like any other.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::Wish;
use reconciler::ports::Hubs as _;
use reconciler::sweep::{Registry as _, Seen, SweepSettings, Sweeper};
use tokio::time::timeout;

use crate::life::Life;
use crate::port::Port;
use crate::world::Servers;

/// What changed within this time is left alone by the sweep.
pub(crate) const GRACE: Duration = Duration::from_secs(300);
/// Whatever takes longer than this is given up.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// One pass over every tenant.
pub(crate) async fn sweep(servers: Servers) {
    servers.world().chronicle.saw("sweep begun");
    run(servers, async |port| {
        pass(port).await;
        true
    })
    .await;
}

/// The connection string of a device once more, or another key.
pub(crate) async fn resync(servers: Servers, case: usize, wish: Wish) {
    run(servers, async |port| {
        let about = port.world().cases[case].about.clone();
        let granted = sweeper(&port).grant(wish, &about, "resync-").await;
        let mut world = port.world();
        if matches!(granted, Ok(true)) {
            world.chronicle.saw("resync");
            world.note(|_| format!("{wish:?} of {}", about.to_tokens()));
        }
        granted.is_ok()
    })
    .await;
}

/// What somebody else made becomes ours.
pub(crate) async fn adopt(servers: Servers, case: usize) {
    run(servers, async |port| {
        let about = port.world().cases[case].about.clone();
        let Ok(Seen::Known(known)) = port.look(&about).await else {
            return true;
        };
        port.call("adopt").await;
        if known.decommissioning || !port.world().mark_as_ours(case) {
            return true;
        }
        port.world()
            .note(|_| format!("{} is adopted", about.to_tokens()));
        let attended = sweeper(&port).attend(&about, &known, "adopt-").await;
        attended.is_ok()
    })
    .await;
}

/// Runs a command as a process of its own. What it says is whether it did all that it was to do: what
/// is left is the next sweep's.
async fn run(servers: Servers, command: impl AsyncFnOnce(Port) -> bool) {
    let life = Arc::new(Life::new(&servers));
    let port = Port {
        servers: servers.clone(),
        life: Arc::clone(&life),
    };
    let mut whole = false;
    let living = Box::pin(life.live(async { whole = command(port).await }));
    // Where something broke, no call is answered any more.
    drop(timeout(LONGEST, living).await);
    if !whole {
        servers.world().chronicle.saw("command cut off");
    }
}

fn sweeper(port: &Port) -> Sweeper<Port, Port, Port, Port> {
    let names = port.clone();
    let fresh = move || names.world().fresh().to_string();
    let ports = (port.clone(), port.clone(), port.clone(), port.clone());
    let sweeper = Sweeper::new(ports.0, ports.1, ports.2, ports.3, fresh);
    sweeper.observe(port.world().now());
    sweeper
}

async fn pass(port: Port) {
    let sweeper = sweeper(&port);
    let (tenants, lease) = {
        let world = port.world();
        let tenants: Vec<_> = world
            .tenants
            .iter()
            .map(|t| (t.id.clone(), t.since))
            .collect();
        (tenants, world.policy.lease)
    };
    for (tenant, since) in tenants {
        let Ok(Some(hub)) = port.hub(&tenant).await else {
            continue;
        };
        let settings = SweepSettings {
            grace: GRACE,
            lease,
            integrated_since: Some(since),
            ..SweepSettings::default()
        };
        let swept = sweeper.sweep(&tenant, &hub, &settings, &|_| {}).await;
        let mut world = port.world();
        world.chronicle.saw("sweep");
        world.note(|_| format!("swept {tenant}: {swept:?}"));
    }
}
