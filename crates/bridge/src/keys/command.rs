//! Asks a command for the keys, such as the client of a key management service.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use iothub::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStdout, Command};
use zeroize::Zeroizing;

/// A service at the other end of the world needs seconds; nobody waits for minutes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest output, in bytes: all keys there may be, with comments.
const LONGEST: usize = 16 * 1024;

/// What the command prints. It is started without a shell, and its messages go to our standard error.
pub(super) async fn output(command: &[String]) -> anyhow::Result<Secret> {
    within(command, TIMEOUT)
        .await
        .with_context(|| format!("`secrets.key_command` {}", command[0]))
}

async fn within(command: &[String], limit: Duration) -> anyhow::Result<Secret> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot be started")?;
    let stdout = child.stdout.take().context("has no output")?;
    let ended = async {
        let text = read(stdout).await?;
        Ok::<_, anyhow::Error>((text, child.wait().await?))
    };
    let Ok(ended) = tokio::time::timeout(limit, ended).await else {
        bail!("gave no key within {} s", limit.as_secs_f32());
    };
    let (text, status) = ended?;
    if !status.success() {
        bail!("failed ({status})");
    }
    Ok(text)
}

async fn read(stdout: ChildStdout) -> anyhow::Result<Secret> {
    // Reserved at once, so that no key is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let mut stdout = stdout.take(LONGEST as u64 + 1);
    while stdout.read_buf(&mut *bytes).await? > 0 {}
    if bytes.len() > LONGEST {
        bail!("printed more than {LONGEST} bytes");
    }
    let text = std::str::from_utf8(&bytes).context("printed what is no text")?;
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &[&str], limit: Duration) -> Result<String, String> {
        let command: Vec<_> = command.iter().map(ToString::to_string).collect();
        let text = within(&command, limit).await;
        text.map(|text| text.expose().to_owned())
            .map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn the_output_is_taken_and_no_shell_is_asked() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            run(&["echo", "a", "$HOME;b"], minute).await.unwrap(),
            "a $HOME;b\n"
        );
    }

    #[tokio::test]
    async fn a_failure_an_endless_output_and_a_missing_program_are_told() {
        let minute = Duration::from_secs(60);
        for (command, told) in [
            (&["false"][..], "failed"),
            (&["yes"], "more than"),
            (&["no-such-program-here"], "cannot be started"),
        ] {
            let error = run(command, minute).await.unwrap_err();
            assert!(error.contains(told), "{command:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended() {
        let error = run(&["sleep", "1000"], Duration::from_millis(200)).await;
        assert!(error.unwrap_err().contains("no key within"));
    }
}
