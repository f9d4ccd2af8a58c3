//! `twin get --watch`: the twin, and then what changes in it.

use std::time::Duration;

use messages::twin::TwinDocument;

use super::ask::{Refused, Service};
use super::show;
use crate::cli::{OneTwin, Output};
use crate::print::{self, Paint};

/// Looks again and again until Ctrl-C. With JSON, each state is one line.
pub(super) async fn run(
    service: &Service,
    of: &OneTwin,
    every: Duration,
    output: Output,
) -> anyhow::Result<()> {
    let mut known = service.twin("get", of, Vec::new()).await?;
    match output {
        Output::Text => println!("{}", show::twin(&known).trim_end()),
        Output::Json => println!("{}", serde_json::to_string(&known)?),
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        match service.twin("get", of, Vec::new()).await {
            Ok(now) if now == known => {}
            Ok(now) => {
                tell(&known, &now, output)?;
                known = now;
            }
            Err(error) if is_passing(&error) => eprintln!("mender-iothub: {error:#}"),
            Err(error) => return Err(error),
        }
    }
}

/// Whether it is worth while to go on.
fn is_passing(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_none_or(|refused| matches!(refused.code, 429 | 500..))
}

fn tell(before: &TwinDocument, after: &TwinDocument, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string(after)?);
        return Ok(());
    }
    let paint = Paint::of_stdout();
    let now = jiff::Timestamp::now().as_microsecond();
    let now = print::time(lifecycle::Timestamp::from_micros(now));
    println!("{}  version {}", paint.title(&now), after.version);
    let sections = show::sections(before)
        .into_iter()
        .zip(show::sections(after));
    for ((name, before), (_, after)) in sections {
        for line in show::changes(name, before, after, paint) {
            println!("  {line}");
        }
    }
    Ok(())
}
