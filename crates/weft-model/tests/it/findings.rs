//! One case per way to be wrong: the whole message, as a person sees it.

use expect_test::{Expect, expect};
use weft_model::load::{Files, LoadOptions, load};
use weft_model::name::ProductId;

use crate::support::{BIG_PRODUCT, BIG_SQL, load_files, shop, shop_with};

#[track_caller]
fn check(files: &Files, expected: Expect) {
    let Err(findings) = load_files(files) else { panic!("no finding at all") };
    expected.assert_eq(&findings.to_string());
}

fn with(path: &str, text: &str) -> Files {
    let mut files = shop();
    files.0.insert(path.to_owned(), text.to_owned());
    files
}

fn without(path: &str) -> Files {
    let mut files = shop();
    files.0.remove(path).expect("the file was there");
    files
}

#[test]
fn the_shop_is_right() {
    load_files(&shop()).unwrap_or_else(|findings| panic!("{findings}"));
}

#[test]
fn our_files_are_strict_and_name_the_near_miss() {
    check(
        &shop_with("weft.yaml", "mesh: shop\n", "mesh: shop\ntopic_prefx: acme.\n"),
        expect![[r#"
            error: unknown key "topic_prefx" in weft.yaml
              at       weft.yaml:2
              because  weft.yaml has the keys mesh, description, topic_prefix, clusters, access, listeners, replay, defaults, http, views, engine, sources, log
              try      did you mean "topic_prefix"?
              code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[test]
fn a_domain_file_is_strict_too() {
    check(
        &shop_with("domains/sales/domain.yaml", "owner: sales-team", "onwer: sales-team"),
        expect![[r#"
        error: unknown key "onwer" in domain.yaml
          at       domains/sales/domain.yaml:1
          because  domain.yaml has the keys name, owner, description, contact
          try      did you mean "owner"?
          code     MODEL-005 · weft explain MODEL-005

        error: the domain has no owner
          at       domains/sales/domain.yaml:1
          because  `owner` is missing or empty
          try      name the team that answers for it: `owner: …`
          code     MODEL-014 · weft explain MODEL-014"#]],
    );
}

#[test]
fn a_value_of_the_wrong_type() {
    check(
        &shop_with("weft.yaml", "mesh: shop\n", "mesh: shop\ndefaults:\n  partitions: many\n"),
        expect![[r#"
        error: "partitions" has a value of the wrong type
          at       weft.yaml:3
          because  it is text "many", expected a whole number from 1 to 1024
          try      write a whole number from 1 to 1024
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn a_mesh_id_that_topics_cannot_carry() {
    check(
        &shop_with("weft.yaml", "shop", "My_Shop"),
        expect![[r#"
        error: the mesh has an id that topics cannot carry
          at       weft.yaml:1
          because  "My_Shop" is not a name: names are 1 to 63 of a-z, 0-9 and -, starting with a letter or digit
          try      choose another id; it stands in every internal topic, so it cannot change later
          code     MODEL-013 · weft explain MODEL-013"#]],
    );
}

#[test]
fn a_mesh_without_id() {
    check(
        &shop_with("weft.yaml", "mesh: shop\n", "description: no id\n"),
        expect![[r#"
        error: weft.yaml lacks key "mesh"
          at       weft.yaml:1
          because  it is required
          try      add `mesh: my-mesh`
          code     MODEL-007 · weft explain MODEL-007"#]],
    );
}

#[test]
fn replay_speed_out_of_range() {
    check(
        &shop_with("weft.yaml", "mesh: shop\n", "mesh: shop\nreplay:\n  speed: -1\nlisteners:\n  kafka: localhost\n"),
        expect![[r#"
            error: replay speed is out of range
              at       weft.yaml:3
              because  it is number -1, expected `max` or a multiple of real time above 0
              try      write `speed: max`, or `speed: 60` for a minute per second
              code     MODEL-042 · weft explain MODEL-042

            error: listener "kafka" is no address
              at       weft.yaml:5
              because  it is "localhost", expected host:port
              try      write `127.0.0.1:9092`; port 0 takes any free one
              code     MODEL-042 · weft explain MODEL-042"#]],
    );
}

#[test]
fn a_topic_prefix_that_kafka_refuses() {
    check(
        &shop_with(
            "weft.yaml",
            "mesh: shop\n",
            r#"mesh: shop
topic_prefix: "a b"
"#,
        ),
        expect![[r#"
            error: `topic_prefix` cannot start a topic's name
              at       weft.yaml:2
              because  it is "a b"; topics hold letters, digits, `.`, `-` and `_`, and `__weft.` starts internal ones
              try      write something like `acme.`
              code     MODEL-034 · weft explain MODEL-034"#]],
    );
}

#[test]
fn yaml_that_does_not_parse() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "version: 1.0.0\nstatus", "version: [1.0.0\nstatus"),
        expect![[r#"
            error: the file is not YAML that Weft reads
              at       domains/sales/orders/product.odps.yaml:6
              because  illegal placement of ':' indicator
              try      check indentation, colons and quotes at this line
              code     MODEL-004 · weft explain MODEL-004"#]],
    );
}

#[test]
fn a_key_that_stands_twice() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "status: active", "status: active\nstatus: draft"),
        expect![[r#"
            error: the file is not YAML that Weft reads
              at       domains/sales/orders/product.odps.yaml:7
              because  key "status" stands twice in one map, first in line 6
              try      keep one of them
              code     MODEL-004 · weft explain MODEL-004"#]],
    );
}

#[test]
fn a_typo_in_a_key_of_the_standard() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "outputPorts:", "outputPort:"),
        expect![[r#"
            error: unknown key "outputPort" in the descriptor
              at       domains/sales/orders/product.odps.yaml:8
              because  ODPS knows no such key here
              try      did you mean "outputPorts"?
              code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[test]
fn a_wrong_type_in_a_standard_file() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "version: 1.0.0\nstatus", "version: 1.0\nstatus"),
        expect![[r#"
            error: "version" has a value of the wrong type
              at       domains/sales/orders/product.odps.yaml:5
              because  1.0 is not of type "string"
              try      put it in quotes
              code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn a_key_that_the_standard_requires() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "status: active\n", ""),
        expect![[r#"
        error: the descriptor lacks key "status"
          at       domains/sales/orders/orders.odcs.yaml:1
          because  ODCS requires it
          try      add `status:`
          code     MODEL-007 · weft explain MODEL-007"#]],
    );
}

#[test]
fn a_version_of_the_standard_that_is_not_known() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "apiVersion: v3.1.0", "apiVersion: v4.0.0"),
        expect![[r#"
            error: `apiVersion` names no version of ODCS that Weft reads
              at       domains/sales/orders/orders.odcs.yaml:1
              because  it is text "v4.0.0", Weft reads ODCS v3.2.0, v3.1.0, v3.0.2, v3.0.1, v3.0.0
              try      write `apiVersion: v3.1.0` and `kind: DataContract`
              code     MODEL-011 · weft explain MODEL-011"#]],
    );
}

#[test]
fn a_logical_type_of_no_standard() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "logicalType: timestamp", "logicalType: timestmap"),
        expect![[r#"
            error: "schema[0].properties[2].logicalType" has an unknown value
              at       domains/sales/orders/orders.odcs.yaml:33
              because  it is text "timestmap", ODCS allows string, date, timestamp, time, number, integer, object, array, boolean
              try      did you mean "timestamp"?
              code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn a_custom_property_that_is_nearly_ours() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "property: eventTime", "property: evenTime"),
        expect![[r#"
            error: custom property "evenTime" is not one of Weft's, but nearly
              at       domains/sales/orders/orders.odcs.yaml:20
              because  Weft reads kind, eventTime, eventTimeOffsetMs here
              try      did you mean "eventTime"? If it belongs to another tool, say so with `vendor:`
              code     MODEL-012 · weft explain MODEL-012"#]],
    );
}

#[test]
fn a_name_that_is_not_the_folders() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "name: orders\nversion", "name: order\nversion"),
        expect![[r#"
            error: `name` is not the name of the product's folder
              at       domains/sales/orders/product.odps.yaml:4
              because  it is "order", the folder is "orders"
              try      write `name: orders`, or rename the folder
              code     MODEL-013 · weft explain MODEL-013"#]],
    );
}

#[test]
fn a_product_without_owner() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "  name: sales-team", "  description: nobody"),
        expect![[r#"
            error: the product has no owner
              at       domains/sales/orders/product.odps.yaml:13
              because  `team.name` is missing or empty
              try      name the team that answers for it: `team: { name: … }`
              code     MODEL-014 · weft explain MODEL-014"#]],
    );
}

#[test]
fn a_domain_without_owner() {
    check(
        &shop_with("domains/sales/domain.yaml", "owner: sales-team", r#"owner: """#),
        expect![[r#"
        error: the domain has no owner
          at       domains/sales/domain.yaml:1
          because  `owner` is missing or empty
          try      name the team that answers for it: `owner: …`
          code     MODEL-014 · weft explain MODEL-014"#]],
    );
}

#[test]
fn a_version_without_major() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "    version: 1.0.0", "    version: first"),
        expect![[r#"
            error: version "first" has no major number
              at       domains/sales/orders/product.odps.yaml:10
              because  topics and URLs carry the major, the number before the first point
              try      write `version: 1.0.0`
              code     MODEL-015 · weft explain MODEL-015"#]],
    );
}

#[test]
fn port_and_contract_differ_in_their_major() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "    version: 1.0.0", "    version: 2.0.0"),
        expect![[r#"
            error: output port "orders" and its contract differ in their major version
              at       domains/sales/orders/product.odps.yaml:10
              because  the port says 2, contract "sales.orders.orders" says "1.0.0" (domains/sales/orders/orders.odcs.yaml:4)
              try      give both the same major
              code     MODEL-015 · weft explain MODEL-015"#]],
    );
}

#[test]
fn an_unknown_status() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "status: active", "status: alive"),
        expect![[r#"
        error: `status` has an unknown value
          at       domains/sales/orders/product.odps.yaml:6
          because  it is "alive", expected one of proposed, draft, active, deprecated, retired
          try      known here: proposed, draft, active, deprecated, retired
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn a_missing_contract() {
    check(
        &shop_with(
            "domains/sales/orders/product.odps.yaml",
            "contractId: sales.orders.orders",
            "contractId: sales.orders.order",
        ),
        expect![[r#"
            error: contract "sales.orders.order" of output port "orders" is missing
              at       domains/sales/orders/product.odps.yaml:11
              because  no *.odcs.yaml in the product's folder has that `id`
              try      did you mean "sales.orders.orders"?
              code     MODEL-020 · weft explain MODEL-020"#]],
    );
}

#[test]
fn a_port_without_contract() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "    contractId: sales.orders.orders\n", ""),
        expect![[r#"
            error: output port "orders" has no contract
              at       domains/sales/orders/product.odps.yaml:9
              because  it has no `contractId`
              try      add `contractId:` with the `id` of a contract in the product's folder
              code     MODEL-020 · weft explain MODEL-020"#]],
    );
}

#[test]
fn a_contract_of_another_product() {
    check(
        &shop_with(
            "domains/sales/orders/product.odps.yaml",
            "contractId: sales.orders.orders",
            "contractId: sales.big.orders",
        ),
        expect![[r#"
            error: contract "sales.big.orders" of output port "orders" is missing
              at       domains/sales/orders/product.odps.yaml:11
              because  it lies in domains/sales/big/orders.odcs.yaml, the folder of another product
              try      move the contract into this product's folder, or give the port its own
              code     MODEL-020 · weft explain MODEL-020"#]],
    );
}

#[test]
fn two_contracts_of_one_id() {
    check(
        &shop_with("domains/sales/big/orders.odcs.yaml", "id: sales.big.orders", "id: sales.orders.orders"),
        expect![[r#"
            error: contract "sales.big.orders" of output port "orders" is missing
              at       domains/sales/big/product.odps.yaml:17
              because  no *.odcs.yaml in the product's folder has that `id`
              try      known here: sales.orders.orders
              code     MODEL-020 · weft explain MODEL-020

            error: contract id "sales.orders.orders" is taken
              at       domains/sales/orders/orders.odcs.yaml:3
              because  domains/sales/big/orders.odcs.yaml:3 has the same id and major version
              try      give each contract an id of its own; two files of one contract differ in the major of `version`
              code     MODEL-021 · weft explain MODEL-021"#]],
    );
}

#[test]
fn a_contract_that_describes_no_topic() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "physicalType: topic", "physicalType: table"),
        expect![[r#"
            error: the contract does not describe a topic
              at       domains/sales/orders/orders.odcs.yaml:16
              because  `physicalType` is text "table"
              try      write `physicalType: topic`
              code     MODEL-023 · weft explain MODEL-023"#]],
    );
}

#[test]
fn types_that_are_not_carried_yet() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "logicalType: string", "logicalType: object"),
        expect![[r#"
            error: column "order_id" has a type that Weft does not carry yet
              at       domains/sales/orders/orders.odcs.yaml:23
              because  `logicalType` is "object"
              try      use string, integer, number, boolean, date or timestamp
              code     MODEL-024 · weft explain MODEL-024"#]],
    );
}

#[test]
fn a_decimal_without_room() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "decimal(12,2)", "decimal(50,2)"),
        expect![[r#"
        error: column "amount" has a type that Weft does not carry yet
          at       domains/sales/orders/orders.odcs.yaml:29
          because  `physicalType` is "decimal(50,2)", expected precision 1 to 38 and scale up to it
          try      write `physicalType: decimal(12,2)`
          code     MODEL-024 · weft explain MODEL-024"#]],
    );
}

#[test]
fn a_table_without_key() {
    let key = "        primaryKey: true\n        primaryKeyPosition: 1\n";
    let mut files = shop_with("domains/sales/orders/orders.odcs.yaml", "value: append", "value: upsert");
    let contract = files.0.get_mut("domains/sales/orders/orders.odcs.yaml").unwrap();
    *contract = contract.replace(key, "");
    check(
        &files,
        expect![[r#"
        error: a table has no key
          at       domains/sales/orders/orders.odcs.yaml:14
          because  `kind: upsert` keeps the last value per key, and no property has `primaryKey: true`
          try      mark the key columns with `primaryKey: true` and `primaryKeyPosition: 1, 2, …`
          code     MODEL-025 · weft explain MODEL-025"#]],
    );
}

#[test]
fn key_positions_with_a_gap() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "primaryKeyPosition: 1", "primaryKeyPosition: 2"),
        expect![[r#"
            error: position of key column "order_id" is wrong
              at       domains/sales/orders/orders.odcs.yaml:22
              because  `primaryKeyPosition` is 2; of 1 key column(s) they count 1, 2, … without gaps, and the order decides the key's bytes
              try      write `primaryKeyPosition: 1`
              code     MODEL-025 · weft explain MODEL-025"#]],
    );
}

#[test]
fn a_key_column_that_may_be_null() {
    check(
        &shop_with(
            "domains/sales/orders/orders.odcs.yaml",
            "        required: true\n        primaryKey: true",
            "        primaryKey: true",
        ),
        expect![[r#"
            error: key column "order_id" may be null
              at       domains/sales/orders/orders.odcs.yaml:22
              because  a key decides the partition and must be there in every record
              try      add `required: true` to it, or take it out of the key
              code     MODEL-025 · weft explain MODEL-025"#]],
    );
}

#[test]
fn a_floating_point_key() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "logicalType: string\n", "logicalType: number\n"),
        expect![[r#"
            error: key column "order_id" is a floating-point number
              at       domains/sales/orders/orders.odcs.yaml:22
              because  two numbers that print alike may differ in their last bit, and so in their partition
              try      use an integer, a decimal or a string as key
              code     MODEL-025 · weft explain MODEL-025"#]],
    );
}

#[test]
fn an_event_time_that_is_not_there() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "value: ordered_at", "value: orderd_at"),
        expect![[r#"
            error: event-time column "orderd_at" is not in the contract
              at       domains/sales/orders/orders.odcs.yaml:20
              because  `eventTime` names a property of the same schema
              try      did you mean "ordered_at"?
              code     MODEL-026 · weft explain MODEL-026"#]],
    );
}

#[test]
fn an_event_time_that_is_no_timestamp() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "value: ordered_at", "value: order_id"),
        expect![[r#"
            error: event-time column "order_id" is not a timestamp
              at       domains/sales/orders/orders.odcs.yaml:20
              because  its type is string
              try      name a column with `logicalType: timestamp`
              code     MODEL-026 · weft explain MODEL-026"#]],
    );
}

#[test]
fn an_event_time_that_may_be_null() {
    check(
        &shop_with(
            "domains/sales/orders/orders.odcs.yaml",
            "logicalType: timestamp\n        required: true",
            "logicalType: timestamp",
        ),
        expect![[r#"
            error: event-time column "ordered_at" may be null
              at       domains/sales/orders/orders.odcs.yaml:20
              because  a record without event time has no place in the stream
              try      add `required: true` to it; rows without it go to the error port
              code     MODEL-026 · weft explain MODEL-026"#]],
    );
}

#[test]
fn an_event_time_offset_without_event_time() {
    check(
        &shop_with(
            "domains/sales/orders/orders.odcs.yaml",
            "{ property: eventTime, value: ordered_at }",
            "{ property: eventTimeOffsetMs, value: -1 }",
        ),
        expect![[r#"
            error: `eventTimeOffsetMs` has nothing to be added to
              at       domains/sales/orders/orders.odcs.yaml:20
              because  the contract has no `eventTime`
              try      name the column in `eventTime`, or drop the offset
              code     MODEL-026 · weft explain MODEL-026"#]],
    );
}

#[test]
fn encodings_are_refused_by_name() {
    check(
        &shop_with(
            "domains/sales/orders/product.odps.yaml",
            "    contractId: sales.orders.orders",
            "    contractId: sales.orders.orders\n    customProperties:\n      - { property: encoding, value: avro }\n      - { property: schemaId, value: prefix }",
        ),
        expect![[r#"
            error: port "orders" is encoded in a way that Weft does not speak yet
              at       domains/sales/orders/product.odps.yaml:13
              because  `encoding: avro` is part of the design, but this version speaks only `json`
              try      write `{ property: encoding, value: json }`, or leave it out
              code     MODEL-027 · weft explain MODEL-027

            error: port "orders" is encoded in a way that Weft does not speak yet
              at       domains/sales/orders/product.odps.yaml:14
              because  `schemaId: prefix` is part of the design, but this version speaks only `none`
              try      write `{ property: schemaId, value: none }`, or leave it out
              code     MODEL-027 · weft explain MODEL-027"#]],
    );
}

#[test]
fn the_contracts_format_is_an_encoding_too() {
    check(
        &shop_with("domains/sales/orders/orders.odcs.yaml", "format: json", "format: avro"),
        expect![[r#"
        error: port "orders" is encoded in a way that Weft does not speak yet
          at       domains/sales/orders/orders.odcs.yaml:12
          because  the contract's kafka server says `format: avro`, this version speaks only `json`
          try      write `format: json`
          code     MODEL-027 · weft explain MODEL-027"#]],
    );
}

#[test]
fn a_partition_count_out_of_range() {
    check(
        &shop_with(
            "domains/sales/orders/product.odps.yaml",
            "    contractId: sales.orders.orders",
            "    contractId: sales.orders.orders\n    customProperties:\n      - { property: partitions, value: 0 }",
        ),
        expect![[r#"
            error: partition count of port "orders" is out of range
              at       domains/sales/orders/product.odps.yaml:13
              because  it is number 0, a topic has 1 to 1024 partitions
              try      write `value: 4` or so; on a keyed port it cannot change later
              code     MODEL-028 · weft explain MODEL-028"#]],
    );
}

#[test]
fn an_adopted_topic_needs_its_partitions_and_its_name() {
    check(
        &shop_with(
            "domains/sales/orders/product.odps.yaml",
            "    contractId: sales.orders.orders",
            "    contractId: sales.orders.orders\n    customProperties:\n      - { property: topic, value: Orders_2019 }",
        ),
        expect![[r#"
            error: the contract names another topic than its port has
              at       domains/sales/orders/orders.odcs.yaml:15
              because  `physicalName` is "sales.orders.orders.v1", the port's topic is "Orders_2019"
              try      write `physicalName: Orders_2019`; a port adopts a topic of another name with custom property `topic`
              code     MODEL-038 · weft explain MODEL-038

            error: port "orders" adopts a topic without saying how many partitions it has
              at       domains/sales/orders/product.odps.yaml:9
              because  topic "Orders_2019" was made by somebody else
              try      add `{ property: partitions, value: … }` as the topic has it
              code     MODEL-028 · weft explain MODEL-028"#]],
    );
}

#[test]
fn a_retention_that_cannot_be_read() {
    check(
        &shop_with(
            "domains/sales/orders/orders.odcs.yaml",
            "schema:\n",
            "slaProperties:\n  - { property: retention, value: 30, unit: fortnights }\nschema:\n",
        ),
        expect![[r#"
            error: retention of the contract cannot be read
              at       domains/sales/orders/orders.odcs.yaml:14
              because  it is number 30 with unit "fortnights"
              try      write a whole number with unit ms, s, min, h, d, w or y, or -1 for ever
              code     MODEL-029 · weft explain MODEL-029"#]],
    );
}

#[test]
fn an_input_that_reads_nothing_known() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "weft://sales/orders/orders/v1",
            "weft://sales/order/orders/v1",
        ),
        expect![[r#"
            error: input port "orders" reads a port that does not exist
              at       domains/sales/big/product.odps.yaml:13
              because  the mesh has no product "sales.order"
              try      did you mean "weft://sales/orders/orders/v1"?
              code     MODEL-030 · weft explain MODEL-030"#]],
    );
}

#[test]
fn an_input_that_reads_another_major() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "weft://sales/orders/orders/v1",
            "weft://sales/orders/orders/v2",
        ),
        expect![[r#"
            error: input port "orders" reads a port that does not exist
              at       domains/sales/big/product.odps.yaml:13
              because  port "sales.orders.orders" has v1, not v2
              try      read v1
              code     MODEL-030 · weft explain MODEL-030"#]],
    );
}

#[test]
fn an_input_whose_reads_is_no_uri() {
    check(
        &shop_with("domains/sales/big/product.odps.yaml", "weft://sales/orders/orders/v1", "sales.orders.orders"),
        expect![[r#"
            error: input port "orders" reads something that is no port
              at       domains/sales/big/product.odps.yaml:13
              because  `reads` is "sales.orders.orders"
              try      write `weft://<domain>/<product>/<port>/v<major>`, such as `weft://flight-ops/flights/flights/v1`
              code     MODEL-030 · weft explain MODEL-030"#]],
    );
}

#[test]
fn an_input_that_expects_another_contract() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "contractId: sales.orders.orders",
            "contractId: sales.orders.other",
        ),
        expect![[r#"
            error: input port "orders" expects another contract than the port it reads
              at       domains/sales/big/product.odps.yaml:11
              because  it says "sales.orders.other", weft://sales/orders/orders/v1 has "sales.orders.orders"
              try      write `contractId: sales.orders.orders`, or read another port
              code     MODEL-039 · weft explain MODEL-039"#]],
    );
}

#[test]
fn an_input_that_sql_cannot_name() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "  - name: orders\n    version: 1.0.0\n    contractId: sales.orders.orders",
            "  - name: raw-orders\n    version: 1.0.0\n    contractId: sales.orders.orders",
        ),
        expect![[r#"
            error: input port "raw-orders" cannot be named in SQL
              at       domains/sales/big/product.odps.yaml:9
              because  an input's name is the table name that SQL sees: 1 to 63 of a-z, 0-9 and _, not starting with a digit
              try      write `name: raw_orders`
              code     MODEL-013 · weft explain MODEL-013"#]],
    );
}

#[test]
fn options_of_an_input_without_effect() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            r#"value: "weft://sales/orders/orders/v1" }"#,
            r#"value: "weft://sales/orders/orders/v1" }
      - { property: broadcast, value: true }
      - { property: watermarkBoundMs, value: 5000 }"#,
        ),
        expect![[r#"
            error: input port "orders" broadcasts a stream
              at       domains/sales/big/product.odps.yaml:9
              because  weft://sales/orders/orders/v1 is `append`; only a table can be held whole
              try      drop `broadcast`, or read a port whose contract says `kind: upsert`
              code     MODEL-041 · weft explain MODEL-041

            error: input port "orders" sets a bound that has no effect
              at       domains/sales/big/product.odps.yaml:9
              because  Weft writes weft://sales/orders/orders/v1 and knows its progress exactly
              try      drop `watermarkBoundMs`: it is for topics that others write
              code     MODEL-041 · weft explain MODEL-041"#]],
    );
}

#[test]
fn two_inputs_of_one_name() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "outputPorts:",
            "  - name: orders\n    contractId: sales.orders.orders\noutputPorts:",
        ),
        expect![[r#"
            error: input port "orders" stands twice
              at       domains/sales/big/product.odps.yaml:14
              because  first in line 9
              try      rename or remove one of them
              code     MODEL-031 · weft explain MODEL-031"#]],
    );
}

#[test]
fn a_port_that_every_product_has() {
    check(
        &shop_with("domains/sales/orders/product.odps.yaml", "  - name: orders\n", "  - name: errors\n"),
        expect![[r#"
            error: input port "orders" reads a port that does not exist
              at       domains/sales/big/product.odps.yaml:13
              because  product "sales.orders" has no output port "orders"
              try      did you mean "weft://sales/orders/errors/v1"?
              code     MODEL-030 · weft explain MODEL-030

            error: the contract names another topic than its port has
              at       domains/sales/orders/orders.odcs.yaml:15
              because  `physicalName` is "sales.orders.orders.v1", the port's topic is "sales.orders.errors.v1"
              try      write `physicalName: sales.orders.errors.v1`; a port adopts a topic of another name with custom property `topic`
              code     MODEL-038 · weft explain MODEL-038

            error: port "sales.orders.errors@1" has a topic that is taken
              at       domains/sales/orders/product.odps.yaml:1
              because  topic "sales.orders.errors.v1" backs port "sales.orders.errors@1" (domains/sales/orders/product.odps.yaml:9)
              try      one topic backs one port: adopt another topic, or let one product read the other
              code     MODEL-033 · weft explain MODEL-033

            error: output port "errors" is one that every product has already
              at       domains/sales/orders/product.odps.yaml:9
              because  `errors` and `late` exist on every product that Weft runs and need no declaration
              try      rename the port, or leave it out
              code     MODEL-031 · weft explain MODEL-031"#]],
    );
}

#[test]
fn a_product_that_reads_itself() {
    check(
        &shop_with(
            "domains/sales/big/product.odps.yaml",
            "weft://sales/orders/orders/v1",
            "weft://sales/big/orders/v1",
        ),
        expect![[r#"
            error: product "sales.big" reads itself
              at       domains/sales/big/product.odps.yaml:9
              because  sales.big reads sales.big
              try      cut the circle: drop one of these inputs, or split a product in two
              code     MODEL-032 · weft explain MODEL-032

            error: input port "orders" expects another contract than the port it reads
              at       domains/sales/big/product.odps.yaml:11
              because  it says "sales.orders.orders", weft://sales/big/orders/v1 has "sales.big.orders"
              try      write `contractId: sales.big.orders`, or read another port
              code     MODEL-039 · weft explain MODEL-039"#]],
    );
}

#[test]
fn a_topic_too_long_for_kafka() {
    check(
        &shop_with(
            "weft.yaml",
            "mesh: shop\n",
            "mesh: shop\ntopic_prefix: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.\n",
        ),
        expect![[r#"
            error: port "sales.big.orders@1" has a topic that Kafka would refuse
              at       domains/sales/big/product.odps.yaml:15
              because  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.sales.big.orders.v1" has 260 bytes, Kafka takes 249
              try      shorten the names of domain, product and port, or adopt another topic
              code     MODEL-034 · weft explain MODEL-034

            error: port "sales.orders.orders@1" has a topic that Kafka would refuse
              at       domains/sales/orders/product.odps.yaml:9
              because  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.sales.orders.orders.v1" has 263 bytes, Kafka takes 249
              try      shorten the names of domain, product and port, or adopt another topic
              code     MODEL-034 · weft explain MODEL-034"#]],
    );
}

#[test]
fn parameters_that_sql_and_descriptor_disagree_on() {
    check(
        &shop_with("domains/sales/big/transform.sql", "$least", "$leats"),
        expect![[r#"
        error: parameter "least" is declared but not used
          at       domains/sales/big/product.odps.yaml:21
          because  domains/sales/big/transform.sql has no `$least`
          try      use it or drop it
          code     MODEL-036 · weft explain MODEL-036

        error: SQL uses parameter "$leats", which is not declared
          at       domains/sales/big/transform.sql:1
          because  domains/sales/big/product.odps.yaml declares least
          try      did you mean "$least"?
          code     MODEL-036 · weft explain MODEL-036"#]],
    );
}

#[test]
fn a_parameter_in_a_string_or_comment_is_none() {
    check(
        &shop_with("domains/sales/big/transform.sql", "amount > $least", "note = '$least' /* $least */ -- $least\n"),
        expect![[r#"
            error: parameter "least" is declared but not used
              at       domains/sales/big/product.odps.yaml:21
              because  domains/sales/big/transform.sql has no `$least`
              try      use it or drop it
              code     MODEL-036 · weft explain MODEL-036"#]],
    );
}

#[test]
fn a_source_that_feeds_an_unknown_port() {
    check(
        &shop_with("domains/sales/orders/source.yaml", "csv:", "port: order\ncsv:"),
        expect![[r#"
        error: source.yaml feeds port "order", which the product does not declare
          at       domains/sales/orders/source.yaml:1
          because  its output ports are orders
          try      did you mean "orders"?
          code     MODEL-037 · weft explain MODEL-037"#]],
    );
}

#[test]
fn a_source_that_derives_from_nothing() {
    check(
        &shop_with(
            "domains/sales/orders/source.yaml",
            "csv:",
            "derive:\n  - { name: orderd_at, timestamp: amount }\ncsv:",
        ),
        expect![[r#"
            error: `derive` names column "amount", which it cannot use
              at       domains/sales/orders/source.yaml:2
              because  the contract says decimal(12,2), `derive` needs timestamp
              try      name a column of type timestamp
              code     MODEL-037 · weft explain MODEL-037

            error: `derive` names column "orderd_at", which it cannot use
              at       domains/sales/orders/source.yaml:2
              because  the contract of the port has no such column
              try      did you mean "ordered_at"?
              code     MODEL-037 · weft explain MODEL-037"#]],
    );
}

#[test]
fn a_source_with_a_typo() {
    check(
        &shop_with("domains/sales/orders/source.yaml", "null_text", "null_txt"),
        expect![[r#"
        error: unknown key "null_txt" in csv
          at       domains/sales/orders/source.yaml:3
          because  csv has the keys file, null_text
          try      did you mean "null_text"?
          code     MODEL-005 · weft explain MODEL-005"#]],
    );
}

#[test]
fn a_source_mode_that_is_none() {
    check(
        &shop_with("domains/sales/orders/source.yaml", "csv:", "mode: onse\ncsv:"),
        expect![[r#"
        error: "mode" has an unknown value
          at       domains/sales/orders/source.yaml:1
          because  it is text "onse", expected one of once, loop, follow
          try      did you mean "once"?
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn a_mesh_without_weft_yaml() {
    check(
        &without("weft.yaml"),
        expect![[r#"
        error: the mesh has no weft.yaml
          because  it gives the mesh its id
          try      add a weft.yaml with `mesh: my-mesh`
          code     MODEL-001 · weft explain MODEL-001"#]],
    );
}

#[test]
fn a_domain_without_domain_yaml() {
    check(
        &without("domains/sales/domain.yaml"),
        expect![[r#"
        error: domain "sales" has no domain.yaml
          at       domains/sales:1
          because  it names the team that answers for the domain
          try      add a domain.yaml with `owner:` and `description:`
          code     MODEL-008 · weft explain MODEL-008"#]],
    );
}

#[test]
fn a_product_without_descriptor() {
    check(
        &without("domains/sales/big/product.odps.yaml"),
        expect![[r#"
        error: product "sales.big" has no product.odps.yaml
          at       domains/sales/big:1
          because  every folder below a domain's folder is a product
          try      add the descriptor, or move the folder away
          code     MODEL-008 · weft explain MODEL-008"#]],
    );
}

#[test]
fn a_product_that_does_not_say_how() {
    check(
        &without("domains/sales/big/transform.sql"),
        expect![[r#"
        error: product "sales.big" does not say how its data comes to be
          at       domains/sales/big/product.odps.yaml:1
          because  its folder has none of source.yaml, transform.sql, external.yaml
          try      keep exactly one of source.yaml, transform.sql, external.yaml
          code     MODEL-035 · weft explain MODEL-035"#]],
    );
}

#[test]
fn a_product_that_says_twice_how() {
    check(
        &with("domains/sales/big/source.yaml", "csv: { file: x.csv }\n"),
        expect![[r#"
        error: product "sales.big" says more than once how its data comes to be
          at       domains/sales/big/product.odps.yaml:1
          because  its folder has source.yaml and transform.sql
          try      keep exactly one of source.yaml, transform.sql, external.yaml
          code     MODEL-035 · weft explain MODEL-035

        error: source product "sales.big" has an input port
          at       domains/sales/big/product.odps.yaml:9
          because  source.yaml reads a file; it has no way to read a port
          try      drop `inputPorts`, or write transform.sql in place of source.yaml
          code     MODEL-035 · weft explain MODEL-035

        error: parameter "least" has no SQL to use it
          at       domains/sales/big/product.odps.yaml:21
          because  only transform.sql knows parameters
          try      drop `parameters`
          code     MODEL-036 · weft explain MODEL-036"#]],
    );
}

#[test]
fn a_file_that_is_nearly_one_of_ours() {
    check(
        &with("domains/sales/big/transfrom.sql", "SELECT 1"),
        expect![[r#"
        error: file "transfrom.sql" has no meaning here
          at       domains/sales/big/transfrom.sql:1
          because  a product's folder holds product.odps.yaml, *.odcs.yaml, one of source.yaml, transform.sql, external.yaml, and tests/
          try      did you mean "transform.sql"?
          code     MODEL-008 · weft explain MODEL-008"#]],
    );
}

#[test]
fn an_external_file_is_strict() {
    check(
        &{
            let mut files = without("domains/sales/orders/source.yaml");
            files.0.insert("domains/sales/orders/external.yaml".to_owned(), "technolgy: flink\n".to_owned());
            files
        },
        expect![[r#"
            error: unknown key "technolgy" in external.yaml
              at       domains/sales/orders/external.yaml:1
              because  external.yaml has the keys technology, description, repository, runbook
              try      did you mean "technology"?
              code     MODEL-005 · weft explain MODEL-005

            error: external.yaml lacks key "technology"
              at       domains/sales/orders/external.yaml:1
              because  it is required
              try      add `technology: python service`
              code     MODEL-007 · weft explain MODEL-007"#]],
    );
}

#[test]
fn a_source_product_reads_no_ports() {
    check(
        &{
            let mut files = without("domains/sales/big/transform.sql");
            files.0.insert("domains/sales/big/source.yaml".to_owned(), "csv: { file: x.csv }\n".to_owned());
            files
        },
        expect![[r#"
            error: source product "sales.big" has an input port
              at       domains/sales/big/product.odps.yaml:9
              because  source.yaml reads a file; it has no way to read a port
              try      drop `inputPorts`, or write transform.sql in place of source.yaml
              code     MODEL-035 · weft explain MODEL-035

            error: parameter "least" has no SQL to use it
              at       domains/sales/big/product.odps.yaml:21
              because  only transform.sql knows parameters
              try      drop `parameters`
              code     MODEL-036 · weft explain MODEL-036"#]],
    );
}

#[test]
fn a_table_with_a_retention() {
    check(
        &{
            let mut files = shop_with("domains/sales/orders/orders.odcs.yaml", "value: append", "value: upsert");
            let contract = files.0.get_mut("domains/sales/orders/orders.odcs.yaml").unwrap();
            contract.push_str("slaProperties:\n  - { property: retention, value: 30, unit: d }\n");
            files
        },
        expect![[r#"
            error: port "orders" is a table with a retention
              at       domains/sales/orders/orders.odcs.yaml:36
              because  a table keeps the last value of every key for ever; nothing of it expires by age
              try      drop the SLA `retention`, or write `kind: append`
              code     MODEL-029 · weft explain MODEL-029"#]],
    );
}

#[test]
fn a_folder_with_an_illegal_name() {
    check(
        &with("domains/sales/Big_Orders/product.odps.yaml", BIG_PRODUCT),
        expect![[r#"
        error: a product's folder has a name that topics and URLs cannot carry
          at       domains/sales/Big_Orders:1
          because  "Big_Orders" is not a name: names are 1 to 63 of a-z, 0-9 and -, starting with a letter or digit
          try      rename the folder
          code     MODEL-013 · weft explain MODEL-013"#]],
    );
}

#[test]
fn two_products_on_one_topic() {
    let topic = "    customProperties:\n      - { property: topic, value: legacy.orders }\n      - { property: partitions, value: 3 }\n";
    let mut files = shop();
    for (product, contract) in [("orders", "sales.orders.orders"), ("big", "sales.big.orders")] {
        let descriptor = files.0.get_mut(&format!("domains/sales/{product}/product.odps.yaml")).unwrap();
        let output = format!("outputPorts:\n  - name: orders\n    version: 1.0.0\n    contractId: {contract}\n");
        *descriptor = descriptor.replace(&output, &format!("{output}{topic}"));
        let contract = files.0.get_mut(&format!("domains/sales/{product}/orders.odcs.yaml")).unwrap();
        *contract = contract
            .replace("    physicalName: sales.orders.orders.v1\n", "")
            .replace("    physicalName: sales.big.orders.v1\n", "");
    }
    check(
        &files,
        expect![[r#"
        error: port "sales.orders.orders@1" has a topic that is taken
          at       domains/sales/orders/product.odps.yaml:9
          because  topic "legacy.orders" backs port "sales.big.orders@1" (domains/sales/big/product.odps.yaml:15)
          try      one topic backs one port: adopt another topic, or let one product read the other
          code     MODEL-033 · weft explain MODEL-033"#]],
    );
}

#[test]
fn a_cycle_of_two_products() {
    let mut files = shop();
    let product = BIG_PRODUCT.replace("sales.big", "sales.small").replace("name: big", "name: small");
    let product =
        product.replace("sales.orders.orders", "sales.big.orders").replace("weft://sales/orders/", "weft://sales/big/");
    files.0.insert("domains/sales/small/product.odps.yaml".to_owned(), product);
    let contract = files.0["domains/sales/big/orders.odcs.yaml"].replace("sales.big", "sales.small");
    files.0.insert("domains/sales/small/orders.odcs.yaml".to_owned(), contract);
    files.0.insert("domains/sales/small/transform.sql".to_owned(), BIG_SQL.to_owned());
    let big = BIG_PRODUCT.replace("contractId: sales.orders.orders", "contractId: sales.small.orders");
    let big = big.replace("weft://sales/orders/", "weft://sales/small/");
    files.0.insert("domains/sales/big/product.odps.yaml".to_owned(), big);
    check(
        &files,
        expect![[r#"
        error: product "sales.big" reads itself
          at       domains/sales/big/product.odps.yaml:9
          because  sales.big reads sales.small reads sales.big
          try      cut the circle: drop one of these inputs, or split a product in two
          code     MODEL-032 · weft explain MODEL-032"#]],
    );
}

#[test]
fn everything_is_reported_at_once_and_in_order() {
    let mut files = shop_with("weft.yaml", "mesh: shop", "mesh: shop\nlisteners: 3");
    files.0.insert("domains/sales/domain.yaml".to_owned(), "owner: \"\"\n".to_owned());
    files.0.insert("domains/sales/orders/source.yaml".to_owned(), "csv: { fil: x }\n".to_owned());
    check(
        &files,
        expect![[r#"
        error: the domain has no owner
          at       domains/sales/domain.yaml:1
          because  `owner` is missing or empty
          try      name the team that answers for it: `owner: …`
          code     MODEL-014 · weft explain MODEL-014

        error: unknown key "fil" in csv
          at       domains/sales/orders/source.yaml:1
          because  csv has the keys file, null_text
          try      did you mean "file"?
          code     MODEL-005 · weft explain MODEL-005

        error: csv lacks key "file"
          at       domains/sales/orders/source.yaml:1
          because  it is required
          try      add `file: data/rows.csv`
          code     MODEL-007 · weft explain MODEL-007

        error: "listeners" has a value of the wrong type
          at       weft.yaml:2
          because  it is number 3, expected a map with keys kafka, http
          try      write a map with keys kafka, http
          code     MODEL-006 · weft explain MODEL-006"#]],
    );
}

#[test]
fn findings_are_bounded() {
    let keys: String = (0..150).map(|n| format!("key{n}: 1\n")).collect();
    let findings = load_files(&with("weft.yaml", &format!("mesh: shop\n{keys}"))).unwrap_err();
    assert_eq!(findings.0.len(), 101);
    expect![[r#"
        error: 50 more findings are not shown
          because  at most 100 are shown at once
          try      mend the first ones and look again
          code     MODEL-002 · weft explain MODEL-002"#]]
    .assert_eq(&findings.0.last().unwrap().to_string());
}

#[test]
fn another_file_for_a_source_that_is_not_there() {
    let id = ProductId { domain: "sales".parse().unwrap(), product: "order".parse().unwrap() };
    let options = LoadOptions { source_files: [(id, "x.csv".to_owned())].into(), partitions: None };
    let findings = load(&shop(), &options).unwrap_err();
    expect![[r#"
        error: cannot read another file for "sales.order"
          because  the mesh has no source product of that name
          try      did you mean "sales.orders"?
          code     MODEL-044 · weft explain MODEL-044"#]]
    .assert_eq(&findings.to_string());
}

#[test]
fn yaml_is_bounded_whatever_it_holds() {
    let deep = format!("mesh: {}\n", "[".repeat(100));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let large = format!("mesh: shop\n#{}\n", "x".repeat(1 << 20));
    let mut out = String::new();
    for text in [deep.as_str(), bomb, &large, "mesh: shop\n---\nmesh: two\n", "mesh: !env SHOP\n", "mesh: *nothing\n"] {
        out.push_str(&load_files(&with("weft.yaml", text)).unwrap_err().to_string());
        out.push('\n');
    }
    expect![[r#"
        error: the file is not YAML that Weft reads
          at       weft.yaml:1
          because  it nests deeper than 48 levels
          try      flatten it
          code     MODEL-004 · weft explain MODEL-004
        error: the file is not YAML that Weft reads
          at       weft.yaml:6
          because  it has more than 200000 values, counting what aliases repeat
          try      write it without nested aliases
          code     MODEL-004 · weft explain MODEL-004
        error: the file is not YAML that Weft reads
          at       weft.yaml:1
          because  it has 1048589 bytes, a descriptor may have 1048576
          try      keep data out of descriptors, or split the file
          code     MODEL-004 · weft explain MODEL-004
        error: the file is not YAML that Weft reads
          at       weft.yaml:4
          because  it holds more than one document
          try      one document per file; drop `---`
          code     MODEL-004 · weft explain MODEL-004
        error: the file is not YAML that Weft reads
          at       weft.yaml:1
          because  tag !env has no meaning here
          try      drop the tag
          code     MODEL-004 · weft explain MODEL-004
        error: the file is not YAML that Weft reads
          at       weft.yaml:1
          because  while parsing node, found unknown anchor
          try      check indentation, colons and quotes at this line
          code     MODEL-004 · weft explain MODEL-004
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_folder_is_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let show = |folder: &std::path::Path| {
        let findings = Files::read_folder(folder).unwrap_err();
        findings.to_string().replace(&folder.display().to_string(), "<folder>")
    };
    let mut out = show(folder.path());
    std::fs::write(folder.path().join("weft.yml"), "mesh: shop\n").unwrap();
    out.push('\n');
    out.push_str(&show(folder.path()));
    std::fs::write(folder.path().join("weft.yaml"), "mesh: shop\n").unwrap();
    std::fs::create_dir_all(folder.path().join("domains/sales/orders")).unwrap();
    std::fs::write(folder.path().join("domains/sales/domain.yaml"), b"owner: x\ndescription: caf\xe9\n").unwrap();
    std::fs::write(folder.path().join("domains/sales/orders/source.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    std::fs::write(folder.path().join("domains/sales/orders/rows.csv"), b"\xff\xfe").unwrap();
    out.push('\n');
    out.push_str(&show(folder.path()));
    expect![[r#"
        error: no mesh in folder "<folder>"
          because  it has no weft.yaml
          try      name the folder that holds weft.yaml
          code     MODEL-001 · weft explain MODEL-001
        error: no mesh in folder "<folder>"
          because  it has a weft.yml, the file is called weft.yaml
          try      name the folder that holds weft.yaml
          code     MODEL-001 · weft explain MODEL-001
        error: cannot read file "domains/sales/domain.yaml"
          at       domains/sales/domain.yaml:2
          because  it is not UTF-8
          try      save it as UTF-8
          code     MODEL-003 · weft explain MODEL-003

        error: cannot read "domains/sales/orders/source.yaml"
          because  it has 1048577 bytes, a descriptor may have 1048576
          try      keep data out of descriptors, or split the file
          code     MODEL-003 · weft explain MODEL-003"#]]
    .assert_eq(&out);
}

const BIG: &str = "domains/sales/big/product.odps.yaml";

/// The big orders, said to be made from `contracts`.
fn made_from(contracts: &str) -> Files {
    let port = "    contractId: sales.big.orders\n";
    shop_with(BIG, port, &format!("{port}    inputContracts: {contracts}\n"))
}

#[test]
fn an_input_that_expects_another_major() {
    check(
        &shop_with(
            BIG,
            "    version: 1.0.0\n    contractId: sales.orders",
            "    version: 2.0.0\n    contractId: sales.orders",
        ),
        expect![[r#"
            error: input port "orders" expects another major version than the port it reads
              at       domains/sales/big/product.odps.yaml:10
              because  it says "2.0.0", weft://sales/orders/orders/v1 has "1.0.0" (domains/sales/orders/orders.odcs.yaml:4)
              try      write `version: 1.0.0`, or read another port
              code     MODEL-015 · weft explain MODEL-015"#]],
    );
}

#[test]
fn an_input_that_expects_a_newer_minor() {
    check(
        &shop_with(
            BIG,
            "    version: 1.0.0\n    contractId: sales.orders",
            "    version: 1.1.0\n    contractId: sales.orders",
        ),
        expect![[r#"
            error: input port "orders" expects a newer version than the port it reads
              at       domains/sales/big/product.odps.yaml:10
              because  it says "1.1.0", weft://sales/orders/orders/v1 has "1.0.0" (domains/sales/orders/orders.odcs.yaml:4)
              try      write `version: 1.0.0`, or let its owner raise the contract first
              code     MODEL-015 · weft explain MODEL-015"#]],
    );
}

#[test]
fn an_input_whose_version_has_no_major() {
    check(
        &shop_with(
            BIG,
            "    version: 1.0.0\n    contractId: sales.orders",
            "    version: new\n    contractId: sales.orders",
        ),
        expect![[r#"
            error: version "new" has no major number
              at       domains/sales/big/product.odps.yaml:10
              because  topics and URLs carry the major, the number before the first point
              try      write `version: 1.0.0`
              code     MODEL-015 · weft explain MODEL-015"#]],
    );
}

#[test]
fn versions_that_leave_the_rest_open_or_are_older_fit() {
    for version in ["\"1\"", "v1", "\"1.0\"", "1.0.0", "1.0.0-beta"] {
        let files = shop_with(
            BIG,
            "    version: 1.0.0\n    contractId: sales.orders",
            &format!("    version: {version}\n    contractId: sales.orders"),
        );
        load_files(&files).unwrap_or_else(|findings| panic!("{version}: {findings}"));
        let files = made_from(&format!("[ {{ id: sales.orders.orders, version: {version} }} ]"));
        load_files(&files).unwrap_or_else(|findings| panic!("{version}: {findings}"));
    }
}

#[test]
fn an_output_made_from_a_contract_that_is_not_read() {
    check(
        &made_from("[ { id: sales.big.orders, version: 1.0.0 }, { id: sales.orders.ordres, version: 1.0.0 } ]"),
        expect![[r#"
            error: output port "orders" is made from a contract that no input port reads
              at       domains/sales/big/product.odps.yaml:18
              because  contract "sales.big.orders" (domains/sales/big/orders.odcs.yaml:4) is not that of any of its inputs
              try      add the input port, or write one of sales.orders.orders
              code     MODEL-045 · weft explain MODEL-045

            error: output port "orders" is made from a contract that no input port reads
              at       domains/sales/big/product.odps.yaml:18
              because  no contract of the mesh has the id "sales.orders.ordres"
              try      did you mean "sales.orders.orders"?
              code     MODEL-045 · weft explain MODEL-045"#]],
    );
}

#[test]
fn an_output_made_from_a_version_that_is_not_read() {
    check(
        &made_from("[ { id: sales.orders.orders, version: 1.3.0 } ]"),
        expect![[r#"
        error: output port "orders" is made from a version that the product does not read
          at       domains/sales/big/product.odps.yaml:18
          because  `inputContracts` says "1.3.0" of contract "sales.orders.orders", the port that is read has "1.0.0" (domains/sales/orders/orders.odcs.yaml:4)
          try      write `version: 1.0.0`
          code     MODEL-045 · weft explain MODEL-045"#]],
    );
    check(
        &made_from("[ { id: sales.orders.orders, version: 2.0.0 } ]"),
        expect![[r#"
        error: output port "orders" is made from a version that the product does not read
          at       domains/sales/big/product.odps.yaml:18
          because  `inputContracts` says "2.0.0" of contract "sales.orders.orders", the port that is read has "1.0.0" (domains/sales/orders/orders.odcs.yaml:4)
          try      write `version: 1.0.0`
          code     MODEL-045 · weft explain MODEL-045"#]],
    );
}

#[test]
fn what_another_service_computes_may_be_made_from_what_the_mesh_does_not_know() {
    let mut files = made_from("[ { id: erp.orders, version: 7.0.0 } ]");
    files.0.remove("domains/sales/big/transform.sql").unwrap();
    files.0.insert("domains/sales/big/external.yaml".to_owned(), "technology: flink\n".to_owned());
    *files.0.get_mut(BIG).unwrap() =
        files.0[BIG].replace("customProperties:\n  - property: parameters\n    value:\n      least: 100\n", "");
    load_files(&files).unwrap_or_else(|findings| panic!("{findings}"));
}
