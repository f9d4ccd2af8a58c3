//! Does what a plan says, while the fleet goes on living.
//!
//! Each act heals what it broke before the next one begins, except for the hub's faults, which stay
//! until others take their place: two workers killed and a server away are hard enough to tell apart
//! in a log.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::{Act, Crowd, Plan, Stage, calls::Calls, stage::Bus, stage::EVENTS};
use crate::{Way, skips::skip, until};

/// Between two changes of the fleet.
const BEAT: Duration = Duration::from_millis(15);
/// After each act, so that the next one finds something under way.
const BREATH: Duration = Duration::from_millis(250);
/// How long to wait for something in the journal before striking anyway.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long an integration may take to be accepted by a faulty hub.
const SOON: Duration = Duration::from_secs(60);
/// How long Mender takes to deliver while a worker is killed before that, in milliseconds.
const SLOW_DELIVERY: u64 = 400;

/// What has a leader of its own in a cluster: streams, and consumers of theirs.
const LED: [(&str, Option<&str>); 7] = [
    ("WORKFLOWS", None),
    ("WORKFLOWS", Some("iothub-ingest")),
    (EVENTS, None),
    (EVENTS, Some("iothub-worker")),
    ("KV_iothub_devices", None),
    ("IOTHUB_OUTCOMES", None),
    ("IOTHUB_DLQ", None),
];

/// What has been done so far.
#[derive(Debug, Default)]
pub struct Performance {
    /// SIGKILLs of a worker.
    pub worker_kills: u64,
    /// SIGKILLs of a nats-server.
    pub nats_kills: u64,
    /// Streams and consumers that got another leader.
    pub leaders_changed: u64,
    /// Times that a worker was frozen.
    pub freezes: u64,
    /// Acts of any kind.
    pub faults: u64,
    /// The most memory that any life of any worker held, in bytes.
    pub peak: Option<u64>,
    /// Replacements of the hub's key.
    pub(super) rotations: u64,
    /// What was told by HTTP.
    pub(super) calls: Calls,
}

impl Performance {
    /// Does everything, in order, while the fleet goes on living.
    pub async fn act_all(
        &mut self,
        stage: &mut Stage,
        crowd: &mut Crowd,
        plan: &Plan,
    ) -> Result<()> {
        crowd.accept_strangers().await?;
        let over = watch::Sender::new(false);
        let acts = async {
            let done = self.acts(stage, &plan.acts).await;
            over.send_replace(true);
            done
        };
        let living = async {
            // Never cut off in the middle: what was said must have been said wholly.
            while !*over.borrow() {
                crowd.stir().await?;
                sleep(BEAT).await;
            }
            Ok(())
        };
        let (acted, lived) = tokio::join!(acts, living);
        acted.and(lived)
    }

    async fn acts(&mut self, stage: &mut Stage, acts: &[Act]) -> Result<()> {
        for act in acts {
            let done = Box::pin(self.act(stage, *act)).await;
            done.with_context(|| format!("{act:?}"))?;
            self.faults += 1;
            sleep(BREATH).await;
        }
        Ok(())
    }

    /// Does one thing and heals it.
    pub async fn act(&mut self, stage: &mut Stage, act: Act) -> Result<()> {
        match act {
            Act::Kill { worker } => self.kill(stage, &[worker]).await,
            Act::KillAfterWrite { worker } => {
                next_write(stage, &["create", "update", "delete"]).await?;
                self.kill(stage, &[worker]).await
            }
            Act::KillBeforeDelivery { worker } => self.kill_before_delivery(stage, worker).await,
            Act::KillAfter202 { worker } => {
                self.calls.tell(stage, worker).await?;
                self.kill(stage, &[worker]).await
            }
            Act::KillAll => {
                let all: Vec<usize> = (0..stage.workers.len()).collect();
                self.kill(stage, &all).await
            }
            Act::Freeze { worker, ms } => {
                self.freezes += 1;
                stage.workers[worker].process().freeze()?;
                rest(ms).await;
                stage.workers[worker].process().thaw()
            }
            Act::KillNats { down_ms } => self.kill_nats(stage, down_ms).await,
            Act::StepDown => self.step_down(stage).await,
            Act::LoseAcks { worker, ms } => detour(stage.bus.proxy(worker)?, Way::Deaf, ms).await,
            Act::LoseConfirmations { worker, ms } => {
                detour(stage.bus.proxy(worker)?, Way::Mute, ms).await
            }
            Act::CutNats { worker } => {
                stage.bus.proxy(worker)?.cut();
                Ok(())
            }
            Act::CutHub => {
                stage.hub_proxy.cut();
                Ok(())
            }
            Act::MuteHub { ms } => detour(&stage.hub_proxy, Way::Mute, ms).await,
            Act::HubDown { ms } => detour(&stage.hub_proxy, Way::Closed, ms).await,
            Act::HubFaults { trouble } => stage.hub.faults(&trouble.program()).await,
            Act::DeviceconfigDown { ms } => {
                deviceconfig(stage, &json!({"down": true})).await?;
                rest(ms).await;
                deviceconfig(stage, &Value::Null).await
            }
            Act::RotateKey { ms } => self.rotate_key(stage, ms).await,
            Act::StepClock { worker, seconds } => step_clock(stage, worker, seconds),
            Act::Calm { ms } => {
                rest(ms).await;
                Ok(())
            }
        }
    }

