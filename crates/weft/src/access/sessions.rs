//! Sessions of the portal: a random token in a cookie for whoever showed a key. They are lost with the process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weft_model::principal::Principal;

/// A session ends after this.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Sessions at a time; beyond it the oldest ends.
const SESSIONS_MAX: usize = 1000;

/// Who has signed in.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Session>);

struct Session {
    principal: Principal,
    /// Of the key that was shown: a rotated one ends its sessions.
    key_id: String,
    began: Instant,
}

impl Sessions {
    /// A new session, and its token: 244 random bits.
    pub(super) fn begin(&mut self, principal: Principal, key_id: &str) -> String {
        self.0.retain(|_, session| session.began.elapsed() < LIFETIME);
        if self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.began).map(|(token, _)| token.clone());
            oldest.and_then(|token| self.0.remove(&token));
        }
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let session = Session { principal, key_id: key_id.to_owned(), began: Instant::now() };
        self.0.insert(token.clone(), session);
        token
    }

    pub(super) fn of(&self, token: &str) -> Option<(Principal, String)> {
        let session = self.0.get(token).filter(|session| session.began.elapsed() < LIFETIME)?;
        Some((session.principal.clone(), session.key_id.clone()))
    }

    pub(super) fn end(&mut self, token: &str) {
        self.0.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_owners_until_it_ends() {
        let mut sessions = Sessions::default();
        let token = sessions.begin(Principal::Operator, "k");
        assert_eq!(sessions.of(&token), Some((Principal::Operator, "k".to_owned())));
        assert_eq!(sessions.of("guessed"), None);
        sessions.end(&token);
        assert_eq!(sessions.of(&token), None);
    }

    #[test]
    fn there_are_never_more_than_the_bound() {
        let mut sessions = Sessions::default();
        let first = sessions.begin(Principal::Operator, "k");
        for _ in 0..SESSIONS_MAX {
            sessions.begin(Principal::Operator, "k");
        }
        assert_eq!((sessions.0.len(), sessions.of(&first)), (SESSIONS_MAX, None));
    }
}
