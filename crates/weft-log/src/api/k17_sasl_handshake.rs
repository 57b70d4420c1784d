//! SaslHandshake (key 17) and SaslAuthenticate (key 36): a plaintext listener without authentication has no use for
//! either, and says so rather than pretending.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

use super::text;
use crate::broker::Ctx;

pub(super) async fn handle(_ctx: Ctx, _request: SaslHandshakeRequest) -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(Code::IllegalSaslState.code())
}

pub(super) async fn authenticate(_ctx: Ctx, _request: SaslAuthenticateRequest) -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(Code::IllegalSaslState.code())
        .with_error_message(Some(text("this listener has no authentication")))
}
