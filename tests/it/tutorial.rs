//! The tutorial, followed to the letter: its commands are read from the page and run by bash, and
//! what the page says is printed must be printed.
//!
//! Two things differ from a reader's machine: what is built or fetched there is here already, and
//! ports are free ones, which the page takes from the environment.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use black_box::tools::{self, AzureSdk, InstalledSdk};
use black_box::{Process, TestDir, binaries::Binary, workspace};

use crate::devices::room;

const PAGE: &str = "deploy/tutorial.md";
/// All of it, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(300);
/// What a reader builds or installs, and a test has.
const PREPARED: [&str; 3] = ["cargo build", "cargo xtask", "-m venv"];

/// One block of commands, and what it prints, where the page says it.
#[derive(Debug, Default, PartialEq)]
struct Step {
    commands: String,
    prints: Option<String>,
}

/// The blocks of a page in order: `sh` is to be run, `text` is what the block before prints.
fn steps(page: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::<Step>::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: String = lines
            .by_ref()
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        match kind {
            "sh" => steps.push(Step {
                commands: block,
                prints: None,
            }),
            "text" => {
                let last = steps.last_mut().context("output before any command")?;
                ensure!(last.prints.is_none(), "two outputs of one block:\n{block}");
                last.prints = Some(block);
            }
            other => anyhow::bail!("a block of the kind {other:?} is neither run nor compared"),
        }
    }
    Ok(steps)
}

/// Whether a text is as the page says: `...` is anything, also several lines where it stands alone.
fn is_as_said(said: &str, printed: &str) -> bool {
    let pieces: Vec<&str> = said.trim().split("...").collect();
    let (first, rest) = pieces.split_first().expect("a split is never empty");
    let Some(mut left) = printed.trim().strip_prefix(first) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return left.is_empty();
    };
    for piece in middle {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// Everything as one script, so that variables, jobs and functions live on as in a reader's bash.
fn script(steps: &[Step]) -> String {
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n".to_owned();
    for (number, step) in steps.iter().enumerate() {
        let prepared = |line: &str| PREPARED.iter().any(|it| line.contains(it));
        if step.commands.lines().any(prepared) {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(script, "echo '@@ {number}'\n{}", step.commands);
    }
    script.push_str("echo '@@ end'\n");
    script
}

/// What the step of this number printed.
fn printed(output: &str, number: usize) -> Option<&str> {
    let (_, after) = output.split_once(&format!("@@ {number}\n"))?;
    after.split_once("@@ ").map(|(printed, _)| printed)
}

fn free_port(at: Ipv4Addr) -> Result<String> {
    Ok(TcpListener::bind((at, 0))?.local_addr()?.port().to_string())
}

/// An interpreter with the SDK, where the page makes one.
fn python(sdk: &InstalledSdk, dir: &Path) -> Result<()> {
    let folder = dir.join("tutorial/sdk/bin");
    fs::create_dir_all(&folder)?;
    let (python, packages) = (&sdk.interpreter, &sdk.packages);
    let (variable, path) = (sdk.path_variable, folder.join("python"));
    let text = format!(
        "#!/bin/sh\n{variable}='{}' exec '{}' \"$@\"\n",
        packages.display(),
        python.display()
    );
    fs::write(&path, text)?;
    Ok(fs::set_permissions(
        &path,
        fs::Permissions::from_mode(0o755),
    )?)
}

/// The folders of our programs, before those of the machine.
async fn path_variable() -> Result<String> {
    let mut folders = Vec::new();
    for binary in [
        Binary::MenderIothub,
        Binary::IothubEmulator,
        Binary::MenderSimulator,
    ] {
        folders.push(binary.path().await?);
    }
    let parents = folders.iter().filter_map(|path| path.parent());
    let mut path: Vec<_> = parents.map(|it| it.display().to_string()).collect();
    path.push(std::env::var("PATH")?);
    Ok(path.join(":"))
}

#[tokio::test]
async fn the_tutorial_does_what_it_says() -> Result<()> {
    let test = "tutorial::the_tutorial_does_what_it_says";
    let Some((sdk, at)) = room(AzureSdk::Python, test).await? else {
        return Ok(());
    };
    let page = fs::read_to_string(workspace::root().join(PAGE))?;
    let steps = steps(&page)?;
    ensure!(steps.len() > 10, "{PAGE} has only {} blocks", steps.len());
    let dir = TestDir::new("tutorial")?;
    python(sdk.installed(), dir.path())?;
    let mut bash = Command::new("bash");
    bash.args(["-c", &script(&steps)]).current_dir(dir.path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MENDER_IOTHUB_") {
            bash.env_remove(name);
        }
    }
    let nats = tokio::task::spawn_blocking(tools::nats_server).await??;
    bash.env("PATH", path_variable().await?)
        .env("NATS_SERVER", nats.path)
        .env("HUB", at.to_string())
        .env("HUB_PORT", free_port(at)?)
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for name in ["CONTROL_PORT", "NATS_PORT", "MENDER_PORT", "HTTP_PORT"] {
        bash.env(name, free_port(Ipv4Addr::LOCALHOST)?);
    }
    let mut bash = Process::start("tutorial", bash, dir.path())?;
    let status = bash.exit(LIMIT).await?;
    let output = fs::read_to_string(dir.path().join("tutorial.out"))?;
    ensure!(
        status.success() && output.ends_with("@@ end\n"),
        "the tutorial ended with {status} after:\n{output}"
    );
    for (number, step) in steps.iter().enumerate() {
        if let Some(said) = &step.prints {
            let printed = printed(&output, number).context("a step left out")?;
            ensure!(
                is_as_said(said, printed),
                "{}printed\n{printed}\ninstead of\n{said}",
                step.commands
            );
        }
    }
    dir.passed();
    Ok(())
}

#[test]
fn a_page_is_read_as_commands_and_what_they_print() -> Result<()> {
    let page = "# Title\n\n```sh\na\nb\n```\n\nprints\n\n```text\nc\n```\n";
    let expected = Step {
        commands: "a\nb\n".to_owned(),
        prints: Some("c\n".to_owned()),
    };
    assert_eq!(steps(page)?, [expected]);
    assert!(steps("```text\nc\n```\n").is_err());
    assert!(steps("```json\n{}\n```\n").is_err());
    Ok(())
}

#[test]
fn dots_stand_for_anything_and_the_rest_for_itself() {
    assert!(is_as_said("1: applied\n", "1: applied\n"));
    assert!(is_as_said("a...c\n...\ne", "a b c\nd\ne\n"));
    assert!(!is_as_said("1: applied", "1: dead again"));
    assert!(!is_as_said("a...c", "a b d"));
    assert!(!is_as_said("a...b...c", "a c"));
}
