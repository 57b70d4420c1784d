use std::fs::File;
use std::io::{Read, Write};

use expect_test::{Expect, expect};
use weft_model::name::{PortId, ProductId};
use weft_model::product::{DerivedColumn, Disorder, Encoding, OutputPort, PortKind, PortRole, ReplayMode, SourceSpec};
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE};
use weft_model::schema::{Column, ColumnType, Schema};

use super::index::Entry;
use super::record::split;
use super::*;

fn product() -> ProductId {
    ProductId { domain: "flight-ops".parse().unwrap(), product: "flights".parse().unwrap() }
}

fn spec() -> SourceSpec {
    SourceSpec {
        port: "flights".parse().unwrap(),
        file: "flights.csv".to_owned(),
        null: "NA".to_owned(),
        mode: ReplayMode::Once,
        derive: vec![DerivedColumn {
            name: "scheduled_at".to_owned(),
            timestamp: "time_hour".to_owned(),
            plus_minutes: Some("minute".to_owned()),
        }],
        disorder: None,
        disk_reserve_bytes: 0,
    }
}

/// origin, flight, minute, time_hour, note and the derived scheduled_at; key (origin, flight).
fn port() -> OutputPort {
    let column = |name: &str, column_type, nullable| Column { name: name.to_owned(), column_type, nullable };
    OutputPort {
        id: PortId { product: product(), port: "flights".parse().unwrap(), major: 1 },
        role: PortRole::Declared,
        kind: PortKind::Append,
        topic: "flight-ops.flights.flights.v1".to_owned(),
        adopted: false,
        partitions: 4,
        contract_id: String::new(),
        description: String::new(),
        schema: Schema {
            columns: vec![
                column("origin", ColumnType::String, false),
                column("flight", ColumnType::Int64, false),
                column("minute", ColumnType::Int64, true),
                column("time_hour", ColumnType::Timestamp, true),
                column("note", ColumnType::String, true),
                column("scheduled_at", ColumnType::Timestamp, true),
            ],
        },
        column_docs: std::collections::BTreeMap::new(),
        key: vec!["origin".to_owned(), "flight".to_owned()],
        event_time: Some("scheduled_at".to_owned()),
        event_time_offset_ms: 0,
        encoding: Encoding::Json,
        retention_ms: -1,
    }
}

const HEADER: &str = "origin,flight,minute,time_hour,note";

/// Gives a byte at a time, so that every boundary falls between two reads.
struct Dribble<'a>(&'a [u8]);

