//! The play: what happens to the fleet, act by act, and the wait until all of it has ended.
//!
//! Acts overlap on purpose. The worker is killed in the first one, and the second is published while
//! the first is still being worked off, so that newer events meet unfinished work.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use black_box::{
    evidence::{self, Status},
    ledger::Ledger,
};

use super::{
    fleet::{Change, Fleet, Life},
    hub::{self, Journal},
    judge::{Foreign, Scene},
    mender,
    progress::{Counts, Progress},
    stage::{IN_FLIGHT, Ingress, Stage},
};

/// Identities made by hand under ids that Mender accepts too, and under ids that it does not know.
const OCCUPIED: usize = 10;
const UNKNOWN: usize = 10;
/// The worker is killed when this share of the identities has been made, in percent, ...
const KILL_AT: u64 = 40;
/// ... and the second act begins at this one.
const SECOND_ACT_AT: u64 = 75;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A worker that ends no event and sends no request for so long will not do so later either: no
/// lease and no wait between attempts is longer.
const STALLED: Duration = Duration::from_secs(40);

/// A play under way.
pub(super) struct Play<'a> {
    pub(super) stage: Stage,
    pub(super) ledger: Ledger,
    pub(super) journal: Journal,
    pub(super) kills: u64,
    progress: &'a Progress,
    seed: u64,
    fleet: Fleet,
    occupied: Vec<String>,
    foreign: Vec<Foreign>,
    malformed: Vec<String>,
    published: u64,
    peak: Option<u64>,
}

impl<'a> Play<'a> {
    /// Casts the fleet and the strangers; nothing is published yet.
    pub(super) async fn cast(
        stage: Stage,
        devices: usize,
        seed: u64,
        progress: &'a Progress,
    ) -> Result<Self> {
        let lives = (0..devices).map(Life::of);
        let told: Vec<Status> = lives.filter_map(Life::born).collect();
        let born = mender::announce(&stage.simulator, &told).await?;
        let mut quiet = mender::make(&stage.simulator, devices - born.len() + OCCUPIED).await?;
        let occupied = quiet.split_off(devices - born.len());
        let unknown = (1..=UNKNOWN).map(|number| format!("made-by-hand-{number:02}"));
        let mut foreign = Vec::new();
        for id in occupied.iter().cloned().chain(unknown) {
            let before = hub::make_by_hand(&stage.emulator, &id).await?;
            foreign.push(Foreign {
                id,
                before,
                after: None,
            });
        }
        hub::let_requests_fail(&stage.emulator).await?;
        // Whoever calls by HTTP is told at once that a message cannot be read: no letter comes of it.
        let malformed = match stage.ingress {
            Ingress::Stream => malformed(&occupied[0]),
            Ingress::Http => Vec::new(),
        };
        Ok(Self {
            ledger: Ledger::open(stage.nats.jetstream().await?).await?,
            stage,
            journal: Journal::default(),
            kills: 0,
            progress,
            seed,
            malformed,
            fleet: Fleet::of(devices, born, quiet),
            occupied,
            foreign,
            published: 0,
            peak: None,
        })
    }

    /// Plays it. `Some` tells what is still missing when nothing moved any more.
    pub(super) async fn perform(&mut self) -> Result<Option<String>> {
        self.first_act().await?;
        let half_way = format!("until {KILL_AT} % of the identities are made");
        self.until_created(KILL_AT, &half_way).await?;
        self.kill().await?;
        let later = format!("until {SECOND_ACT_AT} % of the identities are made");
        self.until_created(SECOND_ACT_AT, &later).await?;
        self.second_act().await?;
        self.rest().await
    }

    /// Everybody's first status, strangers' ids included.
    async fn first_act(&mut self) -> Result<()> {
        let simulator = &self.stage.simulator;
        if let Some(body) = self.malformed.first() {
            mender::publish_raw(simulator, body).await?;
        }
        let accepted = |id: &String| Change {
            id: id.clone(),
            status: Status::Accepted,
        };
        let strangers: Vec<Change> = self.occupied.iter().map(accepted).collect();
        mender::change(simulator, &strangers).await?;
        for squad in self.fleet.squads() {
            mender::change(simulator, &squad.changes(0)).await?;
            mender::release(simulator, self.seed).await?;
        }
        self.published("first act: every device gets its first status")
            .await
    }

    /// Whatever follows, all at once and out of order: rejections, second acceptances, dismissals,
    /// decommissions.
    async fn second_act(&mut self) -> Result<()> {
        let simulator = &self.stage.simulator;
        for body in self.malformed.iter().skip(1) {
            mender::publish_raw(simulator, body).await?;
        }
        for squad in self.fleet.squads() {
            for round in 1..3 {
                mender::change(simulator, &squad.changes(round)).await?;
            }
            mender::decommission(simulator, &squad.leavers()).await?;
            mender::release(simulator, self.seed.wrapping_add(1)).await?;
        }
        self.published("second act: rejected, accepted again, dismissed, decommissioned")
            .await
    }

