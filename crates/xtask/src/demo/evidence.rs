//! What is put into the kept folder, so that a run that went wrong can be understood after its
//! processes have gone. Nothing in it is secret: the hub shows fingerprints, not keys.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use black_box::ledger::Ledger;

use super::{judge::Disagreement, mender, stage::Stage};

/// Devices whose records are saved.
const RECORDS: usize = 20;

/// Files, and what is in each.
pub(super) const FILES: [(&str, &str); 4] = [
    ("journal.ndjson", "every request that the hub got"),
    ("outcomes.ndjson", "how each event ended"),
    ("hub.ndjson", "every identity in the hub"),
    ("mender.ndjson", "every device in Mender"),
];

/// Saves all that can be had; what cannot is named in the error, after the rest was saved.
pub(super) async fn save(
    dir: &Path,
    stage: &Stage,
    ledger: &Ledger,
    disagreements: &[Disagreement],
) -> Result<()> {
    let journal = stage.emulator.control().text("/journal").await;
    let outcomes = ledger.log().await.map(|bodies| lines(&bodies));
    let hub = stage.emulator.devices().await;
    let mender = mender::devices(&stage.simulator).await;
    let texts = [
        journal,
        outcomes,
        hub.map(|it| lines(&it)),
        mender.map(|it| lines(&it)),
    ];
    let mut first = Ok(());
    for ((name, _), text) in FILES.iter().zip(texts) {
        let saved = text.and_then(|text| Ok(fs::write(dir.join(name), text)?));
        first = first.and(saved.with_context(|| format!("failed to save {name}")));
    }
    let records = dir.join("records");
    fs::create_dir_all(&records)?;
    for it in disagreements.iter().take(RECORDS) {
        let arguments = ["device", "show", "--output", "json", &it.device];
        let shown = stage.installation.cli(&arguments).await?;
        let text = format!("{}{}", shown.stdout, shown.stderr);
        fs::write(records.join(format!("{}.json", it.device)), text)?;
    }
    first
}

fn lines(values: &[impl ToString]) -> String {
    let line = |value| format!("{}\n", ToString::to_string(value));
    values.iter().map(line).collect()
}
