//! Kafka's ids of topics: a topic deleted and created again has the same name and another id. The client library offers
//! them only through its C interface, so this module is the one that speaks it.
#![expect(unsafe_code, reason = "DescribeTopics is not wrapped by the rdkafka crate; the calls are contained here")]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};

/// Ids of those topics that the cluster knows an id for. An old cluster, or one that does not answer in time, gives none.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> HashMap<String, String> {
    let names: Vec<CString> = topics.iter().filter_map(|name| CString::new(*name).ok()).collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let mut ids = HashMap::new();
    if pointers.is_empty() {
        return ids;
    }
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `client` keeps the handle alive for the whole call. The names outlive the collection, which copies them.
    // Queue, collection, options and event are each made here, checked for null where the library may return it, and
    // destroyed here exactly once, the event after the last use of what it lends (descriptions, names, ids).
    unsafe {
        let handle = client.native_ptr();
        let queue = c::rd_kafka_queue_new(handle);
        let collection = c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let options = c::rd_kafka_AdminOptions_new(handle, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let mut error_text = [0; 256];
        c::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, error_text.as_mut_ptr(), error_text.len());
        c::rd_kafka_DescribeTopics(handle, collection, options, queue);
        let event = c::rd_kafka_queue_poll(queue, timeout_ms);
        if !event.is_null() {
            let result = c::rd_kafka_event_DescribeTopics_result(event);
            if !result.is_null() {
                let mut count = 0;
                let descriptions = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
                for at in 0..count {
                    let description = *descriptions.add(at);
                    let name = c::rd_kafka_TopicDescription_name(description);
                    let id = c::rd_kafka_TopicDescription_topic_id(description);
                    if name.is_null() || id.is_null() {
                        continue;
                    }
                    let high = c::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
                    let low = c::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
                    if (high, low) != (0, 0) {
                        let name = CStr::from_ptr(name).to_string_lossy().into_owned();
                        ids.insert(name, format!("{high:016x}{low:016x}"));
                    }
                }
            }
            c::rd_kafka_event_destroy(event);
        }
        c::rd_kafka_AdminOptions_destroy(options);
        c::rd_kafka_TopicCollection_destroy(collection);
        c::rd_kafka_queue_destroy(queue);
    }
    ids
}
