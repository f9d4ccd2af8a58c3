//! Whose certificates are trusted.
//!
//! The TLS configuration is built here, with its own crypto provider, and not left to the HTTP
//! client's defaults: a program that forgot to install a provider would otherwise panic at the
//! first connection. The system's roots are read once and shared by all clients.

use std::sync::{Arc, LazyLock};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::client::SetupError;

static SYSTEM_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "part of the system's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    Arc::new(roots)
});

/// TLS 1.2 or 1.3, the system's roots, and those in `extra_pem`.
pub(crate) fn config(extra_pem: Option<&[u8]>) -> Result<ClientConfig, SetupError> {
    let roots = match extra_pem {
        None => Arc::clone(&SYSTEM_ROOTS),
        Some(pem) => Arc::new(with_extra(pem)?),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn with_extra(pem: &[u8]) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::clone(&SYSTEM_ROOTS);
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| SetupError::Root)?;
        roots.add(certificate).map_err(|_| SetupError::Root)?;
    }
    if roots.len() == before {
        Err(SetupError::Root)
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_in_pem_is_added() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        assert!(config(Some(made.cert.pem().as_bytes())).is_ok());
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(
                matches!(config(Some(pem.as_bytes())), Err(SetupError::Root)),
                "{pem}"
            );
        }
    }
}
