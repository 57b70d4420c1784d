//! Bytes that no client would send. The log answers or closes, goes on serving others, and keeps what it acknowledged.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::client::Client;
use e2e::server::{Kind, Server};
use serde_json::json;

/// Memory that garbage may cost at most: an announced length must not be believed before it is checked.
const MEMORY_GROWTH_BYTES_MAX: u64 = 64 << 20;

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(body.len()).expect("a small frame").to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// Header v1 of a request: API key, version, correlation id, client id.
fn header(api_key: i16, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(api_key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(7_i32.to_be_bytes());
    bytes.extend(3_i16.to_be_bytes());
    bytes.extend(b"e2e");
    bytes
}

/// Produce v3 of one partition with these bytes as its records.
fn produce(topic: &str, records: &[u8]) -> Vec<u8> {
    let mut bytes = header(0, 3);
    bytes.extend((-1_i16).to_be_bytes()); // no transactional id
    bytes.extend((-1_i16).to_be_bytes()); // acks=all
    bytes.extend(5_000_i32.to_be_bytes());
    bytes.extend(1_i32.to_be_bytes());
    bytes.extend(i16::try_from(topic.len()).expect("a short name").to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(1_i32.to_be_bytes());
    bytes.extend(0_i32.to_be_bytes());
    bytes.extend(i32::try_from(records.len()).expect("a small batch").to_be_bytes());
    bytes.extend(records);
    frame(&bytes)
}

/// A record batch of format 2 with one record and the CRC given, which is wrong on purpose.
fn batch(crc: u32) -> Vec<u8> {
    let mut after_crc = Vec::new();
    after_crc.extend(0_i16.to_be_bytes()); // attributes
    after_crc.extend(0_i32.to_be_bytes()); // last offset delta
    after_crc.extend(0_i64.to_be_bytes()); // timestamps
    after_crc.extend(0_i64.to_be_bytes());
    after_crc.extend((-1_i64).to_be_bytes()); // producer id, epoch, sequence
    after_crc.extend((-1_i16).to_be_bytes());
    after_crc.extend((-1_i32).to_be_bytes());
    after_crc.extend(1_i32.to_be_bytes()); // records
    after_crc.extend([14, 0, 0, 0, 1, 2, b'v', 0]); // one record: null key, value "v"
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes());
    batch.extend(i32::try_from(after_crc.len() + 9).expect("a small batch").to_be_bytes());
    batch.extend(0_i32.to_be_bytes());
    batch.push(2);
    batch.extend(crc.to_be_bytes());
    batch.extend(after_crc);
    batch
}

/// Sends bytes, closes its side, and hands back what came before the other side closed.
fn send(server: &Server, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server.bootstrap())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // A reset says the same as a close: we were not understood.
        Ok(_) => Ok(answer),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(answer),
        Err(error) => Err(error.into()),
    }
}

fn garbage_is_survived(kind: Kind) -> Result<()> {
    let server = Server::start(kind)?;
    server.create_topic("steady", 1, &[])?;
    let arguments = json!({"topic": "steady", "from": 0, "count": 50});
    Client::Confluent.run("produce", &server.bootstrap(), &arguments, server.folder())?;
    let before = server.process().memory_peak_bytes()?;

    let noise: Vec<u8> = (0_u32..4096).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut oversized = i32::MAX.to_be_bytes().to_vec();
    oversized.extend([0; 64]);
    let mut two_billion_topics = header(3, 1);
    two_billion_topics.extend(2_000_000_000_i32.to_be_bytes());
    let mut two_billion_partitions = produce("steady", &[]);
    let at = two_billion_partitions.len() - 12;
    two_billion_partitions[at..at + 4].copy_from_slice(&2_000_000_000_i32.to_be_bytes());
    let cases: [(&str, Vec<u8>); 9] = [
        ("noise", noise.clone()),
        ("noise in a frame", frame(&noise)),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("an oversized frame", oversized),
        ("a negative length", (-5_i32).to_be_bytes().to_vec()),
        ("half a frame", produce("steady", &batch(0))[..40].to_vec()),
        ("two billion topics", frame(&two_billion_topics)),
        ("two billion partitions", two_billion_partitions),
        ("an API of the future", frame(&header(999, 0))),
    ];
    for (what, bytes) in &cases {
        send(&server, bytes).map_err(|error| error.context(format!("after {what}")))?;
    }

    // A batch whose CRC is wrong is answered with CORRUPT_MESSAGE (2), and nothing of it is stored.
    let answer = send(&server, &produce("steady", &batch(0xDEAD_BEEF)))?;
    // size 4, correlation id 4, topics 4, name 2 + 6, partitions 4, partition 4, error 2
    let error = answer.get(28..30).map(|code| i16::from_be_bytes([code[0], code[1]]));
    ensure!(error == Some(2), "a wrong CRC was answered with {error:?}: {answer:?}");

    let after = server.process().memory_peak_bytes()?;
    if kind == Kind::Weft {
        ensure!(after - before < MEMORY_GROWTH_BYTES_MAX, "garbage cost {} bytes of memory", after - before);
        let log = server.process().stderr();
        ensure!(!log.contains("panicked"), "something panicked: {log}");
    }
    let keys = Client::Confluent.keys(&server.bootstrap(), "steady", 50, "read_committed", server.folder())?;
    ensure!(keys.len() == 50, "{} of 50 records are there after the garbage", keys.len());
    Ok(())
}

#[test]
fn garbage_on_kafka() -> Result<()> {
    garbage_is_survived(Kind::Kafka)
}

#[test]
fn garbage_on_weft() -> Result<()> {
    garbage_is_survived(Kind::Weft)
}
