//! DescribeAcls, CreateAcls, DeleteAcls (keys 29–31), versions 1–3: there is no authorizer whose rules could be listed,
//! and a fake success would be worse than a clear no.

use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use kafka_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest,
    DescribeAclsResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::broker::Ctx;

const DISABLED: StrBytes = StrBytes::from_static_str("this log has no access rules");

pub(super) async fn describe(_ctx: Ctx, _request: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default().with_error_code(Code::SecurityDisabled.code()).with_error_message(Some(DISABLED))
}

pub(super) async fn create(_ctx: Ctx, request: CreateAclsRequest) -> CreateAclsResponse {
    let refused =
        AclCreationResult::default().with_error_code(Code::SecurityDisabled.code()).with_error_message(Some(DISABLED));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

pub(super) async fn delete(_ctx: Ctx, request: DeleteAclsRequest) -> DeleteAclsResponse {
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(Code::SecurityDisabled.code())
        .with_error_message(Some(DISABLED));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}
