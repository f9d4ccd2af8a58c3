//! Requests as bare as they can be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Client, Method, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_MATCH},
};
use ring::hmac;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The header that leads from page to page.
const CONTINUATION: &str = "x-ms-continuation";
const API_VERSION: &str = "2021-04-12";
/// A token for a run.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// Operations of a bulk call; each counts against the allowance.
pub(in super::super) const BULK: u32 = 100;

/// The ETag of an identity or a twin.
#[derive(Deserialize)]
struct Tagged {
    etag: String,
}

/// A hub.
#[derive(Clone)]
pub(in super::super) struct BareHub {
    client: Client,
    base: String,
    token: String,
}

impl BareHub {
    pub(in super::super) fn new(connection_string: &str, ca_pem: &[u8]) -> Result<Self> {
        let part = |name: &str| {
            let mut parts = connection_string.split(';');
            let part = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            part.with_context(|| format!("no {name} in the connection string"))
        };
        let host = part("HostName")?;
        let key = BASE64_STANDARD.decode(part("SharedAccessKey")?)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let token = token(
            host,
            &key,
            part("SharedAccessKeyName")?,
            now + TOKEN_SECONDS,
        );
        Ok(Self {
            client: client(ca_pem)?,
            base: format!("https://{host}"),
            token,
        })
    }

    /// Creates an identity and tells its ETag.
    pub(super) async fn create(&self, device: &str) -> Result<String> {
        let body = format!(
            r#"{{"deviceId":"{device}","status":"enabled","statusReason":"bare","authentication":{{"type":"sas"}}}}"#
        );
        let text = self.send(Method::PUT, "devices", device, None, Some(body));
        etag(&text.await?)
    }

    pub(super) async fn delete(&self, device: &str, etag: &str) -> Result<()> {
        let text = self.send(Method::DELETE, "devices", device, Some(etag), None);
        text.await.map(drop)
    }

    /// Reads the twin, then tags it.
    pub(super) async fn tag(&self, device: &str) -> Result<()> {
        let twin = self.send(Method::GET, "twins", device, None, None).await?;
        let (etag, body) = (etag(&twin)?, r#"{"tags":{"mender":true}}"#.to_owned());
        let text = self.send(Method::PATCH, "twins", device, Some(&etag), Some(body));
        text.await.map(drop)
    }

    /// Reads a twin.
    pub(in super::super) async fn twin(&self, device: &str) -> Result<()> {
        let text = self.send(Method::GET, "twins", device, None, None);
        text.await.map(drop)
    }

    /// Spends [`BULK`] operations of the allowance, on devices that do not exist.
    pub(in super::super) async fn spend(&self) -> Result<()> {
        let item = |n| json!({"id": format!("nobody-{n}"), "importMode": "delete"});
        self.post("devices", Value::Array((0..BULK).map(item).collect()), None)
            .await
            .map(drop)
    }

    /// A bulk call, which must do all that is asked.
    pub(in super::super) async fn bulk(&self, items: Vec<Value>) -> Result<()> {
        let response = self.post("devices", Value::Array(items), None).await?;
        let (status, text) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{status}: {text}");
        Ok(())
    }

    /// Walks the list of all devices as the sweep does, and counts them.
    pub(in super::super) async fn walk(&self) -> Result<u64> {
        let query = "SELECT deviceId, status, statusReason, deviceEtag FROM devices";
        let (mut rows, mut after) = (0, None);
        loop {
            let body = json!({"query": query});
            let response = self.post("devices/query", body, after.as_ref()).await?;
            let response = response.error_for_status()?;
            after = response.headers().get(CONTINUATION).cloned();
            rows += response.json::<Vec<Value>>().await?.len() as u64;
            if after.is_none() {
                return Ok(rows);
            }
        }
    }

    async fn post(&self, path: &str, body: Value, after: Option<&HeaderValue>) -> Result<Response> {
        let url = format!("{}/{path}?api-version={API_VERSION}", self.base);
        let request = self.client.post(url).header(AUTHORIZATION, &self.token);
        let mut request = request.header("x-ms-max-item-count", "1000");
        if let Some(after) = after {
            request = request.header(CONTINUATION, after);
        }
        Ok(request.json(&body).send().await?)
    }

    async fn send(
        &self,
        method: Method,
        of: &str,
        device: &str,
        etag: Option<&str>,
        body: Option<String>,
    ) -> Result<String> {
        let url = format!("{}/{of}/{device}?api-version={API_VERSION}", self.base);
        let mut request = self.client.request(method, url);
        request = request.header(AUTHORIZATION, &self.token);
        if let Some(etag) = etag {
            request = request.header(IF_MATCH, format!("\"{etag}\""));
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{status}: {text}");
        Ok(text)
    }
}

/// "Control access to IoT Hub with shared access signatures".
fn token(host: &str, key: &[u8], policy: &str, expiry: u64) -> String {
    let resource = host.replace(':', "%3A");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let signature = BASE64_STANDARD.encode(signature);
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={policy}")
}

fn etag(text: &str) -> Result<String> {
    let tagged: Tagged = serde_json::from_str(text).context("no ETag")?;
    Ok(tagged.etag)
}

fn client(ca_pem: &[u8]) -> Result<Client> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate?)?;
    }
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = Client::builder().tls_backend_preconfigured(config);
    let builder = builder.http1_only().no_proxy();
    Ok(builder.timeout(Duration::from_secs(60)).build()?)
}

/// Mender's deviceconfig.
#[derive(Clone)]
pub(super) struct BareMender {
    client: Client,
    base: String,
}

impl BareMender {
    pub(super) fn new(address: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            client: Client::builder().no_proxy().build().unwrap_or_default(),
            base: format!("http://{address}/api/internal/v1/deviceconfig/tenants"),
        }
    }

    /// Sets a connection string and deploys it.
    pub(super) async fn deliver(&self, device: &str) -> Result<()> {
        let url = format!("{}//configurations/device/{device}", self.base);
        let value = "HostName=localhost:12345;DeviceId=device;SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let body = format!(r#"{{"azureConnectionString":"{value}"}}"#);
        self.send(Method::PATCH, url.clone(), body).await?;
        let body = r#"{"retries":1}"#.to_owned();
        self.send(Method::POST, format!("{url}/deploy"), body).await
    }

    async fn send(&self, method: Method, url: String, body: String) -> Result<()> {
        let request = self.client.request(method, url);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await?.error_for_status()?;
        response.bytes().await?;
        Ok(())
    }
}
