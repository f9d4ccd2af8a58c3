//! What the program says about itself: completions and manual pages.

use std::fs;

use anyhow::{Result, ensure};
use black_box::{Installation, TestDir};

/// Completes a line as bash does: sources the script, fills in what bash would, and prints what the
/// registered function offers.
const COMPLETE: &str = r#"
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
function=$(complete -p mender-iothub | sed 's/.* -F \([^ ]*\) .*/\1/')
"$function" mender-iothub "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[tokio::test]
async fn bash_completes_commands_options_and_values() -> Result<()> {
    let dir = TestDir::new("completions")?;
    // A configuration that cannot be used: what is said here must not depend on it.
    let installation = Installation::new(dir.path(), "not toml").await?;
    let script = installation.cli(&["completions", "bash"]).await?;
    ensure!(script.code == Some(0), "{}", script.stderr);
    let path = dir.path().join("mender-iothub.bash");
    fs::write(&path, &script.stdout)?;
    for (line, expected) in [
        (&["mender-iothub", "doc"][..], "doctor"),
        (&["mender-iothub", "device", "hi"], "history"),
        (
            &["mender-iothub", "device", "list", "--unch"],
            "--unchanged-for",
        ),
        (
            &["mender-iothub", "device", "list", "--state", "par"],
            "parked",
        ),
    ] {
        let mut command = tokio::process::Command::new("bash");
        command
            .args(["--norc", "-c", COMPLETE, "bash"])
            .arg(&path)
            .args(line);
        let done = command.output().await?;
        let offered = String::from_utf8_lossy(&done.stdout);
        let why = String::from_utf8_lossy(&done.stderr);
        let offers = offered.lines().any(|word| word == expected);
        assert!(offers, "{line:?}: {offered}{why}");
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = installation.cli(&["completions", shell]).await?;
        assert!(
            script.stdout.contains("doctor"),
            "{shell}: {}",
            script.stderr
        );
    }
    dir.passed();
    Ok(())
}

#[tokio::test]
async fn each_command_has_a_manual_page() -> Result<()> {
    let dir = TestDir::new("man")?;
    let installation = Installation::new(dir.path(), "not toml").await?;
    let pages = dir.path().join("man1");
    let done = installation
        .cli(&["man", "--dir", &pages.display().to_string()])
        .await?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    let page = |name: &str| fs::read_to_string(pages.join(name));
    assert!(page("mender-iothub.1")?.starts_with(".ie"), "not a page");
    assert!(page("mender-iothub-dlq-replay.1")?.contains("replay"));
    let whole = installation.cli(&["man"]).await?;
    assert!(whole.stdout.contains(".SH SUBCOMMANDS"), "{}", whole.stderr);
    dir.passed();
    Ok(())
}
