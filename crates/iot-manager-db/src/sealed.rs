//! Secrets as iot-manager seals them: AES-256-CFB, and HMAC-SHA-512 over the open text, both with
//! the same key.
//!
//! `01 | IV (16) | as many bytes as the secret has | MAC (64)`. Without a key it stores the secret as
//! it is, and says the same algorithm beside it.

use aes::Aes256;
use cfb_mode::Decryptor;
use cfb_mode::cipher::KeyIvInit as _;
use ring::hmac::{self, HMAC_SHA512};
use zeroize::Zeroizing;

use crate::Key;

/// The only version.
const VERSION: u8 = 1;
const IV: usize = 16;
const MAC: usize = 64;
/// What is shorter is not sealed. The key of a hub is at most 64 bytes, so what is longer is none.
const SHORTEST: usize = 1 + IV + MAC;

/// How a secret was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Sealed with the first key that was given.
    Sealed,
    /// Sealed with another one.
    SealedWithFallback,
    /// In clear.
    Clear,
}

/// Why a secret cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Sealed, and there is no key.
    #[error("the credential is sealed, and no key was given")]
    NoKey,
    /// Sealed, and no key opens it: another key, or it was changed.
    #[error("the credential does not open with the keys given")]
    WrongKey,
    /// Nothing is there.
    #[error("the credential is empty")]
    Empty,
}

/// The secret, and how it was stored.
pub(crate) fn open(
    data: &[u8],
    keys: &[Key],
) -> Result<(Zeroizing<Vec<u8>>, Protection), Unreadable> {
    match data {
        [] => Err(Unreadable::Empty),
        [VERSION, ..] if data.len() >= SHORTEST => unseal(data, keys),
        _ => Ok((Zeroizing::new(data.to_vec()), Protection::Clear)),
    }
}

fn unseal(data: &[u8], keys: &[Key]) -> Result<(Zeroizing<Vec<u8>>, Protection), Unreadable> {
    let (body, mac) = data[1..].split_at(data.len() - 1 - MAC);
    let (iv, sealed) = body.split_at(IV);
    for (place, key) in keys.iter().enumerate() {
        let mut text = Zeroizing::new(sealed.to_vec());
        let Ok(cipher) = Decryptor::<Aes256>::new_from_slices(key.bytes(), iv) else {
            continue;
        };
        cipher.decrypt(&mut text);
        // Compares in constant time.
        if hmac::verify(&hmac::Key::new(HMAC_SHA512, key.bytes()), &text, mac).is_err() {
            continue;
        }
        let protection = match place {
            0 => Protection::Sealed,
            _ => Protection::SealedWithFallback,
        };
        return if text.is_empty() {
            Err(Unreadable::Empty)
        } else {
            Ok((text, protection))
        };
    }
    Err(if keys.is_empty() {
        Unreadable::NoKey
    } else {
        Unreadable::WrongKey
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made with Python's `cryptography` 48 and `hmac`:
    ///
    /// ```python
    /// def seal(key, iv, plain):
    ///     e = Cipher(AES(key), CFB(iv)).encryptor()
    ///     return b"\x01" + iv + e.update(plain) + e.finalize() + hmac.new(key, plain, hashlib.sha512).digest()
    /// main = b"passphrasewhichneedstobe32bytes!"; old = bytes(range(32))
    /// print(seal(main, bytes(range(16)), b"0123456789abcdef0123456789ABCDEF").hex())
    /// print(seal(old, b"\xff" * 16, b"a key of 21 bytes, odd").hex())
    /// print(seal(main, b"\x00" * 16, b"").hex())
    /// ```
    pub(crate) const WITH_MAIN: &str = "01000102030405060708090a0b0c0d0e0f\
        4251b5850f6be7709a9d75fb76c093a0bd98c6bf9faafdf7bd38c4ae9953cadc\
        0c58b65b273de972564490e7d26329eda73b246eaf1fa543635310ed69d790ca\
        555a76b109f64fb2202bf9477e5ebdbc4b34c0e198ddbf484430dabbffa0647e";
    const WITH_OLD: &str = "01ffffffffffffffffffffffffffffffff\
        88b98f7835871fbc73b5205b3ff6238b0781a55caf63\
        770ed6d90f913927e6f33db3e6878c06e49fb489de205d7dec58a207779badf8\
        3711bc5acd12b90f6064f48c609002bcb6f5e8c90f9de9dc067127188f07b828";
    const EMPTY: &str = "0100000000000000000000000000000000\
        bc227b3271514f4a3cc7225495c95929dc38eb2acf72fc69d4e3c1daf0d9a860\
        b1ca880eb90353985c96d377340ba739affb1decafa6c4110e9831472cab97a2";

    pub(crate) fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().map(|c| c.to_digit(16).unwrap()).collect();
        let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    pub(crate) fn main() -> Key {
        "passphrasewhichneedstobe32bytes!".parse().unwrap()
    }

    fn old() -> Key {
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
            .parse()
            .unwrap()
    }

    #[test]
    fn what_was_sealed_with_either_key_opens() {
        let keys = [main(), old()];
        let (secret, protection) = open(&bytes(WITH_MAIN), &keys).unwrap();
        assert_eq!(secret.as_slice(), b"0123456789abcdef0123456789ABCDEF");
        assert_eq!(protection, Protection::Sealed);
        let (secret, protection) = open(&bytes(WITH_OLD), &keys).unwrap();
        assert_eq!(secret.as_slice(), b"a key of 21 bytes, odd");
        assert_eq!(protection, Protection::SealedWithFallback);
    }

    #[test]
    fn what_does_not_open_is_told_by_cause() {
        let sealed = bytes(WITH_MAIN);
        assert_eq!(open(&sealed, &[]).unwrap_err(), Unreadable::NoKey);
        assert_eq!(open(&sealed, &[old()]).unwrap_err(), Unreadable::WrongKey);
        assert_eq!(
            open(&bytes(EMPTY), &[main()]).unwrap_err(),
            Unreadable::Empty
        );
        assert_eq!(open(&[], &[main()]).unwrap_err(), Unreadable::Empty);
    }

    #[test]
    fn no_byte_of_it_can_be_changed() {
        let sealed = bytes(WITH_MAIN);
        for place in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            // The IV is not covered by the MAC, but what it makes of the first block is.
            assert_eq!(open(&changed, &[main()]).unwrap_err(), Unreadable::WrongKey);
        }
    }

    #[test]
    fn what_was_stored_without_a_key_is_read_as_it_is() {
        let clear = b"0123456789abcdef0123456789ABCDEF";
        for keys in [vec![], vec![main()]] {
            let (secret, protection) = open(clear, &keys).unwrap();
            assert_eq!(
                (secret.as_slice(), protection),
                (&clear[..], Protection::Clear)
            );
        }
        // A key that begins as if it were sealed.
        let odd = [&[1_u8][..], &[7; 63]].concat();
        assert_eq!(open(&odd, &[main()]).unwrap().1, Protection::Clear);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..256), sealed: bool) {
            let data = if sealed { [&[VERSION][..], &data].concat() } else { data };
            let _ = open(&data, &[main(), old()]);
        }
    }
}
