//! ApiVersions (key 18), versions 0–4. A version we do not know is answered in the shape of v0, which every client reads.
//!
//! The finalized feature `transaction.version = 2` is what makes Java producers speak TV2 (KIP-890).

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::api_versions_response::{FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use weft_wire::request::{Request, respond};
use weft_wire::server::Outcome;

use super::{text, versions};
use crate::broker::Ctx;

const TRANSACTION_VERSION: &str = "transaction.version";
const TRANSACTION_VERSION_LEVEL: i16 = 2;

pub(super) async fn handle(ctx: Ctx, request: ApiVersionsRequest) -> ApiVersionsResponse {
    let response = ApiVersionsResponse::default();
    if ctx.version >= 3 {
        let named = is_name(&request.client_software_name) && is_name(&request.client_software_version);
        if !named {
            return response.with_error_code(Code::InvalidRequest.code());
        }
    }
    let response = response.with_api_keys(versions::advertised());
    if ctx.version < 3 {
        return response;
    }
    response
        .with_supported_features(vec![
            SupportedFeatureKey::default()
                .with_name(text(TRANSACTION_VERSION))
                .with_max_version(TRANSACTION_VERSION_LEVEL),
        ])
        .with_finalized_features_epoch(0)
        .with_finalized_features(vec![
            FinalizedFeatureKey::default()
                .with_name(text(TRANSACTION_VERSION))
                .with_min_version_level(TRANSACTION_VERSION_LEVEL)
                .with_max_version_level(TRANSACTION_VERSION_LEVEL),
        ])
}

/// The answer to a version we do not know.
pub(super) fn unsupported(request: &Request) -> Outcome {
    let response = ApiVersionsResponse::default()
        .with_error_code(Code::UnsupportedVersion.code())
        .with_api_keys(versions::advertised());
    match respond(request.correlation_id, request.api_key, 0, &response) {
        Ok(bytes) => Outcome::Send(bytes.into()),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

/// Letters, digits, '-' and '.', with a letter or digit at both ends (KIP-511).
fn is_name(name: &str) -> bool {
    let inner = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    let ends = [name.bytes().next(), name.bytes().last()];
    inner && ends.iter().all(|b| b.is_some_and(|b| b.is_ascii_alphanumeric()))
}