    async fn published(&mut self, act: &str) -> Result<()> {
        let (_, published) = evidence::truth(&self.stage.simulator).await?;
        let events = published.events - self.published;
        self.published = published.events;
        self.progress.step(&format!("{act} ({events} events)"));
        Ok(())
    }

    async fn until_created(&mut self, percent: u64, what: &str) -> Result<()> {
        let enough = (self.fleet.creations() * percent).div_ceil(100);
        if self
            .wait(what, |play| play.journal.created() >= enough)
            .await?
        {
            return Ok(());
        }
        bail!(
            "the worker has stopped working: {} of {enough} identities made, {}",
            self.journal.created(),
            self.missing().await
        )
    }

    async fn kill(&mut self) -> Result<()> {
        self.note_memory();
        self.stage.worker.kill9()?;
        self.kills += 1;
        let created = self.journal.created();
        self.progress.step(&format!(
            "worker killed (SIGKILL) after {created} identities"
        ));
        self.stage.worker.start_again().await?;
        self.progress.step("worker started again, ready for work");
        Ok(())
    }

    async fn rest(&mut self) -> Result<Option<String>> {
        let what = "until every event has ended";
        let all_ended = self
            .wait(what, |play| play.ledger.ended() >= play.published)
            .await?;
        let begin = Instant::now();
        while all_ended && begin.elapsed() < STALLED {
            let waiting = self.ledger.waiting().await?;
            if waiting.iter().all(|(_, count)| *count == 0) {
                self.note_memory();
                self.progress.step("every event has ended");
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.note_memory();
        Ok(Some(self.missing().await))
    }

    /// Looks again and again until `done`; `false` when nothing has moved for [`STALLED`].
    async fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<bool> {
        let mut moved = (Instant::now(), (0, 0));
        loop {
            self.stage.worker.process().must_run()?;
            self.journal.catch_up(&self.stage.emulator).await?;
            self.ledger.catch_up().await?;
            self.progress.waiting(what, self.counts());
            if done(self) {
                return Ok(true);
            }
            let place = (self.ledger.ended(), self.journal.last());
            if place != moved.1 {
                moved = (Instant::now(), place);
            } else if moved.0.elapsed() > STALLED {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            published: self.published,
            ended: self.ledger.ended(),
            created: self.journal.created(),
            to_create: self.fleet.creations(),
        }
    }

    async fn missing(&self) -> String {
        let open = self.published.saturating_sub(self.ledger.ended());
        let waiting = match self.ledger.waiting().await {
            Ok(all) => all
                .iter()
                .map(|(name, count)| format!("{count} messages wait at {name}"))
                .collect(),
            Err(error) => vec![format!("and NATS does not answer: {error:#}")],
        };
        let published = self.published;
        format!(
            "{open} of {published} events have not ended, {}",
            waiting.join(", ")
        )
    }

    fn note_memory(&mut self) {
        self.peak = self.peak.max(self.stage.worker.rss_bytes());
    }

    /// The most memory that any life of the worker held, in bytes.
    pub(super) const fn peak_memory(&self) -> Option<u64> {
        self.peak
    }

    /// The final scene, to be judged, and the number of messages that made it.
    pub(super) async fn scene(&mut self) -> Result<(Scene, u64)> {
        self.journal.catch_up(&self.stage.emulator).await?;
        self.ledger.catch_up().await?;
        for foreign in &mut self.foreign {
            foreign.after = evidence::bytes_of(&self.stage.emulator, &foreign.id).await?;
        }
        let (mender, published) = evidence::truth(&self.stage.simulator).await?;
        let scene = Scene {
            fleet: std::mem::take(&mut self.fleet),
            mender,
            hub: evidence::identities(&self.stage.emulator).await?,
            foreign: std::mem::take(&mut self.foreign),
            malformed: self.malformed.iter().map(|it| it.clone().into()).collect(),
            dead_letters: self.ledger.dead_letters().await.context("dead letters")?,
            outcomes: self.ledger.tally(),
            events_published: published.events,
            interrupted: self.kills * IN_FLIGHT,
        };
        Ok((scene, published.messages))
    }
}

/// Messages that nobody can understand: broken off, a status that Mender does not have, and a device
/// id that the hub would refuse.
fn malformed(id: &str) -> Vec<String> {
    let status = |id: &str, status: &str| {
        format!(
            r#"{{"devices":[{{"id":"{id}","revision":7}}],"event":"device-status-changed","request_id":"","status":"{status}","tenant_id":""}}"#
        )
    };
    let whole = status(id, "rejected");
    vec![
        whole[..whole.len() / 2].to_owned(),
        status(id, "quarantined"),
        status("hall 3; rack 7", "accepted"),
    ]
}
