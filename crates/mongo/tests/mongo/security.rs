//! Who is talked to, and as whom.

use std::fs;

use black_box::{MongoServer, TestDir};
use mongo::{Error, Mongo, Options};
use mongodb::bson::doc;

/// A server of our own with these arguments; `None` where there is none.
async fn own(test: &str, dir: &TestDir, arguments: &[&str]) -> Option<MongoServer> {
    let known = MongoServer::start_or_skip(dir.path(), test)
        .await
        .unwrap()?;
    let uri = known.uri().to_owned();
    drop(known);
    let mut server = MongoServer::start_with(dir.path(), arguments)
        .await
        .unwrap();
    if server.process().is_none() {
        let why = "the MongoDB server is somebody else's to configure";
        black_box::skips::skip(test, why);
        return None;
    }
    assert_ne!(server.uri(), uri, "another server");
    Some(server)
}

async fn check(uri: &str) -> Result<(), Error> {
    let mongo = Mongo::connect(&Options::new(uri, "iothub")?).await?;
    let answer = mongo.check().await;
    mongo.close().await;
    answer
}

#[tokio::test]
async fn only_a_server_whose_certificate_is_trusted_is_talked_to() {
    let test = "only_a_server_whose_certificate_is_trusted_is_talked_to";
    let dir = TestDir::new("mongo-tls").unwrap();
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let (certificate, key) = (dir.path().join(certificate), dir.path().join(key));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate.display().to_string(), key.display().to_string())
    };
    let (trusted, key) = certified("localhost");
    let (other, _) = certified("elsewhere");
    let arguments = ["--tls-cert-file", &trusted, "--tls-key-file", &key];
    if let Some(server) = own(test, &dir, &arguments).await {
        let plain = server.uri().replace("127.0.0.1", "localhost");
        let trusting = |file: &str| format!("{plain}&tls=true&tlsCAFile={file}");
        check(&trusting(&trusted)).await.unwrap();
        for untrusted in [trusting(&other), format!("{plain}&tls=true"), plain.clone()] {
            let refused = check(&untrusted).await;
            assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        }
        let absent = check(&trusting("/no/such/file.pem")).await;
        assert!(matches!(absent, Err(Error::Configuration(_))), "{absent:?}");
    }
    dir.passed();
}

#[tokio::test]
async fn a_wrong_password_is_told_without_repeating_it() {
    let test = "a_wrong_password_is_told_without_repeating_it";
    let dir = TestDir::new("mongo-auth").unwrap();
    let Some(server) = MongoServer::start_or_skip(dir.path(), test).await.unwrap() else {
        dir.passed();
        return;
    };
    // The user is made before the server asks for one.
    let client = mongodb::Client::with_uri_str(server.uri()).await.unwrap();
    let user = doc! {"createUser": "ann", "pwd": "hunter2", "roles": ["root"]};
    client.database("admin").run_command(user).await.unwrap();
    client.shutdown().await;
    drop(server);
    if let Some(server) = own(test, &dir, &["--auth"]).await {
        let with = |password: &str| {
            let credentials = format!("mongodb://ann:{password}@");
            server.uri().replace("mongodb://", &credentials)
        };
        check(&with("hunter2")).await.unwrap();
        let refused = check(&with("hunter3")).await.unwrap_err();
        assert!(!refused.to_string().contains("hunter"), "{refused}");
    }
    dir.passed();
}
