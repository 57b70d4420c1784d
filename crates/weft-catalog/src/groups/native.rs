//! Groups through librdkafka's own admin calls, which `rdkafka` 0.39 does not wrap: it knows the older list of groups, which
//! has none of KIP-848's, and commits of its own group only.
//!
//! Always: what librdkafka hands out belongs to its event and is copied before the event is destroyed; what we make is
//! destroyed by a guard, whatever happens.
#![expect(unsafe_code, reason = "librdkafka's admin calls; each block says why it is sound")]

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::client::Client;

use super::{DOING, Group, Member};
use crate::error::CatalogError;
use crate::kafka::QuietContext;

type Queue = rd::rd_kafka_queue_t;
type Event = rd::rd_kafka_event_t;
type Options = rd::rd_kafka_AdminOptions_t;
type Partitions = rd::rd_kafka_topic_partition_list_t;

/// Something of librdkafka that we own.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, CatalogError> {
        NonNull::new(pointer).map(|pointer| Self(pointer, destroy)).ok_or_else(|| failed("it had no memory"))
    }

    fn get(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the function that `destroy` belongs to, and nobody else destroys it.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

fn failed(reason: impl Into<String>) -> CatalogError {
    CatalogError::Kafka { doing: DOING, reason: reason.into(), retriable: true }
}

/// Text that librdkafka owns, copied.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not null, and librdkafka's strings end in a zero and live as long as the event they are part of.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The elements of an array of pointers that librdkafka owns.
fn elements<T>(array: *const *const T, count: usize) -> Vec<*const T> {
    if array.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: librdkafka says that so many pointers stand there, and its event is alive.
    unsafe { std::slice::from_raw_parts(array, count) }.to_vec()
}

/// Topic, partition and offset of each element of a list.
fn partitions(list: *const Partitions) -> Vec<(String, u32, i64)> {
    // SAFETY: null or a list that an event owns, which is alive.
    let Some(list) = (unsafe { list.as_ref() }) else { return Vec::new() };
    let count = usize::try_from(list.cnt).unwrap_or(0);
    if count == 0 || list.elems.is_null() {
        return Vec::new();
    }
    // SAFETY: `cnt` elements stand at `elems`.
    let elements = unsafe { std::slice::from_raw_parts(list.elems, count) };
    let element =
        |one: &rd::rd_kafka_topic_partition_t| Some((text(one.topic), u32::try_from(one.partition).ok()?, one.offset));
    elements.iter().filter_map(element).collect()
}

/// Sends one or more admin requests and collects as many results.
fn ask(
    client: &Client<QuietContext>,
    operation: rd::rd_kafka_admin_op_t,
    answer: Duration,
    results: usize,
    mut submit: impl FnMut(*const Options, *mut Queue) -> Result<(), CatalogError>,
) -> Result<Vec<Owned<Event>>, CatalogError> {
    let milliseconds = i32::try_from(answer.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive for the whole function; both are destroyed before it.
    let queue = Owned::new(unsafe { rd::rd_kafka_queue_new(client.native_ptr()) }, rd::rd_kafka_queue_destroy)?;
    // SAFETY: as above.
    let options = unsafe { rd::rd_kafka_AdminOptions_new(client.native_ptr(), operation) };
    let options = Owned::new(options, rd::rd_kafka_AdminOptions_destroy)?;
    let mut said: [c_char; 256] = [0; 256];
    // SAFETY: `said` has the length that is given, and librdkafka ends what it writes with a zero.
    let set = unsafe {
        rd::rd_kafka_AdminOptions_set_request_timeout(options.get(), milliseconds, said.as_mut_ptr(), said.len())
    };
    if set != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(failed(text(said.as_ptr())));
    }
    submit(options.get(), queue.get())?;
    let mut events = Vec::with_capacity(results);
    for _ in 0..results {
        // SAFETY: the queue is alive; a null event means that time is up.
        let event = unsafe { rd::rd_kafka_queue_poll(queue.get(), milliseconds) };
        if event.is_null() {
            return Err(failed("no answer in time"));
        }
        let event = Owned::new(event, rd::rd_kafka_event_destroy)?;
        // SAFETY: the event is alive.
        let error = unsafe { rd::rd_kafka_event_error(event.get()) };
        if error != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            // SAFETY: as above.
            return Err(failed(text(unsafe { rd::rd_kafka_event_error_string(event.get()) })));
        }
        events.push(event);
    }
    Ok(events)
}

/// Every group with its kind and state.
pub(super) fn list(client: &Client<QuietContext>, answer: Duration) -> Result<Vec<Group>, CatalogError> {
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS;
    let events = ask(client, operation, answer, 1, |options, queue| {
        // SAFETY: client, options and queue are alive; the call copies what it needs.
        unsafe { rd::rd_kafka_ListConsumerGroups(client.native_ptr(), options, queue) };
        Ok(())
    })?;
    let mut groups = Vec::new();
    for event in &events {
        let mut count = 0;
        // SAFETY: the event is alive and is asked for what it holds; a wrong kind gives null, which has no elements.
        let found = unsafe {
            let result = rd::rd_kafka_event_ListConsumerGroups_result(event.get());
            if result.is_null() {
                return Err(failed("an answer of another kind"));
            }
            rd::rd_kafka_ListConsumerGroups_result_valid(result, &mut count)
        };
        for listing in elements(found, count) {
            // SAFETY: the listing is part of the event; the names of kinds and states are constants.
            groups.push(unsafe {
                Group {
                    id: text(rd::rd_kafka_ConsumerGroupListing_group_id(listing)),
                    kind: kind(rd::rd_kafka_ConsumerGroupListing_type(listing)),
                    state: state(rd::rd_kafka_ConsumerGroupListing_state(listing)),
                    ..Group::default()
                }
            });
        }
    }
    Ok(groups)
}

