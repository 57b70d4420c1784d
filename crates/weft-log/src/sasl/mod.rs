//! Logging in: one connection's way from nobody to somebody. Pure; bytes in, bytes out.
//!
//! ```text
//!   Nobody ─ handshake ─► Chosen ─┬─ PLAIN ───────────────────────────────► In
//!                                 └─ SCRAM, first ─► Proving ─ SCRAM, last ─► In
//!   anything else ─► Out: the connection ends
//! ```

mod scram;

use weft_model::principal::Principal;

use crate::keys::{Keys, ScramHash};
use scram::Proving;

/// Mechanisms in the order in which they are offered. PLAIN shows the key, so it is for encrypted connections.
const MECHANISMS: [(&str, Mechanism); 3] = [
    ("SCRAM-SHA-512", Mechanism::Scram(ScramHash::Sha512)),
    ("SCRAM-SHA-256", Mechanism::Scram(ScramHash::Sha256)),
    ("PLAIN", Mechanism::Plain),
];

/// Longest token of a client. Bytes.
const TOKEN_BYTES_MAX: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    Plain,
    Scram(ScramHash),
}

/// What mechanisms a connection may choose from.
pub(crate) fn offered(is_encrypted: bool) -> impl Iterator<Item = &'static str> {
    let fits = move |mechanism: &Mechanism| is_encrypted || *mechanism != Mechanism::Plain;
    MECHANISMS.into_iter().filter(move |(_, mechanism)| fits(mechanism)).map(|(name, _)| name)
}

/// How far a connection has come.
pub(crate) enum Login {
    /// It has said nothing.
    Nobody,
    /// It has chosen how to prove who it is.
    Chosen(Choice),
    /// It has been given the server's nonce.
    Proving(Proving),
    /// It is known.
    In(Principal),
    /// It has failed, and is not listened to any more.
    Out,
}

/// A mechanism that was chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice(Mechanism);

/// What a token came to.
pub(crate) enum Step {
    /// Send this and wait for more.
    Challenge(Vec<u8>),
    /// It is known; send this.
    Done(Vec<u8>),
    /// Refused. For the log, not for the peer, who hears the same of every refusal.
    Refused(String),
}

impl Login {
    /// The peer chooses a mechanism. `false`: it is not one of those offered, or not now.
    pub(crate) fn choose(&mut self, name: &str, is_encrypted: bool) -> bool {
        let known = MECHANISMS.iter().find(|(known, _)| *known == name).map(|(_, mechanism)| *mechanism);
        match (&self, known) {
            (Login::Nobody | Login::Chosen(_), Some(mechanism)) if offered(is_encrypted).any(|one| one == name) => {
                *self = Login::Chosen(Choice(mechanism));
                true
            }
            _ => false,
        }
    }

    /// The peer's next token. `random` is the server's part of the nonce, `pepper` the secret behind what is told to
    /// names that nobody has.
    pub(crate) fn token(&mut self, token: &[u8], keys: &dyn Keys, random: &str, pepper: &[u8]) -> Step {
        let step = if token.len() > TOKEN_BYTES_MAX {
            Step::Refused(format!("a token of {} bytes", token.len()))
        } else {
            match std::mem::replace(self, Login::Out) {
                Login::Chosen(Choice(Mechanism::Plain)) => self.plain(token, keys),
                Login::Chosen(Choice(Mechanism::Scram(hash))) => {
                    match Proving::begin(token, hash, keys, random, pepper) {
                        Ok((proving, challenge)) => {
                            *self = Login::Proving(proving);
                            Step::Challenge(challenge)
                        }
                        Err(because) => Step::Refused(because),
                    }
                }
                Login::Proving(proving) => match proving.end(token, keys) {
                    Ok((principal, proof)) => {
                        *self = Login::In(principal);
                        Step::Done(proof)
                    }
                    Err(because) => Step::Refused(because),
                },
                Login::Nobody | Login::In(_) | Login::Out => Step::Refused("a token out of turn".to_owned()),
            }
        };
        if matches!(step, Step::Refused(_)) {
            *self = Login::Out;
        }
        step
    }

    /// RFC 4616: `[authzid] NUL authcid NUL passwd`.
    fn plain(&mut self, token: &[u8], keys: &dyn Keys) -> Step {
        let parts: Option<Vec<&str>> = std::str::from_utf8(token).ok().map(|text| text.split('\0').collect());
        let Some([acts_as, name, key]) = parts.as_deref() else {
            return Step::Refused("a PLAIN token of another shape".to_owned());
        };
        if !acts_as.is_empty() && acts_as != name {
            return Step::Refused("it would act as somebody else".to_owned());
        }
        match keys.principal(name).filter(|_| keys.matches(name, key)) {
            Some(principal) => {
                *self = Login::In(principal);
                Step::Done(Vec::new())
            }
            None => Step::Refused("PLAIN: no such name, or another key".to_owned()),
        }
    }

    /// The name that this connection claims or has proved, if it has come so far.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        match self {
            Login::In(principal) => Some(principal),
            Login::Nobody | Login::Chosen(_) | Login::Proving(_) | Login::Out => None,
        }
    }
}

