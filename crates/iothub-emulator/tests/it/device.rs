//! A device as simple as can be: TLS, packets, and its own key.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use mqtt_proto::v3::{Connect, ConnectReturnCode, Packet, Publish, Subscribe, SubscribeReturnCode};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter, TopicName};
use ring::hmac;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Emulator, PATIENCE};

pub(crate) const TWIN: &str = "$iothub/twin/res/#";
pub(crate) const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
pub(crate) const METHODS: &str = "$iothub/methods/POST/#";

/// A connection, which may not have said who it is yet.
pub(crate) struct Device {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Device {
    /// Opens a connection and says nothing.
    pub(crate) async fn open(hub: &Emulator) -> Self {
        let pem = hub.ready["ca_file"].as_str().unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(pem).unwrap())
            .unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(hub.ready["mqtt"].as_str().unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream.await.unwrap()).await;
        Self {
            stream: stream.unwrap(),
            buffer: BytesMut::new(),
        }
    }

    /// Connects a device that exists; with its primary key.
    pub(crate) async fn connect(hub: &Emulator, id: &str) -> Self {
        let (device, code, _) = Self::login(hub, &hello(id, &key(hub, id).await)).await;
        assert_eq!(code, ConnectReturnCode::Accepted);
        device
    }

    /// Tries to connect. Says what the hub said, and whether an earlier session goes on.
    pub(crate) async fn login(hub: &Emulator, hello: &Connect) -> (Self, ConnectReturnCode, bool) {
        let mut device = Self::open(hub).await;
        device.send(hello.clone()).await;
        match device.next().await {
            Some(Packet::Connack(answer)) => (device, answer.code, answer.session_present),
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, packet: impl Into<Packet>) {
        self.send_bytes(packet.into().encode().unwrap().as_ref())
            .await;
    }

    /// Sends bytes, if the hub still takes any.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next packet; `None` once the hub has closed.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        let read = async {
            loop {
                if let Ok(Some(packet)) = Packet::decode(&self.buffer) {
                    let length = packet.encode_len().unwrap();
                    let _ = self.buffer.split_to(length);
                    return Some(packet);
                }
                if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        timeout(PATIENCE, read).await.expect("nothing came")
    }

    /// The next thing published, as topic and JSON.
    pub(crate) async fn told(&mut self) -> (String, Value) {
        match self.next().await {
            Some(Packet::Publish(it)) => {
                let body = serde_json::from_slice(&it.payload).unwrap_or(Value::Null);
                (it.topic_name.to_string(), body)
            }
            other => panic!("nothing published: {other:?}"),
        }
    }

    /// Waits until the hub has closed.
    pub(crate) async fn closed(mut self) {
        while self.next().await.is_some() {}
    }

    /// Subscribes, and says what was granted.
    pub(crate) async fn subscribe(&mut self, filters: &[&str]) -> Vec<SubscribeReturnCode> {
        let topic = |it: &&str| (TopicFilter::try_from(*it).unwrap(), QoS::Level1);
        let topics = filters.iter().map(topic).collect();
        self.send(Subscribe::new(Pid::default(), topics)).await;
        match self.next().await {
            Some(Packet::Suback(answer)) => answer.topics,
            other => panic!("no SUBACK: {other:?}"),
        }
    }

    pub(crate) async fn publish(&mut self, topic: &str, body: &str) {
        let topic = TopicName::try_from(topic).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.send(Publish::new(QosPid::Level0, topic, body)).await;
    }

    /// Answers the next call of a method; says its name and payload.
    pub(crate) async fn answer(&mut self, status: i32, body: &str) -> (String, Value) {
        let (topic, payload) = self.told().await;
        let (name, id) = topic
            .strip_prefix("$iothub/methods/POST/")
            .and_then(|rest| rest.split_once("/?$rid="))
            .unwrap_or_else(|| panic!("no call: {topic}"));
        let topic = format!("$iothub/methods/res/{status}/?$rid={id}");
        self.publish(&topic, body).await;
        (name.to_owned(), payload)
    }
}

/// The primary key of a device or module (`d1`, `d1/m1`).
pub(crate) async fn key(hub: &Emulator, id: &str) -> String {
    let path = id.replacen('/', "/modules/", 1);
    let path = format!("/devices/{path}");
    let identity = hub.send("GET", &path, None, None).await.json();
    let key = identity["authentication"]["symmetricKey"]["primaryKey"].as_str();
    key.unwrap_or_else(|| panic!("no key: {identity}"))
        .to_owned()
}

/// A CONNECT as Azure's SDKs send it, with a token for an hour.
pub(crate) fn hello(id: &str, key: &str) -> Connect {
    let resource = format!("localhost/devices/{}", id.replacen('/', "/modules/", 1));
    hello_with(id, &token(&resource, key, 3_600))
}

/// The same with any token.
pub(crate) fn hello_with(id: &str, token: &str) -> Connect {
    let mut connect = Connect::new(id.into(), 60);
    connect.clean_session = false;
    let name = format!("localhost/{id}/?api-version=2021-04-12&DeviceClientType=test");
    connect.username = Some(name.as_str().into());
    connect.password = Some(Bytes::copy_from_slice(token.as_bytes()));
    connect
}

/// A token that ends in so many seconds.
pub(crate) fn token(resource: &str, key: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expiry = i64::try_from(now.as_secs()).unwrap() + seconds;
    let resource = resource.replace('/', "%2F");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
    let tag = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
    let signature = STANDARD.encode(tag).replace('+', "%2B").replace('=', "%3D");
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}")
}

/// A hub that devices connect to, with the device `d1`.
pub(crate) async fn with_devices(args: &[&str]) -> Emulator {
    let args = [&["--mqtt", "127.0.0.1:0"], args].concat();
    let hub = Emulator::start(&args);
    let made = hub.control("PUT", "/devices/d1", "").await;
    assert_eq!(made.status, 200, "{}", made.text);
    hub
}

/// Adds a module to `d1`.
pub(crate) async fn add_module(hub: &Emulator, id: &str) {
    let body = json!({"deviceId": "d1", "moduleId": id});
    let path = format!("/devices/d1/modules/{id}");
    let made = hub.send("PUT", &path, None, Some(&body)).await;
    assert_eq!(made.status, 200, "{}", made.text);
}
