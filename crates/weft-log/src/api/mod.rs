//! One file per API key, and the table that leads to them.
//!
//! A handler's part up to its first wait runs in the order of the connection's requests; the rest may overlap with the
//! requests after it (see [`weft_wire::server`]).

pub(crate) mod guarded;
mod k00_produce;
mod k01_fetch;
mod k02_list_offsets;
mod k03_metadata;
mod k08_offset_commit;
mod k09_offset_fetch;
mod k10_find_coordinator;
mod k11_join_group;
mod k12_heartbeat;
mod k13_leave_group;
mod k14_sync_group;
mod k15_describe_groups;
mod k16_list_groups;
mod k17_sasl_handshake;
mod k18_api_versions;
mod k19_create_topics;
mod k20_delete_topics;
mod k21_delete_records;
mod k22_init_producer_id;
mod k23_offset_for_leader_epoch;
mod k24_add_partitions_to_txn;
mod k25_add_offsets_to_txn;
mod k26_end_txn;
mod k28_txn_offset_commit;
mod k29_acls;
mod k32_describe_configs;
mod k33_alter_configs;
mod k35_describe_log_dirs;
mod k37_create_partitions;
mod k42_delete_groups;
mod k43_elect_leaders;
mod k46_list_partition_reassignments;
mod k47_offset_delete;
mod k60_describe_cluster;
mod k61_describe_producers;
mod k65_describe_transactions;
mod k66_list_transactions;
mod k74_list_config_resources;
mod k75_describe_topic_partitions;
pub(crate) mod versions;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::future::BoxFuture;
use kafka_protocol::ResponseError as Code;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Request as ApiRequest, StrBytes};
use weft_model::principal::Principal;
use weft_wire::request::{Request, RequestLimits};
use weft_wire::server::{Connection, Handler, Outcome, Reply};

use crate::broker::{Broker, Ctx};

/// The handler of a listener without TLS and authentication: everyone is anonymous.
pub(crate) struct Plaintext {
    pub(crate) broker: Arc<Broker>,
    /// Where clients are told to connect.
    pub(crate) advertised: (String, u16),
}

impl Handler for Plaintext {
    fn begin<'a>(&'a self, connection: &'a Arc<Connection>, request: Request) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let ctx = Ctx {
                broker: self.broker.clone(),
                connection: connection.clone(),
                principal: Principal::Anonymous,
                advertised: self.advertised.clone(),
                client_id: request.client_id.clone().unwrap_or_default(),
                version: request.api_version,
            };
            begun(dispatch(ctx, request)).await
        })
    }
}

/// Once, now: what comes before the first wait takes effect before the next request is looked at.
async fn begun(mut answer: BoxFuture<'static, Outcome>) -> Reply {
    match poll_once(&mut answer).await {
        Poll::Ready(outcome) => Reply::Ready(outcome),
        Poll::Pending => Reply::Later(answer),
    }
}

async fn poll_once(answer: &mut BoxFuture<'static, Outcome>) -> Poll<Outcome> {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *answer).poll(context))).await
}