impl Read for Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        into[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

/// Records of a text with three columns, at most 20 bytes each: line, offset, fields.
#[track_caller]
fn check_records(text: &[u8], expected: Expect) {
    let read = |input: &mut dyn Read| {
        let mut scanner = Scanner::new(input, 0, 1, 20);
        scanner.expect_columns(3);
        let mut out = String::new();
        while let Some(record) = scanner.next_record(false).unwrap() {
            let mut fields = Vec::new();
            let fields = match split(record.bytes, &mut fields) {
                Err(error) => error.to_string(),
                Ok(()) => {
                    let text = |field| String::from_utf8_lossy(&layout::unquote(record.bytes, field)).into_owned();
                    fields.into_iter().map(|field| format!("<{}>", text(field))).collect()
                }
            };
            let note = match (record.too_long, record.terminated) {
                (true, _) => " too long",
                (false, true) => "",
                (false, false) => " unterminated",
            };
            out += &format!("{} @{} {}{note}\n", record.line, record.offset, fields.replace('\n', "⏎"));
        }
        out
    };
    let whole = read(&mut &text[..]);
    assert_eq!(whole, read(&mut Dribble(text)), "the same in small pieces");
    expected.assert_eq(&whole);
}

#[test]
fn records_with_every_line_end() {
    check_records(
        b"a,b,c\n1,2,3\r\n\n\r\n4,,6",
        expect![[r#"
            1 @0 <a><b><c>
            2 @6 <1><2><3>
            5 @16 <4><><6> unterminated
        "#]],
    );
}

#[test]
fn quotes_keep_commas_quotes_and_line_ends() {
    check_records(
        b"\"a,b\",\"say \"\"x\"\"\",c\n\"1\n2\",3,4\n5,6,\"7\n8\"",
        expect![[r#"
            1 @0 <a,b><say "x"><c>
            2 @20 <1⏎2><3><4>
            4 @30 <5><6><7⏎8> unterminated
        "#]],
    );
}

#[test]
fn a_quote_that_never_closes_costs_its_own_line_only() {
    check_records(
        b"1,2,3\n4,\"5,6\n7,8,9\n10,11,12\n",
        expect![[r#"
            1 @0 <1><2><3>
            2 @6 the quote that opens field 2 is not closed
            3 @13 <7><8><9>
            4 @19 <10><11><12>
        "#]],
    );
    // A later quote closes it, and the field count gives it away.
    check_records(
        b"1,\"2,3\n4,5,6\n7,\"8\",9\n",
        expect![[r#"
            1 @0 the quote that opens field 2 is not closed
            2 @7 <4><5><6>
            3 @13 <7><8><9>
        "#]],
    );
}

#[test]
fn a_record_over_the_bound_is_cut_and_the_next_one_is_found() {
    check_records(
        b"1,2,3\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,b,c\n4,5,6\nbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        expect![[r#"
            1 @0 <1><2><3>
            2 @6 <aaaaaaaaaaaaaaaaaaaa> too long
            3 @43 <4><5><6>
            4 @49 <bbbbbbbbbbbbbbbbbbbb> too long
        "#]],
    );
}

#[test]
fn while_more_may_come_half_a_record_waits() {
    let mut file = tempfile::tempfile().unwrap();
    let mut write = file.try_clone().unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    use std::os::unix::fs::FileExt;
    write.write_all(b"1,2,3\n4,5").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut scanner = Scanner::new(file, 0, 1, 100);
    assert_eq!(scanner.next_record(true).unwrap().unwrap().bytes, b"1,2,3");
    assert_eq!(scanner.next_record(true).unwrap(), None);
    write.write_all_at(b",6\n", 9).unwrap();
    // Both handles share one cursor: the scanner goes on where its own reading ended.
    std::io::Seek::seek(&mut write, std::io::SeekFrom::Start(9)).unwrap();
    let record = scanner.next_record(true).unwrap().unwrap();
    assert_eq!((record.bytes, record.line, record.offset, record.next_offset), (&b"4,5,6"[..], 2, 6, 12));
}

fn layout(header: &str) -> Layout {
    Layout::new(header.as_bytes(), &spec(), &port()).unwrap()
}

/// Key, partition, event time and value of one line; or column and reason.
#[track_caller]
fn check_row(header: &str, line: &[u8], shift_ms: i64, expected: Expect) {
    let mut encoder = RowEncoder::new(layout(header), &port(), 4);
    let shown = match encoder.encode(line, 7, shift_ms) {
        Ok(row) => format!(
            "{} → {} at {}\n{}\n",
            String::from_utf8_lossy(row.key.as_deref().unwrap_or(b"no key")),
            row.partition,
            row.event_ms,
            String::from_utf8_lossy(row.value)
        ),
        Err(bad) => format!("{}: {}\n", bad.column.as_deref().unwrap_or("the row"), bad.reason),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_row_in_contract_order_with_its_derived_column() {
    check_row(
        HEADER,
        b"EWR,1545,15,2013-01-01T10:00:00Z,\"said \"\"hi\"\", left\"",
        0,
        expect![[r#"
            ["EWR",1545] → 1 at 1357035300000
            {"origin":"EWR","flight":1545,"minute":15,"time_hour":"2013-01-01T10:00:00.000Z","note":"said \"hi\", left","scheduled_at":"2013-01-01T10:15:00.000Z"}
        "#]],
    );
}

#[test]
fn columns_are_found_by_name_in_any_order_behind_a_byte_order_mark() {
    check_row(
        "\u{feff}note,time_hour,minute,flight,\"origin\"",
        b"NA,2013-01-01T10:00:00Z,15,1545,EWR",
        0,
        expect![[r#"
            ["EWR",1545] → 1 at 1357035300000
            {"origin":"EWR","flight":1545,"minute":15,"time_hour":"2013-01-01T10:00:00.000Z","note":null,"scheduled_at":"2013-01-01T10:15:00.000Z"}
        "#]],
    );
}

#[test]
fn a_later_round_moves_every_timestamp() {
    check_row(
        HEADER,
        b"EWR,1545,15,2013-01-01T10:00:00Z,",
        2 * 86_400_000,
        expect![[r#"
            ["EWR",1545] → 1 at 1357208100000
            {"origin":"EWR","flight":1545,"minute":15,"time_hour":"2013-01-03T10:00:00.000Z","note":"","scheduled_at":"2013-01-03T10:15:00.000Z"}
        "#]],
    );
}

#[test]
fn broken_rows_say_what_is_wrong() {
    let check = |line: &[u8], expected: Expect| check_row(HEADER, line, 0, expected);
    check(
        b"EWR,1545,15,2013-01-01T10:00:00Z",
        expect![[r#"
        the row: the row has 4 fields, the header row has 5
    "#]],
    );
    check(
        b"EWR,1545,15,2013-01-01T10:00:00Z,a,b",
        expect![[r#"
        the row: the row has 6 fields, the header row has 5
    "#]],
    );
    check(
        b"EWR,15x,15,2013-01-01T10:00:00Z,a",
        expect![[r#"
        flight: "15x" is not a 64-bit integer
    "#]],
    );
    check(
        b"NA,1545,15,2013-01-01T10:00:00Z,a",
        expect![[r#"
        origin: it is null, and the contract requires a value
    "#]],
    );
    check(
        b"EWR,1545,15,2013-01-01T10:00,a",
        expect![[r#"
        time_hour: "2013-01-01T10:00" is not a timestamp such as "2013-01-01T11:00:00Z"
    "#]],
    );
    check(
        b"EWR,1545,NA,2013-01-01T10:00:00Z,a",
        expect![[r#"
        scheduled_at: the row has no event time
    "#]],
    );
    check(
        b"EWR,1545,9223372036854775807,2013-01-01T10:00:00Z,a",
        expect![[r#"
        scheduled_at: 9223372036854775807 minutes after 2013-01-01T10:00:00.000Z is out of range
    "#]],
    );
    check(
        b"EWR,1545,15,2013-01-01T10:00:00Z,Z\xfcrich",
        expect![[r#"
        note: byte 2 of it is not UTF-8
    "#]],
    );
    check(
        b"EWR,1545,15,2013-01-01T10:00:00Z,\"a\"b",
        expect![[r#"
        the row: text follows the closing quote of field 5
    "#]],
    );
}

#[test]
fn the_errors_port_gets_place_reason_and_bytes() {
    let bad = BadRow { column: Some("flight".to_owned()), reason: "\"15x\" is not a 64-bit integer".to_owned() };
    let row = error_row(&product(), "flights.csv", 17, &bad, b"EWR,15x", 4);
    expect![[r#"{"at":"flight-ops.flights source","topic":null,"partition":null,"offset":null,"file":"flights.csv","line":17,"column":"flight","reason":"\"15x\" is not a 64-bit integer (raw holds the first 4 of 7 bytes)","raw":"RVdSLA==","window_start":null,"window_end":null,"watermark":null}"#]]
        .assert_eq(&String::from_utf8(row).unwrap());
}

#[test]
fn a_header_that_does_not_fit_stops_the_source() {
    let check = |header: &str, expected: Expect| {
        let error = Layout::new(header.as_bytes(), &spec(), &port()).unwrap_err();
        expected.assert_eq(&error.diagnostic(&product()).to_string());
    };
    check(
        "origin,flight,minute,time_hour",
        expect![[r#"
        error: cannot read source of product "flight-ops.flights"
          at       flights.csv:1
          because  the header row lacks column "note" of the contract
          try      make the header row and the columns of the contract agree, or derive the column in source.yaml
          code     SRC-004 · weft explain SRC-004"#]],
    );
    check(
        "origin,flight,minute,time_hour,note,tail",
        expect![[r#"
        error: cannot read source of product "flight-ops.flights"
          at       flights.csv:1
          because  the contract has no column "tail", which the header row names
          try      make the header row and the columns of the contract agree, or derive the column in source.yaml
          code     SRC-004 · weft explain SRC-004"#]],
    );
    check(
        "origin,flight,minute,time_hour,note,origin",
        expect![[r#"
        error: cannot read source of product "flight-ops.flights"
          at       flights.csv:1
          because  the header row names "origin" twice
          try      make the header row and the columns of the contract agree, or derive the column in source.yaml
          code     SRC-004 · weft explain SRC-004"#]],
    );
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    (folder, path)
}

/// Lines of the file in the order of the replay, each with the watermark before it; and the watermark at the end.
fn order(text: &str, disorder: Option<Disorder>) -> String {
    let (folder, path) = written("flights.csv", text.as_bytes());
    let file = CsvFile::open(&path, folder.path(), &product()).unwrap();
    let spec = SourceSpec { disorder, ..spec() };
    let (_, index) = Index::build(&file, &spec, &port(), 1 << 20, &|| false).unwrap().unwrap();
    let time = |ms: i64| match ms {
        WATERMARK_NONE => "nothing said".to_owned(),
        WATERMARK_COMPLETE => "complete".to_owned(),
        ms => weft_model::json::format_timestamp_ms(ms),
    };
    let mut reader = BlockReader::new(file.plain.try_clone().unwrap());
    let mut out = String::new();
    for at in 0..index.len() {
        let entry = index.get(at).unwrap();
        let record = reader.read(entry.offset, entry.len()).unwrap();
        let delayed = if entry.delayed() { " delayed" } else { "" };
        let name = String::from_utf8_lossy(record).split(',').nth(1).unwrap_or("?").to_owned();
        out += &format!("line {} flight {name}{delayed}, before it: {}\n", entry.line, time(index.watermark(at)));
    }
    out + &time(index.watermark(index.len()))
}

const FIVE: &str = "origin,flight,minute,time_hour,note
EWR,1,30,2013-01-01T11:00:00Z,a
EWR,2,0,2013-01-01T10:00:00Z,\"two
lines\"
EWR,3,NA,2013-01-01T10:00:00Z,no event time
EWR,4,0,2013-01-01T10:00:00Z,same time as 2
EWR,5
";

#[test]
fn event_time_then_line_and_what_has_no_time_first() {
    expect![[r#"
        line 5 flight 3, before it: nothing said
        line 7 flight 5, before it: nothing said
        line 3 flight 2, before it: 2013-01-01T10:00:00.000Z
        line 6 flight 4, before it: 2013-01-01T10:00:00.000Z
        line 2 flight 1, before it: 2013-01-01T11:30:00.000Z
        complete"#]]
    .assert_eq(&order(FIVE, None));
}

#[test]
fn disorder_sends_a_row_later_and_the_watermark_passes_it() {
    let mut text = HEADER.to_owned() + "\n";
    for flight in 0..6 {
        text += &format!("EWR,{flight},0,2013-01-01T1{flight}:00:00Z,\n");
    }
    let disorder = |seed| Some(Disorder { rows: 2, seconds: 9000, seed });
    expect![[r#"
        line 2 flight 0, before it: 2013-01-01T10:00:00.000Z
        line 4 flight 2, before it: 2013-01-01T12:00:00.000Z
        line 5 flight 3, before it: 2013-01-01T13:00:00.000Z
        line 3 flight 1 delayed, before it: 2013-01-01T13:30:00.000Z
        line 7 flight 5, before it: 2013-01-01T15:00:00.000Z
        line 6 flight 4 delayed, before it: 2013-01-01T16:30:00.000Z
        complete"#]]
    .assert_eq(&order(&text, disorder(7)));
    assert_eq!(order(&text, disorder(7)), order(&text, disorder(7)));
    assert!((0..20).any(|seed| order(&text, disorder(seed)) != order(&text, disorder(7))), "the seed chooses");
    let all = order(&text, Some(Disorder { rows: 100, seconds: 1, seed: 0 }));
    assert_eq!(all.matches("delayed").count(), 6);
}

#[test]
fn disorder_gives_every_row_the_same_chance() {
    let mut chosen = [0_u32; 10];
    for seed in 0..2000 {
        let entries = (0..10).map(|at| Entry::new(Some(i64::from(at)), 0, at, 1, false)).collect();
        let index = Index::of(entries, Some(&Disorder { rows: 3, seconds: 0, seed }), 10);
        for entry in (0..10).map(|at| index.get(at).unwrap()).filter(Entry::delayed) {
            chosen[entry.line as usize] += 1;
        }
    }
    assert_eq!(chosen.iter().sum::<u32>(), 6000);
    assert!(chosen.iter().all(|count| (500..700).contains(count)), "{chosen:?}");
}

#[test]
fn the_index_takes_24_bytes_a_row() {
    assert_eq!(size_of::<Entry>(), 24);
}

#[test]
fn a_round_of_loop_is_whole_days() {
    let at = |hours: i64, line| Entry::new(Some(hours * 3_600_000), 0, line, 1, false);
    let span = |entries: Vec<Entry>| Index::of(entries, None, 1).span_ms().map(|ms| ms / 3_600_000);
    assert_eq!(span(vec![at(5, 1), at(6, 2)]), Some(24));
    assert_eq!(span(vec![at(5, 1), at(29, 2)]), Some(48));
    assert_eq!(span(vec![Entry::new(None, 0, 1, 1, false)]), None);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn plain_of(path: &std::path::Path, data: &std::path::Path) -> (String, Option<String>) {
    let mut file = CsvFile::open(path, data, &product()).unwrap();
    let mut text = String::new();
    file.plain.read_to_string(&mut text).unwrap();
    (text, file.broken)
}

#[test]
fn packed_files_are_unpacked_once() {
    let data = tempfile::tempdir().unwrap();
    for (name, packed) in [("f.csv.gz", gzip(FIVE.as_bytes())), ("f.zip", zip(&[("f.csv", FIVE.as_bytes())]))] {
        let (_folder, path) = written(name, &packed);
        assert_eq!(plain_of(&path, data.path()), (FIVE.to_owned(), None));
        let copies = || {
            let folder = std::fs::read_dir(data.path().join("sources/flight-ops.flights")).unwrap();
            folder
                .map(|entry| entry.unwrap())
                .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
                .collect::<Vec<_>>()
        };
        let first = copies();
        assert_eq!(first.len(), 1, "the copy of another file is gone");
        assert_eq!(plain_of(&path, data.path()), (FIVE.to_owned(), None));
        assert_eq!(copies(), first, "found again, not made again");
    }
}

#[test]
fn a_gzip_that_ends_early_gives_what_it_holds_and_says_so() {
    let data = tempfile::tempdir().unwrap();
    let packed = gzip(FIVE.repeat(200).as_bytes());
    let (_folder, path) = written("f.csv.gz", &packed[..packed.len() / 2]);
    for _again in 0..2 {
        let (text, broken) = plain_of(&path, data.path());
        assert!(!text.is_empty() && FIVE.repeat(200).starts_with(&text));
        assert_eq!(broken.as_deref(), Some("the compressed file ends early"));
    }
}

#[test]
fn archives_that_are_none_are_refused() {
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let (folder, path) = written(name, bytes);
        let error = CsvFile::open(&path, folder.path(), &product()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("f.csv.gz", b"plain text", "does not start as gzip does");
    check("f.zip", b"plain text", "no whole zip");
    check("f.zip", &zip(&[("a", b"1"), ("b", b"2")]), "holds 2 files");
    let whole = zip(&[("a", FIVE.as_bytes())]);
    check("f.zip", &whole[..whole.len() - 30], "no whole zip");
}

#[test]
fn records_across_blocks_are_read_whole() {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    file.write_all(&bytes).unwrap();
    let mut reader = BlockReader::new(file);
    for at in [0, 65_530, 65_536, 131_000, 299_990] {
        let read = reader.read(at as u64, 10).unwrap();
        assert_eq!(read, &bytes[at..at + 10]);
    }
    assert!(reader.read(299_995, 10).is_err());
}
