//! An answer as JSON. Rows are text already and are written through: read into numbers, 2⁵³ + 1 would become 2⁵³.

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use weft_model::json;
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};
use weft_model::query::{Answer, Position};

/// `{"rows": […], "position": […], "next": …}`.
pub(crate) fn response(answer: &Answer) -> Response {
    let mut response = Bytes::from(body(answer)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The same as bytes, which are UTF-8.
pub(crate) fn body(answer: &Answer) -> Vec<u8> {
    const FRAME_BYTES: usize = 512;
    let rows_bytes: usize = answer.rows.iter().map(|row| row.len() + 1).sum();
    let mut out = Vec::with_capacity(rows_bytes + FRAME_BYTES);
    out.extend_from_slice(b"{\"rows\":[");
    for (i, row) in answer.rows.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(row.as_bytes());
    }
    out.extend_from_slice(b"],\"position\":[");
    for (i, position) in answer.position.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_position(&mut out, position);
    }
    out.extend_from_slice(b"],\"next\":");
    match &answer.next {
        Some(token) => json::push_string(&mut out, token),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

fn push_position(out: &mut Vec<u8>, position: &Position) {
    out.extend_from_slice(b"{\"port\":");
    json::push_string(out, &position.port.to_string());
    out.extend_from_slice(b",\"generation\":");
    json::push_int64(out, i64::from(position.generation));
    out.extend_from_slice(b",\"topic_id\":");
    match &position.topic_id {
        Some(id) => json::push_string(out, id),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"offsets\":{");
    for (i, (partition, offset)) in position.offsets.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::push_string(out, &partition.to_string());
        out.push(b':');
        json::push_int64(out, *offset);
    }
    out.extend_from_slice(b"},\"watermark\":");
    match position.watermark {
        None | Some(WATERMARK_NONE) => out.extend_from_slice(b"null"),
        Some(watermark) => json::push_string(out, &watermark_text(watermark)),
    }
    out.push(b'}');
}

/// An instant, or `complete` when the port's inputs have ended.
fn watermark_text(watermark: WatermarkMs) -> String {
    if watermark == WATERMARK_COMPLETE { "complete".to_owned() } else { json::format_timestamp_ms(watermark) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn rows_pass_untouched_and_the_position_says_what_they_speak_for() {
        let port = weft_model::name::PortId {
            product: weft_model::name::ProductId { domain: "d".parse().unwrap(), product: "p".parse().unwrap() },
            port: "o".parse().unwrap(),
            major: 2,
        };
        let position = |watermark| Position {
            port: port.clone(),
            generation: 3,
            topic_id: None,
            offsets: BTreeMap::from([(0, 5), (10, 7), (2, 6)]),
            watermark,
        };
        let answer = Answer {
            rows: vec![r#"{"n":9007199254740993}"#.to_owned(), r#"{"x":1.0,"d":"1.50"}"#.to_owned()],
            position: vec![position(Some(0)), position(Some(WATERMARK_COMPLETE)), position(None)],
            next: Some("a\"b".to_owned()),
        };
        let text = String::from_utf8(body(&answer)).unwrap();
        let head = r#"{"rows":[{"n":9007199254740993},{"x":1.0,"d":"1.50"}],"position":[{"port":"d.p.o@2","generation":3,"topic_id":null,"offsets":{"0":5,"2":6,"10":7},"watermark":"1970-01-01T00:00:00.000Z"},"#;
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains(r#""watermark":"complete""#) && text.contains(r#""watermark":null"#), "{text}");
        assert!(text.ends_with(r#""next":"a\"b"}"#), "{text}");
        let _: serde_json::Value = serde_json::from_str(&text).unwrap();
    }
}
