//! What proves to a receiver who has sent a message, and when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{Context, HMAC_SHA256, Key};

use crate::Secret;

/// The value of `webhook-signature`: one signature for each secret, `v1,` and base64 each, separated
/// by blanks. `id` holds no full stop, or parts of it could pass for the time; `time` is that of the
/// attempt, in Unix seconds.
#[must_use]
pub fn sign(secrets: &[&Secret], id: &str, time: u64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| {
        let mut context = Context::with_key(&Key::new(HMAC_SHA256, secret.bytes()));
        context.update(format!("{id}.{time}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `TestWebhookSign` of the specification's own Go library (`libraries/go/webhook_test.go`).
    #[test]
    fn the_signature_is_that_of_the_published_test_vector() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&[&secret], id, 1_614_265_330, body), expected);
        let twice = sign(&[&secret, &secret], id, 1_614_265_330, body);
        assert_eq!(twice, format!("{expected} {expected}"));
    }

    #[test]
    fn id_time_body_and_secret_are_all_signed() {
        let secret = |fill: u8| -> Secret {
            let text = format!("whsec_{}", STANDARD.encode([fill; 32]));
            text.parse().unwrap()
        };
        let one = sign(&[&secret(1)], "a", 1, b"x");
        for other in [
            sign(&[&secret(2)], "a", 1, b"x"),
            sign(&[&secret(1)], "b", 1, b"x"),
            sign(&[&secret(1)], "a", 2, b"x"),
            sign(&[&secret(1)], "a", 1, b"y"),
        ] {
            assert_ne!(one, other);
        }
    }
}
