//! What the HTTP doors ask: whose key, whose session, and when what was open must end.

use std::sync::Arc;

use futures::future::BoxFuture;
use weft_gateway::{Gate, Gateway};
use weft_model::name::PortId;
use weft_model::principal::Principal;

use super::Doorkeeper;

impl Doorkeeper {
    /// Stands at the HTTP doors.
    pub(crate) fn guard_http(self: &Arc<Self>, gateway: Gateway) -> Gateway {
        gateway.guard(Arc::clone(self) as Arc<dyn Gate>, self.http_tls.clone())
    }
}

impl Gate for Doorkeeper {
    fn is_ready(&self) -> bool {
        self.access().is_some_and(|access| access.is_ready())
    }

    fn holder(&self, key: &str) -> Option<Principal> {
        Doorkeeper::holder(self, key)
    }

    fn session(&self, token: &str) -> Option<Principal> {
        self.session_of(token)
    }

    fn is_key_in(&self, text: &str) -> bool {
        weft_access::key::is_in(text)
    }

    fn until_revoked(&self, principal: &Principal, port: &PortId) -> BoxFuture<'static, ()> {
        let client = match principal {
            Principal::Operator => return Box::pin(std::future::pending()),
            Principal::Anonymous => return Box::pin(std::future::ready(())),
            Principal::Client(client) => client,
        };
        let Some(access) = self.access() else { return Box::pin(std::future::ready(())) };
        let (shrinks, port) = (access.shrinks(client), port.clone());
        Box::pin(async move { shrinks.may_not_read(&port).await })
    }
}
