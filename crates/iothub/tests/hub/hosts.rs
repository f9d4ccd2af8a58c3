//! Hosts that somebody would like the client to call, and that it must not.
//!
//! The table is `data/hostile-hosts.txt`. Every text in it is tried in each way that leads to a
//! client, and a listener on this machine tells whether anybody came.

use std::collections::BTreeSet;

use iothub::entra::Authority;
use iothub::{AllowedHosts, ConnectionString, Credential, HostName, Hub, Options};
use tokio::net::TcpListener;

use crate::server::{KEY, Server, answer, hub, id};

const TABLE: &str = include_str!("../data/hostile-hosts.txt");
/// Configured in every test here, so that a hole in the matching would show.
const CONFIGURED: [&str; 2] = ["hub.test:8443", "inside.azure-devices.net"];

/// In the table because they are no hubs, though they do issue tokens.
const AUTHORITIES: [&str; 2] = ["login.microsoftonline.com", "login.microsoftonline.us"];

/// The texts of the table, with the port of a listener put in.
fn hostile(port: u16) -> Vec<String> {
    let lines = TABLE.lines().filter(|line| line.starts_with('"'));
    let text = |line| serde_json::from_str::<String>(line).unwrap();
    lines
        .map(|line| text(line).replace("{port}", &port.to_string()))
        .collect()
}

/// A client for a host, if one can be had.
fn client(host: &str) -> Option<Hub> {
    let text = format!("HostName={host};SharedAccessKeyName=worker;SharedAccessKey={KEY}");
    let connection: ConnectionString = text.parse().ok()?;
    let allowed = AllowedHosts::new(CONFIGURED).unwrap();
    let host = allowed.check(connection.host()).ok()?;
    let credential: Credential = connection.credential().unwrap();
    Some(Hub::new(host, credential, Options::default()).unwrap())
}

#[tokio::test]
async fn no_hostile_host_is_ever_connected_to() {
    let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = v4.local_addr().unwrap().port();
    let v6 = TcpListener::bind(("::1", port)).await;
    let hosts = hostile(port);
    assert!(hosts.len() >= 200, "{}", hosts.len());
    assert_eq!(hosts.iter().collect::<BTreeSet<_>>().len(), hosts.len());
    let allowed = AllowedHosts::new(CONFIGURED).unwrap();
    for host in &hosts {
        assert!(host.parse::<HostName>().is_err(), "{host:?}");
        assert!(allowed.check(host).is_err(), "{host:?}");
        let issues_tokens = AUTHORITIES.contains(&host.as_str());
        for text in [host.clone(), format!("https://{host}")] {
            assert_eq!(text.parse::<Authority>().is_ok(), issues_tokens, "{text:?}");
        }
        if let Some(hub) = client(host) {
            let _ = hub.twin(&id()).await;
            panic!("{host:?} got a client");
        }
    }
    let mut listeners = vec![v4];
    listeners.extend(v6);
    for listener in listeners {
        let listener = listener.into_std().unwrap();
        let came = listener.accept();
        assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn an_error_about_a_host_does_not_repeat_it() {
    let secret = "SharedAccessKey=c2VzYW1lc2VzYW1lc2VzYW1l";
    let error = secret.parse::<HostName>().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2VzYW1l"));
}

#[tokio::test]
async fn redirects_are_not_followed_wherever_they_lead() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = elsewhere.local_addr().unwrap();
        for location in [
            format!("https://{place}/steal"),
            format!("http://{place}/steal"),
            "/twins/other?api-version=2021-04-12".to_owned(),
        ] {
            let headers = format!("Location: {location}\r\n");
            let server = Server::with([answer(status, &headers, "")]).await;
            let error = hub(&server.host(), server.options()).twin(&id()).await;
            assert_eq!(error.unwrap_err().status(), status[..3].parse().ok());
            assert_eq!(server.seen().len(), 1, "{status} {location}");
        }
        let listener = elsewhere.into_std().unwrap();
        let came = listener.accept();
        assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
