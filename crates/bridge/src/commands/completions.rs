//! `completions` and `man`: made from the same definitions as the command line itself.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{self, Cli};

const NAME: &str = "mender-iothub";
/// clap_complete (4.6.11) writes the `-` of the program's name in two ways, and then bash finds no
/// subcommand: where it takes it for a blank, and where it does not.
const APART: &str = "mender__subcmd__iothub__subcmd__";
const JOINED: &str = "mender__iothub__subcmd__";

/// Prints the script of a shell.
pub(crate) fn script(args: &cli::Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    if args.shell == Shell::Bash {
        script = String::from_utf8(script)?.replace(APART, JOINED).into();
    }
    written(&script)
}

/// Prints the page of the whole program, or writes those of all commands.
pub(crate) fn man(args: &cli::Man) -> anyhow::Result<()> {
    let mut command = Cli::command();
    let Some(dir) = &args.dir else {
        return written(&page(command, NAME)?);
    };
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Without this a subcommand would not know its whole name, nor the options of all commands.
    command.build();
    pages(&command, NAME, dir)
}

/// A reader that closes the pipe, such as `head`, has seen enough.
fn written(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn pages(command: &Command, name: &str, dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(format!("{name}.1"));
    let text = page(command.clone(), name)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let of_ours = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    for sub in command.get_subcommands().filter(of_ours) {
        pages(sub, &format!("{name}-{}", sub.get_name()), dir)?;
    }
    Ok(())
}

fn page(command: Command, name: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).title(name).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_command_has_a_page_that_names_its_options() {
        let dir = tempfile::tempdir().unwrap();
        let args = cli::Man {
            dir: Some(dir.path().join("man1")),
        };
        man(&args).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join("man1").join(name)).unwrap();
        assert!(read("mender-iothub.1").contains("sweep"));
        let list = read("mender-iothub-device-list.1").replace("\\-", "-");
        assert!(list.contains("--unchanged-for"), "{list}");
        assert!(list.contains("--output"), "options of all commands: {list}");
    }
}
