//! The Containerfile, as far as that can be said without building it.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use black_box::workspace;

use super::read;

struct Stage {
    name: String,
    from: String,
    lines: Vec<String>,
}

/// The stages, with lines that go on joined and comments left out.
fn stages() -> Result<Vec<Stage>> {
    let text = read("container/Containerfile")?.replace("\\\n", " ");
    let mut stages = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["FROM", from] => stages.push((String::new(), from.to_owned(), Vec::new())),
            ["FROM", from, "AS", name] => {
                stages.push((name.to_owned(), from.to_owned(), Vec::new()));
            }
            [] => {}
            _ => stages
                .last_mut()
                .context("FROM comes first")?
                .2
                .push(line.to_owned()),
        }
    }
    let stage = |(name, from, lines)| Stage { name, from, lines };
    Ok(stages.into_iter().map(stage).collect())
}

#[test]
fn every_stage_is_built_on_one_above_it_or_on_a_named_image() -> Result<()> {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for stage in stages()? {
        let pinned = stage.from.contains(':') && !stage.from.ends_with(":latest");
        assert!(
            pinned || stage.from == "scratch" || known.contains(&stage.from),
            "{}",
            stage.from
        );
        for line in &stage.lines {
            let from = line.split("--from=").nth(1);
            if let Some(from) = from.and_then(|rest| rest.split(' ').next()) {
                assert!(known.contains(from), "{line}");
            }
        }
        known.insert(stage.name);
    }
    Ok(())
}

#[test]
fn what_is_built_is_what_is_copied_and_the_packages_exist() -> Result<()> {
    let (mut built, mut copied) = (BTreeSet::new(), BTreeSet::new());
    for stage in stages()? {
        let text = stage.lines.join(" ");
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "-p") {
            let manifest = workspace::root()
                .join("crates")
                .join(pair[1])
                .join("Cargo.toml");
            let manifest = fs::read_to_string(&manifest).with_context(|| pair[1].to_owned())?;
            let named = manifest.split("[[bin]]\nname = \"").nth(1);
            let named = named.and_then(|rest| rest.split('"').next());
            built.insert(named.unwrap_or(pair[1]).to_owned());
        }
        let from_target = words
            .iter()
            .filter_map(|it| it.strip_prefix("/source/target/release/"));
        copied.extend(from_target.map(str::to_owned));
    }
    assert_eq!(copied, built);
    assert!(
        built.contains("mender-iothub") && built.len() == 3,
        "{built:?}"
    );
    Ok(())
}

#[test]
fn the_images_that_are_run_have_no_shell_and_nobodys_user() -> Result<()> {
    let stages = stages()?;
    let last = stages.last().context("a stage")?;
    assert!(
        last.name.is_empty(),
        "the worker's image is what is built if nothing else is asked for"
    );
    for name in ["demo", ""] {
        let stage = stages
            .iter()
            .find(|it| it.name == name)
            .context("the stage")?;
        assert_eq!(stage.from, "base", "{name}");
        assert!(
            stage
                .lines
                .iter()
                .all(|line| !line.starts_with("RUN") && !line.starts_with("USER"))
        );
    }
    let base = stages.iter().find(|it| it.name == "base").context("base")?;
    assert!(base.from.starts_with("gcr.io/distroless/"), "{}", base.from);
    assert!(base.lines.contains(&"USER 10001:10001".to_owned()));
    Ok(())
}
