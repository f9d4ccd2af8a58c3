//! `twin edit`: the desired properties in an editor, and a guarded `set` of what comes out.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use messages::twin::{SetRequest, TwinDocument};
use serde_json::Value;
use uuid::Uuid;

use super::ask::{Refused, Service};
use super::{show, shown};
use crate::cli::{OneTwin, Output};
use crate::print::Paint;

pub(super) async fn run(service: &Service, of: &OneTwin, output: Output) -> anyhow::Result<()> {
    let before = service.twin("get", of, Vec::new()).await?;
    let file = write(&before.desired)?;
    let kept = || format!("the edit is kept in {}", file.display());
    let edited = edit(&file).and_then(|()| read(&file)).with_context(kept)?;
    if edited == before.desired {
        fs::remove_file(&file)?;
        eprintln!("nothing was changed");
        return shown(output, &before);
    }
    let request = SetRequest {
        desired: edited,
        etag: Some(before.etag.clone()),
    };
    match service.twin("set", of, request.to_body()).await {
        Ok(after) => {
            fs::remove_file(&file)?;
            shown(output, &after)
        }
        Err(error) => {
            if error
                .downcast_ref::<Refused>()
                .is_some_and(|it| it.code == 409)
            {
                tell(&before, &service.twin("get", of, Vec::new()).await?);
            }
            Err(error).with_context(kept)
        }
    }
}

/// What somebody else has done meanwhile.
fn tell(before: &TwinDocument, now: &TwinDocument) {
    eprintln!("somebody else has changed the twin meanwhile:");
    let sections = show::sections(before).into_iter().zip(show::sections(now));
    for ((name, before), (_, now)) in sections {
        for line in show::changes(name, before, now, Paint::PLAIN) {
            eprintln!("  {line}");
        }
    }
}

/// A new file that nobody else can read.
fn write(desired: &Value) -> anyhow::Result<PathBuf> {
    let name = format!("mender-iothub-{}.json", Uuid::new_v4().simple());
    let path = std::env::temp_dir().join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let text = serde_json::to_string_pretty(desired)?;
    let written = options
        .open(&path)
        .and_then(|mut file| writeln!(file, "{text}"));
    written.with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Runs the editor to its end. The variables may hold arguments, so a shell reads them.
fn edit(file: &Path) -> anyhow::Result<()> {
    let set = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|text| !text.trim().is_empty())
    };
    let editor = set("VISUAL").or_else(|| set("EDITOR"));
    let Some(editor) = editor else {
        bail!("no editor: set $EDITOR, for example EDITOR=vi");
    };
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{editor} \"$1\""), "editor"])
        .arg(file);
    let status = shell.status().context("the editor could not be started")?;
    ensure!(status.success(), "the editor ended with {status}");
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(file)?;
    serde_json::from_str(&text).context("the desired properties are not JSON")
}
