//! Containers of blobs, as folders below one directory.
//!
//! Import and export jobs name a container by a URI; its last segment is the folder here, whatever
//! the host. A shared access signature in the URI is checked for what it claims to permit, not for
//! its signature: there is no storage account whose key could have signed it.

use std::io;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::errors::ServiceError;
use crate::router::parameter;

/// What a job is going to do with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read from it.
    Read,
    /// Write to it, and remove what it wrote to try whether it can.
    Write,
}

/// The directory of all containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blobs {
    root: Option<PathBuf>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container(PathBuf);

impl Blobs {
    /// Containers below this directory; without one there is no storage at all.
    pub(crate) const fn new(root: Option<PathBuf>) -> Self {
        Self { root }
    }

    /// The container behind a URI, if that permits what is wanted. With `identity` it need not
    /// carry a signature.
    pub(crate) fn open(
        &self,
        uri: &str,
        access: Access,
        identity: bool,
    ) -> Result<Container, ServiceError> {
        let (address, query) = uri.split_once('?').unwrap_or((uri, ""));
        let (scheme, rest) = address.split_once("://").ok_or_else(refused)?;
        let signed = || {
            let permits = parameter(query, "sp").unwrap_or_default();
            let needed = match access {
                Access::Read => "r",
                Access::Write => "wd",
            };
            parameter(query, "sig").is_some() && needed.chars().all(|it| permits.contains(it))
        };
        let known = match scheme {
            "file" => true,
            "http" | "https" => identity || signed(),
            _ => false,
        };
        let name = rest.trim_end_matches('/').rsplit('/').next();
        let name = name.map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned());
        let container = name.and_then(|name| self.named(&name));
        container.filter(|_| known).ok_or_else(refused)
    }

    /// The container of this name, if it is a name.
    pub(crate) fn named(&self, name: &str) -> Option<Container> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound = (3..=63).contains(&name.len()) && name.bytes().all(known);
        let root = self.root.as_ref().filter(|_| sound)?;
        Some(Container(root.join(name)))
    }
}

fn refused() -> ServiceError {
    ServiceError::bad_container()
}

impl Container {
    /// The file of a blob, if that is a name.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let sound = (1..=128).contains(&name.len()) && name.bytes().all(known);
        (sound && !name.starts_with('.')).then(|| self.0.join(name))
    }

    /// Makes the container if it is not there.
    pub(crate) fn make(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(uri: &str, access: Access) -> Option<Container> {
        Blobs::new(Some("root".into()))
            .open(uri, access, false)
            .ok()
    }

    #[test]
    fn the_last_segment_of_a_uri_is_the_container() {
        let folder = Some(Container("root/my-box".into()));
        assert_eq!(open("file:///any/where/my-box", Access::Write), folder);
        assert_eq!(
            open("https://a.example/my-box/?sv=x&sp=rl&sig=y", Access::Read),
            folder
        );
        assert_eq!(
            open(
                "http://127.0.0.1:1/blobs/my-box?sig=y&sp=rwd",
                Access::Write
            ),
            folder
        );
    }

    #[test]
    fn a_signature_must_permit_what_is_wanted() {
        assert_eq!(open("https://a/my-box?sp=rw&sig=y", Access::Write), None);
        assert_eq!(open("https://a/my-box?sp=wd&sig=y", Access::Read), None);
        assert_eq!(open("https://a/my-box?sp=rwd", Access::Read), None);
        let identity =
            Blobs::new(Some("root".into())).open("https://a/my-box", Access::Write, true);
        assert!(identity.is_ok());
    }

    #[test]
    fn nothing_leads_out_of_the_directory() {
        for uri in [
            "file:///a/..",
            "file:///a/%2e%2e",
            "file:///a/%2Fetc",
            "file:///",
            "my-box",
            "ftp://a/my-box",
        ] {
            assert_eq!(open(uri, Access::Write), None, "{uri}");
        }
        let container = Container("root/box".into());
        for name in ["", ".", "..", "a/b", ".hidden", "a\\b"] {
            assert_eq!(container.file(name), None, "{name}");
        }
        assert_eq!(
            container.file("devices.txt"),
            Some("root/box/devices.txt".into())
        );
    }

    #[test]
    fn without_a_directory_there_is_no_container() {
        assert!(
            Blobs::default()
                .open("file:///my-box", Access::Read, true)
                .is_err()
        );
    }
}
