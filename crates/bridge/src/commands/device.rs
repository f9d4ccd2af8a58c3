//! `device`: what is known of devices, in plain words.

mod history;
mod list;
mod show;
mod words;

use crate::cli::{Device, Output};
use crate::config::Config;

pub(crate) async fn run(config: &Config, what: Device, output: Output) -> anyhow::Result<()> {
    match what {
        Device::Show(one) => show::run(config, one, output).await,
        Device::List(args) => list::run(config, args, output).await,
        Device::History(args) => history::run(config, args, output).await,
        Device::Adopt(args) => Box::pin(super::adopt::run(config, args, output)).await,
        Device::Resync(args) => Box::pin(super::resync::run(config, args, output)).await,
        Device::Retry(args) => Box::pin(super::retry::run(config, args, output)).await,
    }
}
