//! The server's side of SCRAM (RFC 5802, with the hashes of RFC 7677), without channel binding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac};
use weft_model::principal::Principal;

use crate::keys::{Keys, ScramCredential, ScramHash};

/// What a name that nobody has is told; as many as its keys have elsewhere.
const ITERATIONS: u32 = 4096;
/// As long as a salt is elsewhere. Bytes.
const SALT_BYTES: usize = 16;

/// After the first message: what the last one must fit.
pub(crate) struct Proving {
    name: String,
    hash: ScramHash,
    /// `None`: nobody has the name; the exchange goes on, so that it does not tell.
    credential: Option<ScramCredential>,
    /// `c=` of the last message.
    binding: String,
    nonce: String,
    /// Both first messages, as the signatures cover them.
    said: String,
}

impl Proving {
    /// The client's first message, and what to answer.
    pub(crate) fn begin(
        token: &[u8],
        hash: ScramHash,
        keys: &dyn Keys,
        random: &str,
        pepper: &[u8],
    ) -> Result<(Self, Vec<u8>), String> {
        let First { header, bare, name, nonce } =
            First::parse(token).ok_or("a first SCRAM message of another shape")?;
        let credential = keys.scram(&name, hash);
        let (salt, iterations) = match &credential {
            Some(credential) => (credential.salt.clone(), credential.iterations),
            // Always the same for a name, as a real one is, and nothing that a name could be told by.
            None => {
                let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, pepper), name.as_bytes());
                (made.as_ref().iter().copied().take(SALT_BYTES).collect(), ITERATIONS)
            }
        };
        let nonce = format!("{nonce}{random}");
        let answer = format!("r={nonce},s={},i={iterations}", STANDARD.encode(salt));
        let said = format!("{bare},{answer}");
        let binding = STANDARD.encode(header);
        Ok((Self { name, hash, credential, binding, nonce, said }, answer.into_bytes()))
    }

    /// The client's last message: who it is, and our proof that we know it too.
    pub(crate) fn end(self, token: &[u8], keys: &dyn Keys) -> Result<(Principal, Vec<u8>), String> {
        let shape = "a last SCRAM message of another shape";
        let text = std::str::from_utf8(token).map_err(|_| shape)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(shape)?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c=")).ok_or(shape)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r=")).ok_or(shape)?;
        let proof = STANDARD.decode(proof).map_err(|_| shape)?;
        // Equal by the standard. librdkafka before 2.6.1 puts its own nonce in front once more, and Apache Kafka takes that,
        // so clients in the field have it; our random part is at the end in either case.
        if binding != self.binding || !nonce.ends_with(&self.nonce) {
            return Err("the last SCRAM message answers another exchange".to_owned());
        }
        let Some(credential) = &self.credential else { return Err("SCRAM: no such name".to_owned()) };
        let (mac, digest) = match self.hash {
            ScramHash::Sha256 => (hmac::HMAC_SHA256, &digest::SHA256),
            ScramHash::Sha512 => (hmac::HMAC_SHA512, &digest::SHA512),
        };
        let said = format!("{},{without_proof}", self.said);
        let signature = hmac::sign(&hmac::Key::new(mac, &credential.stored_key), said.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(proof, sign)| proof ^ sign).collect();
        let found = digest::digest(digest, &client_key);
        if proof.len() != signature.as_ref().len() || !equal(found.as_ref(), &credential.stored_key) {
            return Err("SCRAM: another key".to_owned());
        }
        // Asked again: it may have been taken away between the two messages.
        let principal = keys.principal(&self.name).ok_or("SCRAM: the name is gone")?;
        let ours = hmac::sign(&hmac::Key::new(mac, &credential.server_key), said.as_bytes());
        Ok((principal, format!("v={}", STANDARD.encode(ours)).into_bytes()))
    }
}

/// `gs2-header client-first-message-bare`.
struct First {
    header: String,
    bare: String,
    name: String,
    nonce: String,
}

impl First {
    fn parse(token: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(token).ok()?;
        let mut parts = text.splitn(3, ',');
        let (flag, acts_as, bare) = (parts.next()?, parts.next()?, parts.next()?);
        // p= is channel binding, which is not offered.
        if flag != "n" && flag != "y" {
            return None;
        }
        let mut attributes = bare.split(',');
        let name = unescape(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let same = match acts_as.strip_prefix("a=") {
            Some(other) => unescape(other)? == name,
            None => acts_as.is_empty(),
        };
        let fits = same && !nonce.is_empty() && !name.is_empty();
        let header = format!("{flag},{acts_as},");
        fits.then(|| Self { header, bare: bare.to_owned(), name, nonce: nonce.to_owned() })
    }
}

/// The name in a first message.
pub(super) fn claimed(text: &str) -> Option<String> {
    First::parse(text.as_bytes()).map(|first| first.name)
}

/// `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand (RFC 5802 §5.1).
fn unescape(name: &str) -> Option<String> {
    let plain = name.replace("=2C", ",").replace("=3D", "\u{1}");
    (!plain.contains('=')).then(|| plain.replace('\u{1}', "="))
}

/// In constant time: what is compared is a hash of each under the same key.
fn equal(left: &[u8], right: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, right);
    hmac::verify(&key, left, hmac::sign(&key, right).as_ref()).is_ok()
}
