//! Keys: made, shown once, and what is kept to check them.
//!
//! ```text
//!   weft_1f0c9a7e_5d…(64 hex digits)
//!   │    │        └ 256 random bits: nobody guesses them, so one hash is as good as thousands
//!   │    └ id: finds the record, no secret
//!   └ what scanners of repositories and logs look for
//! ```

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// Kafka's least. More would guard a password that a person thought of; 256 random bits need no guard.
const ITERATIONS: u32 = 4096;
/// What every key begins with.
pub const PREFIX: &str = "weft_";

/// A key in the clear: for the one who gets it, and gone after that.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// A new one.
    ///
    /// # Panics
    /// If the system has no randomness to give.
    pub fn new() -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self(format!("{PREFIX}{}_{}", hex(&random::<ID_BYTES>()), hex(&random::<SECRET_BYTES>())))
    }

    /// A text that has the form of a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let hex = |text: &str, bytes: usize| {
            text.len() == bytes * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        (hex(id, ID_BYTES) && hex(secret, SECRET_BYTES)).then(|| Self(text.to_owned()))
    }

    /// The part that finds its record and may be shown.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID_BYTES * 2]
    }

    /// All of it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn record(&self) -> KeyRecord {
        let salt = random::<SALT_BYTES>();
        KeyRecord {
            id: self.id().to_owned(),
            sha256: STANDARD.encode(digest::digest(&digest::SHA256, self.0.as_bytes())),
            salt: STANDARD.encode(salt),
            iterations: ITERATIONS,
            scram_sha_256: ScramRecord::of(Scram::Sha256, self.0.as_bytes(), &salt, ITERATIONS),
            scram_sha_512: ScramRecord::of(Scram::Sha512, self.0.as_bytes(), &salt, ITERATIONS),
        }
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// Is there a key somewhere in this text? In an address, say, where one ends up in logs and histories.
pub fn is_in(text: &str) -> bool {
    text.match_indices(PREFIX).any(|(at, _)| {
        let length = PREFIX.len() + ID_BYTES * 2 + 1 + SECRET_BYTES * 2;
        text.get(at..at + length).is_some_and(|found| Key::parse(found).is_some())
    })
}

/// A hash of SCRAM (RFC 5802, RFC 7677).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scram {
    /// `SCRAM-SHA-256`.
    Sha256,
    /// `SCRAM-SHA-512`.
    Sha512,
}

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// SHA-256 of the whole key, in base64: checks what comes in the clear, over TLS or on loopback.
    pub sha256: String,
    /// Salt of both SCRAM credentials, in base64.
    pub salt: String,
    /// Iterations of both.
    pub iterations: u32,
    /// For `SCRAM-SHA-256`.
    pub scram_sha_256: ScramRecord,
    /// For `SCRAM-SHA-512`.
    pub scram_sha_512: ScramRecord,
}

impl KeyRecord {
    /// Is this the key? In constant time.
    pub fn matches(&self, presented: &str) -> bool {
        let kept = STANDARD.decode(&self.sha256).unwrap_or_default();
        let found = digest::digest(&digest::SHA256, presented.as_bytes());
        equal(&kept, found.as_ref())
    }

    /// Salt, stored key and server key for one hash.
    pub fn scram(&self, hash: Scram) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let record = match hash {
            Scram::Sha256 => &self.scram_sha_256,
            Scram::Sha512 => &self.scram_sha_512,
        };
        let bytes = |text: &str| STANDARD.decode(text).ok();
        Some((bytes(&self.salt)?, bytes(&record.stored_key)?, bytes(&record.server_key)?))
    }
}

/// Stored key and server key, in base64 (RFC 5802 §3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramRecord {
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: String,
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: String,
}

impl ScramRecord {
    fn of(hash: Scram, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let (derive, mac, digest) = match hash {
            Scram::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, hmac::HMAC_SHA256, &digest::SHA256),
            Scram::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, hmac::HMAC_SHA512, &digest::SHA512),
        };
        let iterations = NonZeroU32::new(iterations).expect("there are iterations");
        let mut salted = vec![0; digest.output_len()];
        pbkdf2::derive(derive, iterations, salt, password, &mut salted);
        let salted = hmac::Key::new(mac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(digest, client_key.as_ref());
        let server_key = hmac::sign(&salted, b"Server Key");
        Self { stored_key: STANDARD.encode(stored_key), server_key: STANDARD.encode(server_key) }
    }
}

/// Compares without telling by its time where the difference is: both are hashed under a key of the moment first.
fn equal(left: &[u8], right: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<SECRET_BYTES>());
    hmac::verify(&key, left, hmac::sign(&key, right).as_ref()).is_ok()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_again_and_nothing_else_is() {
        let key = Key::new();
        let record = key.record();
        assert_eq!(Key::parse(key.reveal()).as_ref(), Some(&key));
        assert!(record.matches(key.reveal()) && !record.matches(Key::new().reveal()) && !record.matches(""));
        assert!(!format!("{key:?}{record:?}").contains(&key.reveal()[PREFIX.len() + 9..]), "no secret is left");
        for wrong in ["", "weft_", "weft_1f0c9a7e", "weft_1f0c9a7e_", "Weft_", &key.reveal().to_uppercase()] {
            assert_eq!(Key::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_stands() {
        let key = Key::new();
        let key = key.reveal();
        for text in [format!("/v1/products?key={key}"), format!("/{key}/x"), format!("weft_weft_{key}")] {
            assert!(is_in(&text), "{text}");
        }
        for text in ["/v1/products?q=weft_1f0c9a7e", "weft_äöü", &key[..key.len() - 1]] {
            assert!(!is_in(text), "{text}");
        }
    }

    /// RFC 7677 §3: user "user", password "pencil".
    #[test]
    fn scram_credentials_are_those_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let record = ScramRecord::of(Scram::Sha256, b"pencil", &salt, 4096);
        assert_eq!(record.stored_key, "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=");
        assert_eq!(record.server_key, "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    }
}
