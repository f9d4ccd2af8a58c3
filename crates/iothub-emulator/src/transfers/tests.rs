//! The rules of import and export jobs, without carrying anything.

use serde_json::{Value, json};

use super::*;

const OUT: &str = "https://store.example/box-1?sp=rwd&sig=secret";

fn add(transfers: &mut Transfers, id: &str, body: &Value) -> Result<(Value, Errand), ServiceError> {
    let blobs = Blobs::new(Some("root".into()));
    let text = body.to_string();
    let (shown, errand) = transfers.add(id.to_owned(), text.as_bytes(), &blobs, Ticks::NEVER)?;
    Ok((serde_json::from_str(&shown).unwrap(), errand))
}

fn export() -> Value {
    json!({"type": "export", "outputBlobContainerUri": OUT, "excludeKeysInExport": true})
}

#[test]
fn a_job_starts_enqueued_and_shows_what_was_asked_for() {
    let mut transfers = Transfers::default();
    let (shown, errand) = add(&mut transfers, "j", &export()).unwrap();
    assert_eq!(
        (&shown["jobId"], &shown["status"], &shown["progress"]),
        (&json!("j"), &json!("enqueued"), &json!(0))
    );
    assert_eq!(shown["useSecondaryStorageAsSource"], false);
    assert!(errand.without_keys && errand.devices.ends_with("root/box-1/devices.txt"));
}

#[test]
fn only_one_job_goes_on_at_a_time() {
    let mut transfers = Transfers::default();
    add(&mut transfers, "a", &export()).unwrap();
    let second = add(&mut transfers, "b", &export()).err().unwrap();
    assert_eq!(
        (second.status.as_u16(), second.name.as_ref()),
        (403, "JobQuotaExceeded")
    );
    assert!(transfers.cancel("a", Ticks::NEVER).unwrap());
    assert!(!transfers.begin("a") && !transfers.cancel("a", Ticks::NEVER).unwrap());
    assert!(add(&mut transfers, "b", &export()).is_ok());
}

#[test]
fn the_container_an_import_reads_is_shown_once() {
    let mut transfers = Transfers::default();
    let body = json!({"type": "import", "inputBlobContainerUri": OUT, "outputBlobContainerUri": OUT, "inputBlobName": "in.txt"});
    let (shown, errand) = add(&mut transfers, "a", &body).unwrap();
    assert_eq!(shown["inputBlobContainerUri"], OUT);
    assert!(errand.input.unwrap().ends_with("box-1/in.txt"));
    assert!(
        !transfers
            .show("a")
            .unwrap()
            .contains("inputBlobContainerUri")
    );
}

#[test]
fn bad_containers_and_bodies_are_refused_at_once() {
    let mut transfers = Transfers::default();
    for (body, name) in [
        (json!({"type": "export"}), "BlobContainerValidationError"),
        (
            json!({"type": "import", "outputBlobContainerUri": OUT}),
            "BlobContainerValidationError",
        ),
        (
            json!({"type": "export", "outputBlobContainerUri": "https://x/box-1?sp=rw&sig=y"}),
            "BlobContainerValidationError",
        ),
        (
            json!({"type": "export", "outputBlobContainerUri": OUT, "outputBlobName": "../x"}),
            "BlobContainerValidationError",
        ),
        (json!({"type": "backup"}), "ArgumentInvalid"),
    ] {
        assert_eq!(
            add(&mut transfers, "a", &body).err().unwrap().name,
            name,
            "{body}"
        );
    }
    assert_eq!(transfers.list(), "[]");
    assert_eq!(transfers.show("a").unwrap_err().name, "JobNotFound");
}

#[test]
fn with_an_identity_no_signature_is_needed() {
    for word in ["identityBased", "IdentityBased"] {
        let body = json!({"type": "export", "outputBlobContainerUri": "https://store.example/box-1",
            "storageAuthenticationType": word, "identity": {"userAssignedIdentity": "/me"}});
        let (shown, _) = add(&mut Transfers::default(), "j", &body).unwrap();
        assert_eq!(shown["storageAuthenticationType"], "identityBased");
        assert_eq!(shown["identity"], body["identity"]);
    }
    let keys = json!({"type": "export", "outputBlobContainerUri": "https://store.example/box-1",
        "storageAuthenticationType": "keyBased"});
    let refused = add(&mut Transfers::default(), "j", &keys).err().unwrap();
    assert_eq!(refused.name.as_ref(), "BlobContainerValidationError");
}
