//! Public keys in PEM, compared as keys and not as texts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `rsaEncryption` with no parameters (RFC 8017, appendix A.1), as DER.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The key as `SubjectPublicKeyInfo` (RFC 5280) in DER: from `PUBLIC KEY`, or from `RSA PUBLIC KEY`
/// (PKCS #1), which is wrapped. `None` of anything else.
pub(crate) fn public_key(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (content, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let content: String = content.split_ascii_whitespace().collect();
    let der = STANDARD.decode(content).ok().filter(|der| is_whole(der))?;
    match label {
        "PUBLIC KEY" => Some(der),
        "RSA PUBLIC KEY" => {
            let bits = tagged(BIT_STRING, &[&[0][..], &der].concat());
            Some(tagged(SEQUENCE, &[&RSA[..], &bits].concat()))
        }
        _ => None,
    }
}

/// One sequence and nothing behind it.
fn is_whole(der: &[u8]) -> bool {
    let (Some(&SEQUENCE), Some(&first)) = (der.first(), der.get(1)) else {
        return false;
    };
    let (header, length) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let count = usize::from(first & 0x7f);
        let Some(bytes) = der.get(2..2 + count).filter(|_| (1..=3).contains(&count)) else {
            return false;
        };
        let length = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (2 + count, length)
    };
    length > 0 && der.len() == header + length
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let short: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut whole = vec![tag];
    match short[..] {
        [byte] if byte < 0x80 => whole.push(byte),
        _ => {
            whole.push(0x80 | u8::try_from(short.len()).unwrap_or(0));
            whole.extend(&short);
        }
    }
    whole.extend(content);
    whole
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key of 512 bits, made for this test, in both forms.
    pub(crate) const SPKI: &str = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALHsYTf0kMsLPPYv6Rp+SBFcXjYtPxnP\nh9YX2pGiGPyzmZIxTMSC6cNoLDcmCvzbwgSkaJGGHvYDdVTGbPQSAhcCAwEAAQ==\n-----END PUBLIC KEY-----\n";
    pub(crate) const PKCS1: &str = "-----BEGIN RSA PUBLIC KEY-----\r\nMEgCQQCx7GE39JDLCzz2L+kafkgRXF42LT8Zz4fWF9qRohj8s5mSMUzEgunDaCw3\r\nJgr828IEpGiRhh72A3VUxmz0EgIXAgMBAAE=\r\n-----END RSA PUBLIC KEY-----";

    #[test]
    fn both_forms_are_one_key() {
        assert!(public_key(SPKI).is_some());
        assert_eq!(public_key(SPKI), public_key(PKCS1));
    }

    #[test]
    fn long_keys_are_wrapped_too() {
        for length in [100, 127, 128, 255, 256, 70_000] {
            assert!(is_whole(&tagged(SEQUENCE, &vec![7; length])), "{length}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_none() {
        for text in [
            "",
            "key",
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMAEB\n-----END PRIVATE KEY-----",
            &SPKI.replace("-----END PUBLIC KEY-----", ""),
        ] {
            assert_eq!(public_key(text), None, "{text}");
        }
    }
}