fn dispatch(ctx: Ctx, request: Request) -> BoxFuture<'static, Outcome> {
    match versions::served(request.api_key) {
        Some(range) if range.decodes(request.api_version) => {}
        Some(_) if request.api_key == versions::PRODUCE && request.api_version >= 0 && request.api_version < 3 => {
            let outcome = k00_produce::unsupported(&request);
            return Box::pin(std::future::ready(outcome));
        }
        Some(_) if request.api_key == versions::API_VERSIONS => {
            let outcome = k18_api_versions::unsupported(&request);
            return Box::pin(std::future::ready(outcome));
        }
        Some(_) | None => {
            let (key, version) = (request.api_key, request.api_version);
            let outcome = Outcome::Close(format!("API {key} version {version} is not served"));
            return Box::pin(std::future::ready(outcome));
        }
    }
    match request.api_key {
        0 => Box::pin(k00_produce::answer(ctx, request)),
        1 => Box::pin(k01_fetch::answer(ctx, request)),
        2 => answer(ctx, request, k02_list_offsets::handle),
        3 => answer(ctx, request, k03_metadata::handle),
        8 => answer(ctx, request, k08_offset_commit::handle),
        9 => answer(ctx, request, k09_offset_fetch::handle),
        10 => answer(ctx, request, k10_find_coordinator::handle),
        11 => answer(ctx, request, k11_join_group::handle),
        12 => answer(ctx, request, k12_heartbeat::handle),
        13 => answer(ctx, request, k13_leave_group::handle),
        14 => answer(ctx, request, k14_sync_group::handle),
        15 => answer(ctx, request, k15_describe_groups::handle),
        16 => answer(ctx, request, k16_list_groups::handle),
        17 => answer(ctx, request, k17_sasl_handshake::handle),
        36 => answer(ctx, request, k17_sasl_handshake::authenticate),
        18 => answer(ctx, request, k18_api_versions::handle),
        19 => answer(ctx, request, k19_create_topics::handle),
        20 => answer(ctx, request, k20_delete_topics::handle),
        21 => answer(ctx, request, k21_delete_records::handle),
        22 => answer(ctx, request, k22_init_producer_id::handle),
        23 => answer(ctx, request, k23_offset_for_leader_epoch::handle),
        24 => answer(ctx, request, k24_add_partitions_to_txn::handle),
        25 => answer(ctx, request, k25_add_offsets_to_txn::handle),
        26 => answer(ctx, request, k26_end_txn::handle),
        28 => answer(ctx, request, k28_txn_offset_commit::handle),
        29 => answer(ctx, request, k29_acls::describe),
        30 => answer(ctx, request, k29_acls::create),
        31 => answer(ctx, request, k29_acls::delete),
        32 => answer(ctx, request, k32_describe_configs::handle),
        33 => answer(ctx, request, k33_alter_configs::replace),
        35 => answer(ctx, request, k35_describe_log_dirs::handle),
        37 => answer(ctx, request, k37_create_partitions::handle),
        42 => answer(ctx, request, k42_delete_groups::handle),
        43 => answer(ctx, request, k43_elect_leaders::handle),
        44 => answer(ctx, request, k33_alter_configs::incremental),
        46 => answer(ctx, request, k46_list_partition_reassignments::handle),
        47 => answer(ctx, request, k47_offset_delete::handle),
        60 => answer(ctx, request, k60_describe_cluster::handle),
        61 => answer(ctx, request, k61_describe_producers::handle),
        65 => answer(ctx, request, k65_describe_transactions::handle),
        66 => answer(ctx, request, k66_list_transactions::handle),
        74 => answer(ctx, request, k74_list_config_resources::handle),
        75 => answer(ctx, request, k75_describe_topic_partitions::handle),
        key => unreachable!("API {key} is in the table of versions, but has no handler"),
    }
}

/// Decodes, handles, encodes.
fn answer<Q, F, A>(ctx: Ctx, request: Request, handle: F) -> BoxFuture<'static, Outcome>
where
    Q: ApiRequest + Send + 'static,
    Q::Response: Send,
    F: FnOnce(Ctx, Q) -> A + Send + 'static,
    A: Future<Output = Q::Response> + Send + 'static,
{
    Box::pin(async move {
        let (decoded, request): (Q, _) = match decode(request) {
            Ok(decoded) => decoded,
            Err(outcome) => return outcome,
        };
        let response = handle(ctx, decoded).await;
        send(&request, &response)
    })
}

/// The decoded body, and the request without it: what a handler has used is not kept until its answer goes out.
fn decode<Q: ApiRequest>(mut request: Request) -> Result<(Q, Request), Outcome> {
    let decoded = request.decode(&RequestLimits::default()).map_err(|error| Outcome::Close(error.to_string()))?;
    request.body = Bytes::new();
    Ok((decoded, request))
}

fn send<T>(request: &Request, response: &T) -> Outcome
where
    T: kafka_protocol::protocol::Encodable + kafka_protocol::protocol::HeaderVersion,
{
    match request.respond(response) {
        Ok(bytes) => Outcome::Send(bytes.into()),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

/// Text for a response.
fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A topic's name for a response.
fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// 0, or the code of an error.
fn code_of<T, E: crate::error::Coded>(result: &Result<T, E>) -> i16 {
    match result {
        Ok(_) => 0,
        Err(error) => error.code().code(),
    }
}

/// The words of an error, for APIs that carry them.
fn message_of<T, E: crate::error::Coded>(result: &Result<T, E>) -> Option<StrBytes> {
    result.as_ref().err().map(|error| text(error.to_string()))
}

/// Kafka's code when the caller may not.
fn denied(code: Code) -> i16 {
    code.code()
}