fn kind(kind: rd::rd_kafka_consumer_group_type_t) -> String {
    // SAFETY: the names are constants.
    text(unsafe { rd::rd_kafka_consumer_group_type_name(kind) })
}

fn state(state: rd::rd_kafka_consumer_group_state_t) -> String {
    // SAFETY: the names are constants.
    text(unsafe { rd::rd_kafka_consumer_group_state_name(state) })
}

/// Fills in members, kind and state.
pub(super) fn describe(
    client: &Client<QuietContext>,
    groups: &mut [Group],
    answer: Duration,
) -> Result<(), CatalogError> {
    let ids: Vec<CString> = groups.iter().filter_map(|group| CString::new(group.id.as_str()).ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut pointers: Vec<*const c_char> = ids.iter().map(|id| id.as_ptr()).collect();
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let events = ask(client, operation, answer, 1, |options, queue| {
        // SAFETY: the names outlive the call, which copies them.
        unsafe {
            rd::rd_kafka_DescribeConsumerGroups(
                client.native_ptr(),
                pointers.as_mut_ptr(),
                pointers.len(),
                options,
                queue,
            );
        }
        Ok(())
    })?;
    for event in &events {
        let mut count = 0;
        // SAFETY: the event is alive; a wrong kind gives null.
        let found = unsafe {
            let result = rd::rd_kafka_event_DescribeConsumerGroups_result(event.get());
            if result.is_null() {
                return Err(failed("an answer of another kind"));
            }
            rd::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count)
        };
        for description in elements(found, count) {
            // SAFETY: the description is part of the event.
            let id = text(unsafe { rd::rd_kafka_ConsumerGroupDescription_group_id(description) });
            if let Some(group) = groups.iter_mut().find(|group| group.id == id) {
                described(group, description);
            }
        }
    }
    Ok(())
}

fn described(group: &mut Group, description: *const rd::rd_kafka_ConsumerGroupDescription_t) {
    // SAFETY: the caller's event is alive, and everything asked here is part of it; indexes are below the count.
    unsafe {
        let error = rd::rd_kafka_ConsumerGroupDescription_error(description);
        if !error.is_null() && rd::rd_kafka_error_code(error) != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            group.error = Some(text(rd::rd_kafka_error_string(error)));
            return;
        }
        group.kind = kind(rd::rd_kafka_ConsumerGroupDescription_type(description));
        group.state = state(rd::rd_kafka_ConsumerGroupDescription_state(description));
        for at in 0..rd::rd_kafka_ConsumerGroupDescription_member_count(description) {
            let member = rd::rd_kafka_ConsumerGroupDescription_member(description, at);
            let assignment = rd::rd_kafka_MemberDescription_assignment(member);
            let assigned = if assignment.is_null() {
                std::ptr::null()
            } else {
                rd::rd_kafka_MemberAssignment_partitions(assignment)
            };
            group.members.push(Member {
                client_id: text(rd::rd_kafka_MemberDescription_client_id(member)),
                host: text(rd::rd_kafka_MemberDescription_host(member)),
                assigned: partitions(assigned).into_iter().map(|(topic, partition, _)| (topic, partition)).collect(),
            });
        }
    }
}

/// Fills in what each group has committed: one request per group, all under way together.
pub(super) fn committed(
    client: &Client<QuietContext>,
    groups: &mut [Group],
    answer: Duration,
) -> Result<(), CatalogError> {
    let asked: Vec<CString> = groups.iter().filter_map(|group| CString::new(group.id.as_str()).ok()).collect();
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
    let events = ask(client, operation, answer, asked.len(), |options, queue| {
        for id in &asked {
            // SAFETY: the name outlives the call; no partitions means all that have a commit.
            let request = unsafe { rd::rd_kafka_ListConsumerGroupOffsets_new(id.as_ptr(), std::ptr::null()) };
            let request = Owned::new(request, rd::rd_kafka_ListConsumerGroupOffsets_destroy)?;
            let mut one = [request.get()];
            // SAFETY: one request stands in the array; the call copies it.
            unsafe {
                rd::rd_kafka_ListConsumerGroupOffsets(client.native_ptr(), one.as_mut_ptr(), one.len(), options, queue);
            }
        }
        Ok(())
    })?;
    for event in &events {
        let mut count = 0;
        // SAFETY: the event is alive; a wrong kind gives null.
        let found = unsafe {
            let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(event.get());
            if result.is_null() {
                return Err(failed("an answer of another kind"));
            }
            rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count)
        };
        for result in elements(found, count) {
            // SAFETY: the result is part of the event.
            let (id, list) =
                unsafe { (text(rd::rd_kafka_group_result_name(result)), rd::rd_kafka_group_result_partitions(result)) };
            let Some(group) = groups.iter_mut().find(|group| group.id == id) else { continue };
            for (topic, partition, offset) in partitions(list) {
                // Below 0 is how Kafka says that there is no commit.
                if offset >= 0 {
                    group.committed.insert((topic, partition), offset);
                }
            }
        }
    }
    Ok(())
}
