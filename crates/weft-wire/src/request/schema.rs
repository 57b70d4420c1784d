//! Schemas.
use super::{RequestError, RequestLimits};
/// Does this version use compact lengths and tagged fields? False for what we do not know.
pub fn is_flexible(api_key: i16, api_version: i16) -> bool {
    let _ = (api_key, api_version);
    false
}
/// Walks a body.
pub fn check(api_key: i16, api_version: i16, body: &[u8], limits: &RequestLimits) -> Result<(), RequestError> {
    let _ = (api_key, api_version, body, limits);
    Ok(())
}