/// The name in a token, for whoever must know it before the token is judged.
pub(crate) fn claimed(token: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(token.get(..TOKEN_BYTES_MAX.min(token.len()))?).ok()?;
    match text.split('\0').collect::<Vec<_>>()[..] {
        [_, name, _] => Some(name.to_owned()),
        _ => scram::claimed(text),
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;

    use super::*;
    use crate::keys::ScramCredential;

    /// RFC 7677 §3: "user" with "pencil".
    struct Example;

    impl Keys for Example {
        fn ready(&self) -> BoxFuture<'static, ()> {
            Box::pin(std::future::ready(()))
        }

        fn scram(&self, name: &str, hash: ScramHash) -> Option<ScramCredential> {
            let bytes = |text| base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
            (name == "user" && hash == ScramHash::Sha256).then(|| ScramCredential {
                salt: bytes("W22ZaJ0SNY7soEsUEjb6gQ=="),
                iterations: 4096,
                stored_key: bytes("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="),
                server_key: bytes("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
            })
        }

        fn matches(&self, name: &str, key: &str) -> bool {
            name == "user" && key == "pencil"
        }

        fn principal(&self, name: &str) -> Option<Principal> {
            (name == "user").then(|| Principal::Client("user".parse().unwrap()))
        }

        fn shrinks(&self, _name: &str) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }
    }

    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    fn login(mechanism: &str) -> Login {
        let mut login = Login::Nobody;
        assert!(login.choose(mechanism, true));
        login
    }

    fn token(login: &mut Login, text: &str) -> Result<String, String> {
        match login.token(text.as_bytes(), &Example, NONCE, b"pepper") {
            Step::Challenge(bytes) | Step::Done(bytes) => Ok(String::from_utf8(bytes).unwrap()),
            Step::Refused(because) => Err(because),
        }
    }

    #[test]
    fn the_exchange_of_the_standard() {
        let mut login = login("SCRAM-SHA-256");
        let first = token(&mut login, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first, format!("r=rOprNGfwEbeRWgbNEkqO{NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        assert!(login.principal().is_none());
        let last = format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(token(&mut login, &last).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(login.principal(), Example.principal("user").as_ref());
        assert!(token(&mut login, &last).is_err() && login.principal().is_none(), "once");
    }

    #[test]
    fn a_wrong_proof_and_a_name_that_nobody_has_look_the_same_until_the_end() {
        for name in ["user", "nobody"] {
            let mut login = login("SCRAM-SHA-256");
            let first = token(&mut login, &format!("n,,n={name},r=abc")).unwrap();
            assert!(first.starts_with(&format!("r=abc{NONCE},s=")) && first.ends_with(",i=4096"), "{first}");
            let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            assert!(token(&mut login, &format!("c=biws,r=abc{NONCE},p={proof}")).is_err(), "{name}");
            assert!(matches!(login, Login::Out));
        }
        let salt = |name: &str| token(&mut login("SCRAM-SHA-256"), &format!("n,,n={name},r=abc")).unwrap();
        assert_eq!(salt("nobody"), salt("nobody"), "asked twice, it has the same salt");
        assert_ne!(salt("nobody"), salt("nobody2"));
    }

    #[test]
    fn tokens_of_another_shape() {
        for first in [
            "",
            "n,,",
            "n,,r=abc",
            "p=tls-unique,,n=user,r=abc",
            "n,a=root,n=user,r=abc",
            "n,,m=x,n=user,r=a",
            "n,,n=user,r=",
            "n,,n=us=2Xer,r=abc",
        ] {
            assert!(token(&mut login("SCRAM-SHA-512"), first).is_err(), "{first}");
        }
        for last in
            ["", "c=biws", "c=eSws,r=abc,p=AA==", "c=biws,r=other,p=AA==", "c=biws,r=abcx,p=AA==", "c=biws,r=abc,p=!"]
        {
            let mut login = login("SCRAM-SHA-256");
            token(&mut login, "n,,n=user,r=abc").unwrap();
            let last = last.replace("r=abc", &format!("r=abc{NONCE}"));
            assert!(token(&mut login, &last).is_err(), "{last}");
        }
        let long = "x".repeat(TOKEN_BYTES_MAX + 1);
        assert!(token(&mut login("PLAIN"), &long).is_err());
    }

    #[test]
    fn plain_is_for_encrypted_connections() {
        assert_eq!(offered(false).collect::<Vec<_>>(), ["SCRAM-SHA-512", "SCRAM-SHA-256"]);
        assert!(!Login::Nobody.choose("PLAIN", false) && !Login::Nobody.choose("GSSAPI", true));
        assert_eq!(token(&mut login("PLAIN"), "\0user\0pencil"), Ok(String::new()));
        assert_eq!(token(&mut login("PLAIN"), "user\0user\0pencil"), Ok(String::new()));
        for wrong in ["\0user\0pen", "\0nobody\0pencil", "root\0user\0pencil", "user\0pencil", "\0user\0pencil\0"] {
            assert!(token(&mut login("PLAIN"), wrong).is_err(), "{wrong:?}");
        }
        assert!(token(&mut Login::Nobody, "\0user\0pencil").is_err(), "without a handshake");
    }

    #[test]
    fn a_name_is_found_before_its_token_is_judged() {
        assert_eq!(claimed(b"\0user\0pencil").as_deref(), Some("user"));
        assert_eq!(claimed(b"n,,n=us=2Cer,r=abc").as_deref(), Some("us,er"));
        assert_eq!(claimed(b"c=biws,r=abc,p=AA=="), None);
    }
}
