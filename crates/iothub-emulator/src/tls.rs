//! A certificate authority of its own, and the server certificate it vouches for.
//!
//! SDKs insist on TLS and on a name they can check, so the emulator brings an authority to trust:
//! one file, kept from run to run, so that clients need to be told only once. Whether what lies in
//! the directory will do is decided the way a client decides: by verifying it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::civil::Date;
use jiff::{ToSpan, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// A certificate that ends sooner than this is replaced at start.
const RENEW_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Years a new authority is good for.
const CA_YEARS: i64 = 10;
/// Years a new server certificate is good for; some clients refuse more than 825 days.
const SERVER_YEARS: i64 = 2;

/// What the server presents, and what clients have to trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    /// The authority's certificate, in PEM.
    pub(crate) ca_file: PathBuf,
}

/// Loads the certificates in `dir`, or makes those that are missing, broken, near their end or for
/// another name. Private keys are readable by their owner only.
pub(crate) fn identity(dir: &Path, hub: &str) -> Result<Identity> {
    fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let names = ["localhost", "127.0.0.1", hub];
    let config = if let Ok(config) = load(dir, &names) {
        config
    } else {
        make(dir, &names)
            .with_context(|| format!("failed to make certificates in {}", dir.display()))?;
        load(dir, &names).context("failed to load the certificates just made")?
    };
    Ok(Identity {
        config: Arc::new(config),
        ca_file: dir.join("ca.pem"),
    })
}

fn load(dir: &Path, names: &[&str]) -> Result<ServerConfig> {
    let ca = CertificateDer::from_pem_file(dir.join("ca.pem"))?;
    let certificate = CertificateDer::from_pem_file(dir.join("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(dir.join("server-key.pem"))?;
    verify(ca, &certificate, names)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Checks chain, names and remaining life as a client would.
fn verify(ca: CertificateDer<'_>, certificate: &CertificateDer<'_>, names: &[&str]) -> Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.into_owned())?;
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    let soon =
        UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + RENEW_BEFORE);
    for name in names {
        let name = ServerName::try_from(*name)?;
        for time in [UnixTime::now(), soon] {
            verifier.verify_server_cert(certificate, &[], &name, &[], time)?;
        }
    }
    Ok(())
}

/// Makes a server certificate, and an authority too unless there is a usable one.
fn make(dir: &Path, names: &[&str]) -> Result<()> {
    let kept = fs::read_to_string(dir.join("ca-key.pem"))
        .ok()
        .and_then(|pem| KeyPair::from_pem(&pem).ok());
    let ca_key = match kept {
        Some(key) if dir.join("ca.pem").exists() => key,
        _ => make_authority(dir)?,
    };
    // The name of the authority never changes, so its parameters can be made anew from its key.
    let issuer = Issuer::new(authority_params()?, ca_key);
    let mut params =
        CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name = common_name("iothub-emulator");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, SERVER_YEARS)?;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    write(&dir.join("server-key.pem"), &key.serialize_pem(), 0o600)?;
    write(&dir.join("server.pem"), &certificate.pem(), 0o644)
}

fn make_authority(dir: &Path) -> Result<KeyPair> {
    let key = KeyPair::generate()?;
    let certificate = authority_params()?.self_signed(&key)?;
    write(&dir.join("ca-key.pem"), &key.serialize_pem(), 0o600)?;
    write(&dir.join("ca.pem"), &certificate.pem(), 0o644)?;
    Ok(key)
}

fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("iothub-emulator test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, CA_YEARS)?;
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// From yesterday, for clocks that are a little behind, to so many years from now.
fn set_life(params: &mut CertificateParams, years: i64) -> Result<()> {
    let today = Zoned::now().date();
    let (from, to) = (
        today.checked_sub(1.day())?,
        today.checked_add(years.years())?,
    );
    let moment = |date: Date| -> Result<_> {
        let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day())?);
        Ok(date_time_ymd(i32::from(date.year()), month, day))
    };
    params.not_before = moment(from)?;
    params.not_after = moment(to)?;
    Ok(())
}

/// Writes beside the target and renames, so that nobody reads half a file.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&beside, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn read(dir: &Path, name: &str) -> String {
        fs::read_to_string(dir.join(name)).unwrap()
    }

    #[test]
    fn certificates_are_made_once_and_reused() {
        let dir = tempfile::tempdir().unwrap();
        identity(dir.path(), "localhost").unwrap();
        let first = (read(dir.path(), "ca.pem"), read(dir.path(), "server.pem"));
        identity(dir.path(), "localhost").unwrap();
        assert_eq!(
            (read(dir.path(), "ca.pem"), read(dir.path(), "server.pem")),
            first
        );
    }

    #[test]
    fn another_hub_name_gets_a_new_certificate_from_the_same_authority() {
        let dir = tempfile::tempdir().unwrap();
        identity(dir.path(), "localhost").unwrap();
        let first = (read(dir.path(), "ca.pem"), read(dir.path(), "server.pem"));
        identity(dir.path(), "myhub.azure-devices.net").unwrap();
        assert_eq!(read(dir.path(), "ca.pem"), first.0);
        assert_ne!(read(dir.path(), "server.pem"), first.1);
    }

    #[test]
    fn broken_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        identity(dir.path(), "localhost").unwrap();
        for name in ["server.pem", "server-key.pem", "ca-key.pem", "ca.pem"] {
            fs::write(dir.path().join(name), "garbage").unwrap();
            if name == "ca.pem" {
                fs::remove_file(dir.path().join("ca-key.pem")).unwrap();
            }
            identity(dir.path(), "localhost").unwrap();
        }
    }

    #[test]
    fn private_keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        identity(dir.path(), "localhost").unwrap();
        for name in ["ca-key.pem", "server-key.pem"] {
            let mode = fs::metadata(dir.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_certificate_of_another_authority_does_not_pass() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        identity(one.path(), "localhost").unwrap();
        identity(other.path(), "localhost").unwrap();
        fs::copy(other.path().join("ca.pem"), one.path().join("ca.pem")).unwrap();
        assert!(load(one.path(), &["localhost"]).is_err());
    }
}
