//! Links between the documents: each file is there, and each section that is named in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::Result;
use black_box::workspace;

/// Every Markdown file of the project, by its path from the root.
fn documents() -> Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(workspace::root().join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = folder.join(&name);
            let hidden = name.to_string_lossy().starts_with('.');
            if entry.file_type()?.is_dir() && !hidden && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                found.insert(path, fs::read_to_string(entry.path())?);
            }
        }
    }
    Ok(found)
}

/// What a heading is called in links: as in GitHub, without what is neither letter, digit, dash nor blank.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let named = headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.collect::<String>().replace(' ', "-")
    });
    named.collect()
}

/// Where links lead that stay inside the project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("](").skip(1);
    let links = after.filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://") && !link.contains(char::is_whitespace))
}

/// The path from the root without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

#[test]
fn every_link_between_the_documents_leads_somewhere() -> Result<()> {
    let documents = documents()?;
    let mut seen = 0;
    let mut broken = Vec::new();
    for (document, text) in &documents {
        let folder = document.parent().unwrap_or(Path::new(""));
        for link in links(text) {
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => plain(&folder.join(file)),
            };
            let there = workspace::root().join(&target).exists();
            let text = documents.get(&target).map_or("", String::as_str);
            if !there || !(section.is_empty() || anchors(text).contains(section)) {
                broken.push(format!("{}: {link}", document.display()));
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} links");
    assert_eq!(broken, [""; 0]);
    Ok(())
}
