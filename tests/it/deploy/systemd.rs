//! The units of `deploy/systemd`, judged by systemd itself.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use black_box::{TestDir, skips::skip};

use super::deploy;

const UNITS: [&str; 2] = ["mender-iothub.service", "mender-iothub-setup.service"];
/// The highest exposure that is let pass, as `systemd-analyze security` counts: 10 is the worst.
const EXPOSURE: f64 = 2.0;

/// Runs systemd-analyze; `None` where there is none, or one that cannot do this.
fn analyze(test: &str, arguments: &[&str], unit: &Path) -> Result<Option<String>> {
    let mut command = Command::new("systemd-analyze");
    let output = match command.args(arguments).arg(unit).output() {
        Ok(output) => output,
        Err(error) => {
            skip(
                test,
                &format!("systemd-analyze cannot be run: {error}; it comes with systemd"),
            );
            return Ok(None);
        }
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("Unknown command") || said.contains("unrecognized option") {
        skip(
            test,
            &format!("this systemd-analyze is too old (250 is needed): {said}"),
        );
        return Ok(None);
    }
    ensure!(output.status.success(), "{}: {said}", unit.display());
    // It also looks at what the unit needs, which may be anybody's.
    let name = unit
        .file_name()
        .context("a unit has a name")?
        .to_string_lossy();
    let ours = said.lines().filter(|line| line.contains(&*name));
    let ours: Vec<&str> = ours.collect();
    ensure!(ours.is_empty(), "{ours:?}");
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn systemd_takes_the_units_without_a_warning() -> Result<()> {
    let dir = TestDir::new("systemd-verify")?;
    for unit in UNITS {
        // It wants the program to be there.
        let text = fs::read_to_string(deploy("systemd").join(unit))?;
        let file = dir.path().join(unit);
        fs::write(
            &file,
            text.replace("/usr/local/bin/mender-iothub", "/bin/true"),
        )?;
        analyze("systemd_takes_the_units", &["verify", "--man=no"], &file)?;
    }
    dir.passed();
    Ok(())
}

#[test]
fn what_the_units_let_the_program_do_is_little() -> Result<()> {
    for unit in UNITS {
        let unit = deploy("systemd").join(unit);
        let arguments = ["security", "--offline=true", "--no-pager"];
        let Some(said) = analyze("the_units_exposure", &arguments, &unit)? else {
            return Ok(());
        };
        let last = said
            .lines()
            .rev()
            .find(|line| line.contains("exposure level"));
        let level = last.and_then(|line| line.split(": ").nth(1)?.split(' ').next());
        let level: f64 = level.with_context(|| said.clone())?.parse()?;
        assert!(level <= EXPOSURE, "{}: {level}", unit.display());
    }
    Ok(())
}

#[test]
fn every_credential_that_a_unit_uses_is_loaded_and_set_in_a_key_that_exists() -> Result<()> {
    let example = super::read("mender-iothub.toml")?;
    for unit in UNITS {
        let text = fs::read_to_string(deploy("systemd").join(unit))?;
        let settings: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let of = |name: &'static str| settings.iter().filter(move |(it, _)| *it == name);
        let loaded: Vec<&str> = of("LoadCredential")
            .filter_map(|(_, it)| Some(it.split_once(':')?.0))
            .collect();
        let mut used = Vec::new();
        for (_, setting) in of("Environment") {
            let (variable, value) = setting.split_once('=').context("NAME=VALUE")?;
            used.extend(value.strip_prefix("%d/"));
            if let Some(key) = variable.strip_prefix("MENDER_IOTHUB__") {
                let (_, key) = key.split_once("__").context("SECTION__KEY")?;
                let key = format!("{} = ", key.to_lowercase());
                assert!(example.contains(&key), "{unit}: {variable}");
            }
        }
        used.sort_unstable();
        let mut loaded = loaded;
        loaded.sort_unstable();
        assert_eq!(used, loaded, "{unit}");
        assert!(!used.is_empty());
    }
    Ok(())
}
