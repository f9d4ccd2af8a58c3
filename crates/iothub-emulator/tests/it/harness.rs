//! One emulator process for each test, on free ports, with certificates in a directory of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Certificate, Client, ClientBuilder, Method, RequestBuilder, Response};
use ring::hmac;
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running emulator; it ends with the value.
pub(crate) struct Emulator {
    pub(crate) child: Child,
    /// The ready line.
    pub(crate) ready: Value,
    pub(crate) client: Client,
    _dir: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Emulator {
    pub(crate) fn start(args: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_iothub-emulator"))
            .arg("--tls-dir")
            .arg(dir.path())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let client = builder(&ready).build().unwrap();
        Self {
            child,
            ready,
            client,
            _dir: dir,
        }
    }

    /// A client that trusts this emulator, to be built with other settings.
    pub(crate) fn client_builder(&self) -> ClientBuilder {
        builder(&self.ready)
    }

    /// A request to the hub with a valid token.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.request_by(&self.client, method, path)
    }

    pub(crate) fn request_by(&self, client: &Client, method: &str, path: &str) -> RequestBuilder {
        let hub = self.ready["hub"].as_str().unwrap();
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("https://{hub}{path}{separator}api-version=2021-04-12");
        client
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url)
            .header("authorization", self.token())
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        if_match: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.request(method, path);
        if let Some(if_match) = if_match {
            request = request.header("if-match", if_match);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// A request to the control port.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let url = format!("http://{}{path}", self.ready["control"].as_str().unwrap());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = self
            .client
            .request(method, url)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        Answer::read(response).await
    }

    /// Puts a fault program in force.
    pub(crate) async fn faults(&self, rules: &Value) {
        let program = serde_json::json!({ "rules": rules }).to_string();
        let answer = self.control("PUT", "/faults", &program).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    pub(crate) async fn journal(&self) -> Vec<Value> {
        let text = self.control("GET", "/journal", "").await.text;
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until the newest entry about a device is as wished, and returns it.
    pub(crate) async fn journal_until(
        &self,
        device: &str,
        wished: impl Fn(&Value) -> bool,
    ) -> Value {
        let look = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                let entries = self.journal().await;
                let newest = entries
                    .into_iter()
                    .rev()
                    .find(|entry| entry["device"] == device);
                if let Some(entry) = newest.filter(&wished) {
                    return entry;
                }
            }
        };
        tokio::time::timeout(PATIENCE, look)
            .await
            .expect("the journal never showed it")
    }

    /// Reads a path until what is there is as wished.
    pub(crate) async fn seen(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                let seen = self.send("GET", path, None, None).await.json();
                if wished(&seen) {
                    return seen;
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, look).await;
        seen.unwrap_or_else(|_| panic!("{path} never was as wished"))
    }

    /// A token made from the connection string.
    pub(crate) fn token(&self) -> String {
        let text = self.ready["connection_string"].as_str().unwrap();
        let part = |name: &str| {
            text.split(';')
                .find_map(|part| part.strip_prefix(name))
                .unwrap()
        };
        token(
            part("HostName="),
            part("SharedAccessKeyName="),
            part("SharedAccessKey="),
        )
    }
}

fn builder(ready: &Value) -> ClientBuilder {
    let pem = std::fs::read(ready["ca_file"].as_str().unwrap()).unwrap();
    Client::builder()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .timeout(PATIENCE)
}

/// A shared access signature, valid for an hour.
pub(crate) fn token(host: &str, policy: &str, key: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (resource, expiry) = (encode(host), now + 3600);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes()));
    format!(
        "SharedAccessSignature sr={resource}&sig={}&se={expiry}&skn={policy}",
        encode(&signature)
    )
}