    /// Remembers how much memory the workers have held so far.
    pub fn note_memory(&mut self, stage: &Stage) {
        for worker in &stage.workers {
            self.peak = self.peak.max(worker.rss_bytes());
        }
    }

    async fn kill(&mut self, stage: &mut Stage, workers: &[usize]) -> Result<()> {
        self.note_memory(stage);
        for worker in workers {
            stage.workers[*worker].kill9()?;
            self.worker_kills += 1;
        }
        for worker in workers {
            stage.workers[*worker].start_again().await?;
        }
        Ok(())
    }

    async fn kill_before_delivery(&mut self, stage: &mut Stage, worker: usize) -> Result<()> {
        let slow = json!({"delay_ms": SLOW_DELIVERY, "effect": "before"});
        deviceconfig(stage, &slow).await?;
        next_write(stage, &["create"]).await?;
        self.note_memory(stage);
        stage.workers[worker].kill9()?;
        self.worker_kills += 1;
        deviceconfig(stage, &Value::Null).await?;
        stage.workers[worker].start_again().await
    }

    async fn kill_nats(&mut self, stage: &mut Stage, down_ms: u64) -> Result<()> {
        self.nats_kills += 1;
        match &mut stage.bus {
            Bus::Single(server, _) => {
                server.process().kill9()?;
                rest(down_ms).await;
                server.restart().await
            }
            Bus::Cluster(cluster) => {
                let leader = cluster.leader(EVENTS).await?;
                cluster.kill9(leader)?;
                rest(down_ms).await;
                cluster.restart(leader).await
            }
        }
    }

    async fn step_down(&mut self, stage: &Stage) -> Result<()> {
        let Bus::Cluster(cluster) = &stage.bus else {
            bail!("one server has nobody to step down for");
        };
        for (stream, consumer) in LED {
            self.leaders_changed += u64::from(cluster.step_down(stream, consumer).await?);
        }
        cluster.step_down_meta().await
    }

    async fn rotate_key(&mut self, stage: &mut Stage, ms: u64) -> Result<()> {
        self.rotations += 1;
        stage.rotate_key(self.rotations).await?;
        rest(ms).await;
        // The hub may refuse the test of the new key for reasons of its own.
        let accepted = async || stage.integrate().await.map(Some);
        until(SOON, "the new key to be accepted", accepted).await
    }
}

impl Stage {
    /// Replaces the hub's key; the integration keeps the old one until [`Stage::integrate`]. `number`
    /// makes the key another one each time.
    pub async fn rotate_key(&mut self, number: u64) -> Result<()> {
        let key = format!("{:032x}", u128::from(number) << 64 | 0xFACE_0FF5);
        let policy = json!({
            "key": key,
            "permissions": ["RegistryRead", "RegistryWrite", "ServiceConnect"],
        });
        let path = "/policies/iothubowner";
        self.hub.control().put::<Value>(path, &policy).await?;
        let Some((front, _)) = self
            .connection_strings
            .last()
            .and_then(|it| it.rsplit_once("SharedAccessKey="))
        else {
            bail!("the connection string holds no key");
        };
        let next = format!("{front}SharedAccessKey={key}");
        self.connection_strings.push(next);
        Ok(())
    }
}

fn step_clock(stage: &Stage, worker: usize, seconds: i64) -> Result<()> {
    let Some(clock) = stage.clocks.get(worker) else {
        skip(
            "a step of the clock",
            "no library can be loaded before others here",
        );
        return Ok(());
    };
    clock.set(seconds)
}

async fn detour(proxy: &crate::Proxy, way: Way, ms: u64) -> Result<()> {
    proxy.set(way);
    rest(ms).await;
    proxy.set(Way::Open);
    Ok(())
}

/// Lets Mender's deviceconfig fail in this way; `null` mends it.
pub(super) async fn deviceconfig(stage: &Stage, fault: &Value) -> Result<()> {
    let program = match fault {
        Value::Null => json!({}),
        fault => json!({ "deviceconfig": fault }),
    };
    let control = stage.mender.control();
    control
        .put::<Value>("/simulator/faults", &program)
        .await
        .map(drop)
}

/// Waits for the next write of one of these kinds that takes effect, but not for ever.
async fn next_write(stage: &Stage, operations: &[&str]) -> Result<()> {
    let last = stage.hub.journal().await?.last().map_or(0, |it| it.seq);
    let seen = until(PATIENCE, "a write", async || {
        let journal = stage.hub.journal_since(last).await?;
        let mut writes = journal
            .iter()
            .filter(|it| it.effective && operations.contains(&it.operation.as_str()));
        Ok(writes.next().map(drop))
    });
    // A quiet moment is as good as any other to be killed in.
    drop(seen.await);
    Ok(())
}

async fn rest(ms: u64) {
    sleep(Duration::from_millis(ms)).await;
}
