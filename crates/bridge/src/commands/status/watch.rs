//! `status --watch`: the screen, kept current.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use super::look::{Looker, Shown};
use super::text;
use crate::cli::Output;
use crate::print;
use crate::screen::{self, Screen};

/// Looks again and again until Ctrl-C.
pub(super) async fn run(looker: &mut Looker, every_s: u64, output: Output) -> anyhow::Result<()> {
    // If not even this works, there is nothing to show.
    let mut shown = looker.look(true).await?;
    let mut stop = screen::Stop::listen()?;
    let mut place = Place::of(output)?;
    let mut trouble = None;
    loop {
        if !place.show(&shown, trouble.as_deref(), every_s)? {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(every_s)) => {}
            () = screen::resized(), if matches!(place, Place::Screen(_)) => continue,
            () = stop.told() => return Ok(()),
        }
        let next = tokio::select! {
            next = looker.look(false) => next,
            () = stop.told() => return Ok(()),
        };
        match next {
            Ok(now) => (shown, trouble) = (now, None),
            Err(error) => trouble = Some(format!("{error:#}")),
        }
    }
}

/// Where it is shown.
enum Place {
    Screen(Screen),
    /// One document after the other, for a file or a pipe.
    Text,
    /// One line of JSON after the other.
    Json,
}

impl Place {
    fn of(output: Output) -> io::Result<Self> {
        Ok(match output {
            Output::Json => Self::Json,
            Output::Text if io::stdout().is_terminal() => Self::Screen(Screen::enter()?),
            Output::Text => Self::Text,
        })
    }

    /// False if nobody reads any more.
    fn show(&mut self, shown: &Shown, trouble: Option<&str>, every_s: u64) -> anyhow::Result<bool> {
        match self {
            Self::Screen(screen) => {
                let head = match trouble {
                    None => format!("{}   every {every_s} s, Ctrl-C ends", shown.time),
                    Some(why) => format!("AS OF {}: {}", shown.time, print::harmless(why)),
                };
                screen.draw(&format!("{head}\n\n{}", text::in_words(shown)))?;
                Ok(true)
            }
            // Only what is new is worth another document.
            Self::Text | Self::Json if trouble.is_some() => {
                let why = print::harmless(trouble.unwrap_or_default());
                eprintln!("mender-iothub: {why}");
                Ok(true)
            }
            Self::Text => Ok(print::put(&format!(
                "{}\n\n{}\n",
                shown.time,
                text::in_words(shown)
            ))?),
            Self::Json => Ok(print::put(&print::json_line(shown))?),
        }
    }
}
