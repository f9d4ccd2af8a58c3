//! Names that lead to this machine, at once or after a change of mind.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::sync::Mutex;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::client::{Options, client_builder};

/// An answer that may be connected to as far as the rules go, and that nothing here ever reaches.
const PUBLIC: &str = "40.113.176.1";

/// Answers a name with one list after the other, and counts.
#[derive(Default)]
struct Fickle {
    answers: Mutex<VecDeque<Vec<SocketAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Fickle {
    fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        let answers = answers
            .iter()
            .map(|list| list.iter().map(address).collect());
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
            asked: Mutex::default(),
        })
    }
}

impl Lookup for Arc<Fickle> {
    async fn lookup(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        answer.ok_or_else(|| io::Error::other("asked too often"))
    }
}

fn client(lookup: &Arc<Fickle>, exempt: Option<&str>) -> reqwest::Client {
    let resolver = GuardedResolver::asking(Arc::clone(lookup), exempt.map(str::to_owned));
    let builder = client_builder(resolver, Options::default()).unwrap();
    builder.https_only(true).build().unwrap()
}

/// The connections that a listener gets while a client asks for a name on its port.
async fn connections(
    listener: &TcpListener,
    client: &reqwest::Client,
    name: &str,
) -> (usize, bool) {
    let port = listener.local_addr().unwrap().port();
    let asking = client.get(format!("https://{name}:{port}/")).send();
    tokio::pin!(asking);
    let mut count = 0;
    loop {
        tokio::select! {
            biased;
            // Hung up at once, so that the client has its answer.
            accepted = listener.accept() => { drop(accepted.unwrap()); count += 1; }
            answer = &mut asking => {
                let error = answer.unwrap_err();
                let causes = std::iter::successors(Some(&error as &dyn StdError), |it| (*it).source());
                return (count, causes.into_iter().any(<dyn StdError>::is::<AddressRefused>));
            }
        }
    }
}

#[tokio::test]
async fn a_hubs_name_that_leads_here_is_never_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ours: &[&str] = &["127.0.0.1"];
    for answer in [
        ours,
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        &["::"],
        &["169.254.169.254"],
        &["100.64.0.1"],
    ] {
        let lookup = Fickle::answering(&[answer]);
        let client = client(&lookup, None);
        let (connections, refused) = connections(&listener, &client, "h.azure-devices.net").await;
        assert_eq!((connections, refused), (0, true), "{answer:?}");
        assert_eq!(*lookup.asked.lock().unwrap(), ["h.azure-devices.net"]);
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_looked_at_again_for_each_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // A public answer first: allowed, and not reached within the time.
    let lookup = Fickle::answering(&[&[PUBLIC], &["127.0.0.1"], &["10.0.0.1"]]);
    let resolver = GuardedResolver::asking(Arc::clone(&lookup), None);
    let name = || "h.azure-devices.net".parse().unwrap();
    assert_eq!(resolver.resolve(name()).await.unwrap().count(), 1);
    let client = client(&lookup, None);
    for _ in 0..2 {
        let (connections, refused) = connections(&listener, &client, "h.azure-devices.net").await;
        assert_eq!((connections, refused), (0, true));
    }
    assert_eq!(lookup.asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn the_address_that_was_looked_at_is_the_one_that_is_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let other = TcpListener::bind(("127.0.0.2", port)).await;
    // Exempt, so that the test may connect at all. The second answer would be another machine.
    let lookup = Fickle::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = client(&lookup, Some("hub.test"));
    let (connections, refused) = connections(&listener, &client, "hub.test").await;
    assert_eq!((connections, refused), (1, false));
    assert_eq!(
        lookup.asked.lock().unwrap().len(),
        1,
        "one look for one connection"
    );
    if let Ok(other) = other {
        let stray = tokio::time::timeout(Duration::from_millis(50), other.accept()).await;
        assert!(stray.is_err(), "connected to the second answer");
    }
}

#[tokio::test]
async fn a_name_beside_the_exempt_one_is_not_exempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lookup = Fickle::answering(&[&["127.0.0.1"]]);
    let client = client(&lookup, Some("hub.test"));
    let (connections, refused) = connections(&listener, &client, "hub.test.example.org").await;
    assert_eq!((connections, refused), (0, true));
}
