//! How streams and the account are set up, for whoever looks for what is wrong.

use async_nats::jetstream::Context;
use serde::Deserialize;

use crate::{Names, Result, assets, status::ask};

/// One stream as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The stream.
    pub name: String,
    /// Whether it is Mender's, or whoever's the events come from, and not ours.
    pub source: bool,
    /// Whether it survives a restart of the server.
    pub on_disk: bool,
    /// Copies that it is to have.
    pub replicas: usize,
    /// Servers with a copy that are away or behind, by name.
    pub behind: Vec<String>,
    /// A cluster has no leader for it, so it can be neither read nor written.
    pub leaderless: bool,
    /// The server's time, in microseconds since the epoch.
    pub server_time_us: Option<i64>,
}

/// What the account may use of JetStream, and uses. `-1` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Bytes on disk.
    pub storage: u64,
    /// Its streams.
    pub streams: u64,
    /// Limits.
    pub limits: AccountLimits,
}

/// Limits of an account. `-1` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// Bytes on disk.
    pub max_storage: i64,
    /// Streams.
    pub max_streams: i64,
    /// Messages of a consumer that may be in work.
    pub max_ack_pending: i64,
    /// Each stream must have a limit of bytes.
    pub max_bytes_required: bool,
}

#[derive(Deserialize)]
struct Info {
    config: Config,
    cluster: Option<Cluster>,
    ts: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    storage: String,
    #[serde(default)]
    num_replicas: usize,
}

#[derive(Deserialize)]
struct Cluster {
    name: Option<String>,
    leader: Option<String>,
    #[serde(default)]
    replicas: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    current: bool,
    #[serde(default)]
    offline: bool,
}

/// Looks at all streams that there are: Mender's, then ours.
pub async fn inspect(context: &Context, names: &Names) -> Result<Vec<Inspected>> {
    let ours = assets::assets(names).into_iter().map(|asset| asset.stream);
    let source = names.source_stream().to_owned();
    let mut found = Vec::new();
    for (name, source) in std::iter::once((source, true)).chain(ours.map(|name| (name, false))) {
        let info: Option<Info> = ask(context, format!("STREAM.INFO.{name}")).await?;
        found.extend(info.map(|info| read(name, source, info)));
    }
    Ok(found)
}

/// Looks at the account.
pub async fn account(context: &Context) -> Result<Account> {
    let account = ask(context, "INFO".to_owned()).await?;
    Ok(account.unwrap_or_default())
}

fn read(name: String, source: bool, info: Info) -> Inspected {
    let time = |text: String| text.parse::<jiff::Timestamp>().ok();
    // A server alone describes itself as a cluster without a name.
    let cluster = info.cluster.filter(|cluster| cluster.name.is_some());
    let leaderless = cluster.as_ref().is_some_and(|it| it.leader.is_none());
    let peers = cluster.into_iter().flat_map(|cluster| cluster.replicas);
    Inspected {
        name,
        source,
        on_disk: info.config.storage == "file",
        replicas: info.config.num_replicas,
        behind: peers
            .filter(|peer| peer.offline || !peer.current)
            .map(|peer| peer.name)
            .collect(),
        leaderless,
        server_time_us: info.ts.and_then(time).map(jiff::Timestamp::as_microsecond),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cluster_tells_who_is_behind() {
        let info = json!({
            "config": {"storage": "memory", "num_replicas": 3},
            "cluster": {"name": "c", "leader": "n1", "replicas": [
                {"name": "n2", "current": true}, {"name": "n3", "current": false},
                {"name": "n4", "current": true, "offline": true},
            ]},
            "ts": "2026-08-20T10:11:12.345678912Z",
        });
        let read = read("S".to_owned(), false, serde_json::from_value(info).unwrap());
        assert_eq!(
            (read.on_disk, read.replicas, read.leaderless),
            (false, 3, false)
        );
        assert_eq!(read.behind, ["n3", "n4"]);
        assert_eq!(read.server_time_us, Some(1_787_220_672_345_678));
    }

    #[test]
    fn a_server_alone_is_no_cluster_without_a_leader() {
        let info = json!({"config": {"storage": "file", "num_replicas": 1}, "cluster": {}});
        let read = read("S".to_owned(), true, serde_json::from_value(info).unwrap());
        assert!(read.on_disk && !read.leaderless && read.source);
    }
}
