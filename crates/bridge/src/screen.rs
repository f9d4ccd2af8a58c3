//! A terminal's alternate screen: drawn in place, and left as it was found.

use std::io::{self, Stdout, Write as _};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Rows, where a terminal does not tell its size.
const USUAL: u16 = 24;

/// The screen, until it is dropped: also by an error or a panic.
pub(crate) struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes the terminal of standard output.
    pub(crate) fn enter() -> io::Result<Self> {
        let mut screen = Self { out: io::stdout() };
        // A line that is too long is cut: it must not push others off the screen.
        execute!(screen.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// Draws a text, as much of it as there is room for. It must hold no control characters but
    /// line ends.
    pub(crate) fn draw(&mut self, text: &str) -> io::Result<()> {
        // Of this very terminal: the one that controls the process may be another.
        let size = rustix::termios::tcgetwinsize(&self.out);
        let rows = size.map_or(USUAL, |size| size.ws_row);
        queue!(self.out, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for (at, line) in fitting(text, usize::from(rows.max(2))).iter().enumerate() {
            if at > 0 {
                queue!(self.out, Print("\r\n"))?;
            }
            queue!(self.out, Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(
            self.out,
            Clear(ClearType::FromCursorDown),
            EndSynchronizedUpdate
        )?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has gone away needs no restoring.
        let _ = execute!(self.out, EnableLineWrap, Show, LeaveAlternateScreen);
    }
}

/// The first lines of a text; the last line says how many are left out.
fn fitting(text: &str, rows: usize) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    if lines.len() <= rows {
        return lines.into_iter().map(str::to_owned).collect();
    }
    let shown = lines[..rows - 1].iter().map(|line| (*line).to_owned());
    let left = lines.len() + 1 - rows;
    let more = format!("({left} lines more; a larger terminal shows them)");
    shown.chain([more]).collect()
}

/// Ends when the terminal has got another size.
pub(crate) async fn resized() {
    match signal(SignalKind::window_change()) {
        Ok(mut changed) => drop(changed.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Whatever tells a program to end: Ctrl-C, SIGTERM, the end of the terminal.
pub(crate) struct Stop([Signal; 3]);

impl Stop {
    /// From now on these signals do not end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Ends when it is told.
    pub(crate) async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fitting("a\nb", 2), ["a", "b"]);
        let cut = fitting("a\nb\nc\nd", 3);
        assert_eq!(
            cut,
            ["a", "b", "(2 lines more; a larger terminal shows them)"]
        );
    }
}
